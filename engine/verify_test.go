package engine_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/simfs"
)

// TestVerifyKept: Verify and VerifySigned say which kept heads the log never had: not
// one that it has had, also before the first event, between notes, and in another
// segment.
func TestVerifyKept(t *testing.T) {
	disk, ctx := simfs.New(simfs.Options{}), context.Background()
	var heads []engine.LogHead
	note := engine.Batch{Notes: []engine.NoteDraft{{Name: "note"}}}
	large := engine.Draft{Stream: "s", Type: "t", Data: make([]byte, 25_000)}
	events := engine.Batch{Events: []engine.Draft{large, large}}
	for _, batch := range []engine.Batch{note, events, note, note, events, note, events} {
		log, err := engine.Open(engine.Options{FS: disk, SegmentSize: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		if len(heads) == 0 {
			heads = append(heads, log.LogHead()) // zero
		}
		if _, err := log.AppendBatch(ctx, batch); err != nil {
			t.Fatal(err)
		}
		heads = append(heads, log.LogHead())
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	log, err := engine.Open(engine.Options{FS: disk, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	bare := func(h engine.LogHead) engine.LogHead { return engine.LogHead{Batch: h.Batch, Hash: h.Hash} }
	other, early, late, root := bare(heads[2]), bare(heads[3]), bare(heads[7]), engine.LogHead{Hash: engine.Hash{1}}
	other.Hash[31] ^= 1
	early.Batch--
	late.Batch++
	for _, c := range []struct {
		what    string
		kept    []engine.LogHead
		missing []engine.LogHead
	}{
		{"none", nil, nil},
		{"all that were", heads, nil},
		{"by batch and hash alone", []engine.LogHead{bare(heads[1]), bare(heads[7])}, nil},
		{"twice", []engine.LogHead{heads[5], heads[5]}, nil},
		{"another hash", []engine.LogHead{heads[1], other, heads[3]}, []engine.LogHead{other}},
		{"a batch earlier", []engine.LogHead{early}, []engine.LogHead{early}},
		{"behind the end", []engine.LogHead{late, heads[7], other}, []engine.LogHead{late, other}},
		{"a hash before the first batch", []engine.LogHead{root}, []engine.LogHead{root}},
	} {
		kept := slices.Clone(c.kept)
		v, err := log.Verify(ctx, kept...)
		signed, also := log.VerifySigned(ctx, proof.Keys{}, kept...)
		if !slices.Equal(v.Missing, c.missing) || !slices.Equal(signed.Missing, c.missing) {
			t.Errorf("%s: missing are %v, and %v, want %v", c.what, v.Missing, signed.Missing, c.missing)
		}
		if v.Segments < 2 {
			t.Fatalf("%d segments", v.Segments)
		}
		if !slices.Equal(kept, c.kept) {
			t.Errorf("%s: the caller's heads were changed", c.what)
		}
		for _, err := range []error{err, also} {
			if wrong := len(c.missing) > 0; wrong != (err != nil) || wrong && (!errors.Is(err, engine.ErrNotFound) || !errors.Is(err, fs.ErrNotExist)) {
				t.Errorf("%s: %v", c.what, err)
			}
		}
	}
}

// TestVerifyKeptInDamage: damage is named before a head that is missing.
func TestVerifyKeptInDamage(t *testing.T) {
	disk, ctx := simfs.New(simfs.Options{}), context.Background()
	log, err := engine.Open(engine.Options{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	var heads []engine.LogHead
	for range 2 {
		if _, err := log.Append(ctx, engine.Draft{Stream: "s", Type: "t", Data: make([]byte, 10_000)}); err != nil {
			t.Fatal(err)
		}
		heads = append(heads, log.LogHead())
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := afero.Glob(disk, "*.seg")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	file, err := disk.OpenFile(names[0], 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte{1}, 12_000); err != nil { // in the first batch
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	log, err = engine.Open(engine.Options{FS: disk, ReadOnly: true, Salvage: true})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	v, err := log.Verify(ctx, heads...)
	if !errors.Is(err, engine.ErrCorrupt) || errors.Is(err, engine.ErrNotFound) || len(v.Missing) == 0 || v.Missing[0] != heads[0] {
		t.Errorf("%v, missing are %v", err, v.Missing)
	}
}
