// Package report makes one file of HTML of what a plan did, or of what a sweep found.
//
//	plan ──scenarios.Trace──▶ trace.Trace ──Plan──▶ page: the failure in words, a time line to scrub
//	                                                through, the disk at each moment
//	run --json ──replay.ReadRows──▶ rows ──Run──▶ page: heat map, coverage, new behaviours, slow seeds
//
// A page needs nothing but a browser: its style, its script and its data are in it. It
// opens from a disk, without a network:
//
//	f, err := os.Create("report.html")
//	err = report.Plan(f, t, nil)
//
// # What a page trusts
//
// Nothing of its data. Names, payloads and errors may be anything: they come into the
// page through html/template, and onto the screen as text, with what would not be seen
// (control characters, marks that turn the direction of a line) spelt out. A content
// security policy lets the script of the page run, known by its hash, and nothing else,
// and forbids every request.
//
// # Contract
//
// The same input gives the same bytes. A page of 50,000 entries opens and moves within
// a moment: what is drawn is what is in sight, and the disk at an entry comes from the
// last of the checkpoints before it. Of the bytes that were written a page has MaxBytes
// at most, and says where it left some out.
//
// What cannot be drawn without a script, which is the time line and the heat map, is
// said so; all words are there without.
package report
