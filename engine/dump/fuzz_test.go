package dump_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/dump"
)

// FuzzRead: whatever is read without an error is what Write writes of it, every error
// names a line, and an import of it leaves a log that verifies.
func FuzzRead(f *testing.F) {
	text, err := os.ReadFile("testdata/small.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	all := lines(text)
	for i := range all {
		f.Add(bytes.Join(all[:i], nil))
	}
	f.Add(append(bytes.Clone(all[0]), `{"kind":"end","batches":0,"events":0,"notes":0,"lastBatch":0,"head":"4a0ec6c7b8b7b6c8b64db2cbf80aad1a00fd46ec41c2505cc076af7dbb96702b"}`+"\n"...))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 {
			return
		}
		r, err := dump.Read(bytes.NewReader(text))
		read := uint64(0)
		for err == nil {
			var b *dump.Batch
			if b, err = r.Next(); err == nil {
				read++
				if b.Number != r.Header().First+read-1 || b.Line < 2 {
					t.Fatalf("batch %d on line %d is the one after %d", b.Number, b.Line, read-1)
				}
			}
		}
		var line *dump.LineError
		if err != io.EOF && (!errors.As(err, &line) || line.Line < 1 || line.Line > bytes.Count(text, []byte("\n"))+1) {
			t.Fatalf("%v", err)
		}
		if r == nil || r.Header().First > 1 {
			return
		}
		log := newPlace("target", engine.Options{ID: r.Header().Log}).open(t)
		result, imported := imported(text, log)
		if imported == nil && err != io.EOF {
			t.Fatalf("imported what cannot be read: %+v, %v", result, err)
		}
		verified(t, log)
		if err == io.EOF && imported == nil && result.Exact && result.Batches > 0 {
			if again := dumped(t, log, dump.Range{}); !bytes.Equal(again, text) {
				t.Fatalf("the dump of the copy is\n%s\nwant\n%s", again, text)
			}
		}
		closed(t, log)
	})
}
