package tamper

import (
	"bytes"
	"testing"
)

// TestFormRoundTrip takes every log apart and puts it together again, with all
// hashes computed anew: the same bytes.
func TestFormRoundTrip(t *testing.T) {
	for _, story := range stories() {
		t.Run(story.name, func(t *testing.T) {
			v, err := newSubject(t.Context(), &story, 1)
			if err != nil {
				t.Fatal(err)
			}
			f := v.form.clone()
			f.renumber()
			f.rehash(everything)
			for i, got := range f.encode() {
				if !bytes.Equal(got.bytes, v.files[i].bytes) {
					t.Errorf("%s is not what it was", got.name)
				}
			}
			batches, events, slackBytes, bound := len(v.form.batches), 0, 0, 0
			for _, p := range v.form.batches {
				events += len(p.events)
			}
			if events != len(v.events) || batches != int(v.head.Batch) {
				t.Errorf("%d batches, %d events: the log has %d and %d", batches, events, v.head.Batch, len(v.events))
			}
			for _, s := range v.form.segments {
				for _, c := range s.classes() {
					if c == slack {
						slackBytes++
					} else {
						bound++
					}
				}
			}
			t.Logf("%d segments, %d batches, %d events, %d bytes belong to the log, %d are slack", len(v.files), batches, events, bound, slackBytes)
		})
	}
}
