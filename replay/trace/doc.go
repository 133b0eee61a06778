// Package trace is what one run of a plan did: every call, file operation, fault
// and crash in order, and what became of the disk with each.
//
//	plan ──scenarios.Trace──▶ Trace ──┬──Write──▶ one JSON line for each entry ──Read──▶ Trace
//	                                  ├──Text───▶ lines for a person, with a legend
//	                                  ├──Diff───▶ the first entry in which two runs differ
//	                                  └──replay/report──▶ a page that a person scrubs through
//
// A run has lives: life 0 is the workload, life n is what came after crash n, up to
// the recovery that a promise was broken in. Each entry belongs to one:
//
//	life 0   step  call  op  op  fault  op  answer  step …  crash
//	life 1   op  op  point  …  crash
//	life 2   op  op  …  verdict
//
// # The disk
//
// A file is cells (sectors, most of the time), a size, and names that lead to it.
// Changes say what an entry did to them. What is not durable yet is pending: a
// power loss may take it or leave it. A crash decides, and says of each what came
// of it: kept, lost, torn (some cells of one write were kept, others lost) or garbage.
// Who applies the Changes of the entries 0 … n has the disk behind entry n.
//
// # Contract
//
// The same plan gives the same trace, byte for byte, in any process. The package
// imports nothing of ours.
package trace
