// Package dump is a log as text: JSON lines with all that its head binds, from which
// another log gets the same head.
//
//	log ──Write──▶ {"kind":"dump", …}            ──Read──▶ Import ──▶ Apply ──▶ the same log
//	               {"kind":"batch","batch":1, …}                 └──▶ Adopt ──▶ another log
//	               {"kind":"event", …}
//	               {"kind":"note", …}
//	               …
//	               {"kind":"end", …}
//
//	sum, err := dump.Write(ctx, file, log, dump.Range{})
//
//	r, err := dump.Read(file)
//	copy, err := engine.Open(engine.Options{Dir: "copy", ID: r.Header().Log})
//	result, err := dump.Import(ctx, copy, r, dump.Options{})
//
// The format is in FORMAT.md, "The dump". Every log has one dump, byte for byte, and a
// Reader takes no line that Write would have written otherwise. Both hold one batch at
// a time.
//
// A dump proves nothing by itself: whoever can write one can make up a log whose hashes
// are right. What a changed line cannot do is give the log the head that it had.
package dump
