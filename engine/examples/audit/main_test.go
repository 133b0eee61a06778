package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/simclock"
	"github.com/untorn-db/untorn/simfs"
)

// pretended makes the same hospital each time.
func pretended() engine.Options {
	return engine.Options{
		FS:    simfs.New(simfs.Options{}), // or that of diskfs.Open
		Clock: simclock.New(simclock.Epoch()),
		Rand:  rand.NewChaCha8([32]byte{1}),
	}
}

func Example() {
	if err := run(context.Background(), pretended(), os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// patient-7, record.opened on 2020-01-01, is entry 1 of the trail; signed by hospital-2025
	// patient-8, record.opened on 2020-01-01, is entry 2 of the trail; signed by hospital-2025
	// patient-7, record.opened on 2020-01-01, is entry 3 of the trail; signed by hospital-2026
	// forged receipt: wrong stream: the statement says "patient-8", the event "patient-7"
	// stolen key:     the key may not sign this batch: key hospital-2025 signs batches -3, the head is of batch 5
	// forged trail:   engine: verify: segment 1 is damaged at byte 8192 (interior, event 1): the content of a frame is not whole, but byte 8480 proves that batch 1 was durable
}

// TestAgain: a trail that is there is left alone, since its private keys are gone.
func TestAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data", "audit")
	if err := play(dir, t.Output()); err != nil {
		t.Fatal(err)
	}
	keys, err := os.ReadFile(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	want := dir + " is there already, and its keys are gone: remove it, or name another directory"
	if err := play(dir, t.Output()); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if now, err := os.ReadFile(filepath.Join(dir, "keys")); err != nil || !bytes.Equal(now, keys) {
		t.Errorf("the second time has changed the keys: %v", err)
	}
}

// TestEveryByte of a receipt counts, and none is personal.
func TestEveryByte(t *testing.T) {
	options := pretended()
	if err := run(t.Context(), options, t.Output()); err != nil {
		t.Fatal(err)
	}
	text, err := afero.ReadFile(options.FS, "keys")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := proof.ParseKeys(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		name := fmt.Sprintf("receipt-%d.json", i+1)
		receipt, err := afero.ReadFile(options.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := check(receipt, keys); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, personal := range []string{"Byron", "Gauss", "fever", "curiosity"} {
			if bytes.Contains(receipt, []byte(personal)) {
				t.Errorf("%s says %s", name, personal)
			}
		}
		for at := range receipt {
			changed := slices.Clone(receipt)
			changed[at] ^= 1
			if says, err := check(changed, keys); err == nil {
				t.Errorf("%s with byte %d changed, %q: %s", name, at, changed[max(0, at-10):at+1], says)
			}
		}
	}
	if _, err := check([]byte("{}"), keys); err == nil {
		t.Error("nothing is a receipt")
	}
}
