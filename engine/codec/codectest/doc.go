// Package codectest keeps the bytes of a program's events in golden files, so
// that nobody changes by accident what logs already hold.
//
//	func TestEvents(t *testing.T) {
//		codectest.Golden(t, events(), "testdata/events",
//			Placed{Order: 42, Cents: 300},
//			Paid{Order: 42},
//		)
//	}
//
// It is written once and does not change when a type gets a new version:
//
//	example ─→ encode ─→ order.placed.v2.golden            what version 2 looks like in the log
//	                     order.placed.v1.golden            what version 1 looked like, never written again
//	                              └→ decode, upcast, encode ─→ order.placed.v1.upcast.golden
//
// # Contract
//
// A registry passes if it is complete, and has one example of each current version;
// if the example, encoded, gives the bytes of its file, twice, and comes back equal;
// if each old version has a file, whose events are decoded, upcast, and then give,
// encoded, the bytes of the file beside it; and if no other golden file is in the
// folder. What fails says what to do about it.
//
// Files that are missing or differ are written with
//
//	UNTORN_REWRITE=1 go test ./…
//
// but those of old versions never: nothing encodes them any more. Nothing is
// removed, either. In the name of a file stands the event's name, where all but a-z,
// 0-9, dot, dash and underscore is %XX, its byte in hex: also capitals, which not
// every file system tells apart. The files belong under version control. They hold the bytes of a
// payload and nothing else, without a newline at the end; in .gitattributes,
// *.golden -text keeps them so.
package codectest
