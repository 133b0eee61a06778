// Package plan is the text format of a plan: everything that one simulated run
// does, written so that a person can read, edit and commit it.
//
//	untorn plan 1
//	# the second batch is torn in its commit frame
//	scenario batch
//	disk posix
//	seed 42
//
//	set segment = 65536
//
//	step 1 open
//	# the batch that the crash cuts
//	step 3 append stream=order-42 type=order.placed data="{\"total\": 3}" expect=1
//
//	fault step=3 write seg #2: short 100
//
//	schedule 0 2 1
//
//	crash power point=17 cells=3
//
//	invariant I1
//
//	digest 1 00000000c0ffee11
//	digest 3 8b1a9953c4611296
//
// The way of the data:
//
//	seed ──generate──▶ Plan ──Format──▶ file ──edit, commit, send──▶ Parse ──▶ Plan ──▶ run
//
// A run takes everything from its plan and nothing from the random source, so
// that a plan from which a line was deleted still means the same in what is
// left. Steps therefore carry numbers, and keep them when others go.
//
// What this package knows is the frame: numbered steps made of a verb and
// ordered arguments, and lists of one-line texts. What verbs, faults and crash
// choices mean is known by whoever runs the plan.
//
// # The format
//
// The file is UTF-8, one thing a line, each line led by the word that says what
// it is. The first line is the format's name and version. "scenario" is
// required; everything else may be missing, and the lines may come in any order
// as long as steps and digests ascend.
//
//	# text                     a comment, on a line of its own
//	scenario NAME              what runs the plan
//	disk NAME                  the preset of the simulated disk
//	seed N                     the seed that the plan came from; absent or 0: none
//	set KEY = VALUE            a setting of the run; each key once
//	step N VERB KEY=VALUE …    an operation of the workload; each key once
//	fault TEXT                 something that goes wrong
//	schedule TOKEN …           choices of the scheduler, in order, on as many lines as it takes
//	crash TEXT                 a crash and its choices; one line for each nested level, outermost first
//	invariant TEXT             what is expected to fail
//	digest N HEX               16 hex digits: the digest of the run after step N
//
// A word (a name, verb, key, value or token) is written bare when it consists
// of printable ASCII other than space, quote, backquote and backslash, and does
// not begin with "#"; a key or a verb also has no "=". Anything
// else stands in double quotes with the escapes of a Go string, arbitrary bytes
// included. A TEXT is the rest of the line without the blanks around it, or one
// quoted string.
//
// # The contract
//
// Format is canonical: one plan has one text, and Format(Parse(text)) is a
// fixed point. Parse(Format(p)) is p for every plan that keeps the rules above
// and the limits below. A comment directly above a step belongs to that step
// and goes where it goes; all others stand at the head of the file, where
// Format puts them.
//
// Parse never panics, reports the first problem as an *Error with its line, and
// holds at most a small multiple of the file's size in memory, for any input.
package plan
