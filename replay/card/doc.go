// Package card shows a failure to somebody who has never seen the project: in at
// most 40 lines of a terminal, as an annotation on GitHub, and as JUnit XML.
//
//	failure of a plan ──replay.Failure.Card──▶ Card ──┬──Text────▶ a terminal
//	failure of a test ──crashtest────────────▶        ├──GitHub──▶ ::group::, ::error::
//	                                                  └──JUnit───▶ <testsuites>
//
//	c := card.Card{
//		What:    "batch on posix",
//		Promise: "a batch is there whole or not at all",
//		Cause:   "the power failed before the sync in step 2.",
//		Plan:    []card.Step{{Text: "1 open"}, {Mark: card.Decides, Text: "2 batch"}},
//		Replay:  "go run ./cmd/untorn-sim replay failures/batch-posix-3-I2.plan",
//	}
//	fmt.Print(c.Text())
//
// # Contract
//
// The same Card gives the same text, whatever the machine, the terminal and the
// format. A text has at most Lines lines of at most Columns columns, whatever the
// Card holds: of long things a part is left out, and how to see all of it is said.
// What a terminal, GitHub or a reader of XML might take for anything but text
// (control characters, bytes that are not UTF-8, marks that change the direction)
// is printed as an escape such as \x1b.
//
// The package imports nothing of ours.
package card
