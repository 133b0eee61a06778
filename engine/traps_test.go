package engine_test

import (
	"context"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simfs"
)

// TestADeletedLogDoesNotComeBack: what a deleted log left on the disk's blocks is
// no part of the log that is made in its place, whatever of the new one a power
// cut leaves.
func TestADeletedLogDoesNotComeBack(t *testing.T) {
	for _, preallocate := range []int64{0, -1} {
		m := newMachine(t, engine.Options{Preallocate: preallocate})
		m.disk = simfs.New(simfs.Options{Garbage: simfs.Garbage{Stale: true, Block: true}})
		log := m.open()
		appended(t, log, "old", big("old", 3000))
		closed(t, log)
		for name := range tree(t, m.disk) {
			if err := m.disk.Remove("log/" + name); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.disk.SyncDir("log"); err != nil {
			t.Fatal(err)
		}
		var images []*simfs.Image
		m.disk.Observe(func(op simfs.Op) { images = append(images, m.disk.Crash(simfs.PowerLoss)) })
		log = m.open()
		if _, err := log.Append(context.Background(), draft("new")); err != nil {
			t.Fatal(err)
		}
		m.disk.Observe(nil)
		images = append(images, m.disk.Crash(simfs.PowerLoss))
		for _, image := range images {
			for seed := range uint64(40) {
				cut := *m
				cut.disk = image.Mount(simfs.Random(seed))
				log, err := engine.Open(cut.seams())
				if err != nil {
					t.Fatalf("open: %v", err)
				}
				for _, e := range all(t, log, engine.Query{Buffered: true}) {
					if string(e.Data) != "new" {
						t.Fatalf("the log shows %.20q", e.Data)
					}
				}
				closed(t, log)
			}
		}
	}
}
