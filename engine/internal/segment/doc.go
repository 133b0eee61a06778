// Package segment reads one file of records: its header, its batches from the
// first to the last whole one, and what lies behind a tear.
//
//	0      4096   8192
//	├──────┼──────┼─────────┬─────────┬─────┬─────────┬───────────
//	│header│header│ batch   │ batch   │ END │ batch   │ zeros, torn
//	│      │(again)│        │         │     │         │ or damaged
//	└──────┴──────┴─────────┴─────────┴─────┴─────────┴───────────
//	                                        Scanner ──→  Proof ──→
//
// It judges single frames and batches; what continues the log, and what to do
// about a tear, is the business of the engine's recovery.
package segment
