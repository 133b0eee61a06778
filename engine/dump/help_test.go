package dump_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/dump"
	"github.com/untorn-db/untorn/simclock"
	"github.com/untorn-db/untorn/simfs"
)

// waits makes an engine.Waits of a simulated clock.
type waits struct{ *simclock.Clock }

func (w waits) Signal(reason string) engine.Signal { return w.Clock.Event(reason) }

// fataler is a test, or an attempt of rapid.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// place is where a log is: a disk, a clock, and what it draws from.
type place struct {
	fs      afero.Fs
	clock   *simclock.Clock
	seed    string
	options engine.Options
}

func newPlace(seed string, options engine.Options) *place {
	if options.SegmentSize == 0 {
		options.SegmentSize = 64 << 10
	}
	return &place{fs: simfs.New(simfs.Options{}), clock: simclock.New(simclock.Epoch()), seed: seed, options: options}
}

func (p *place) try() (*engine.Log, error) {
	o := p.options
	o.Dir, o.FS, o.Clock, o.Waits = "log", p.fs, p.clock, waits{p.clock}
	seed := [32]byte{}
	copy(seed[:], p.seed)
	o.Rand = rand.NewChaCha8(seed)
	p.seed += "'"
	return engine.Open(o)
}

func (p *place) open(t fataler) *engine.Log {
	t.Helper()
	log, err := p.try()
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return log
}

func closed(t fataler, log *engine.Log) {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func testKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

// small appends a few batches that have every field.
func small(t fataler, log *engine.Log, clock *simclock.Clock) {
	t.Helper()
	ctx := context.Background()
	appended := func(b engine.Batch) {
		t.Helper()
		if _, err := log.AppendBatch(ctx, b); err != nil {
			t.Fatalf("append: %v", err)
		}
	}
	appended(engine.Batch{Events: []engine.Draft{{Stream: "s", Type: "t", Data: []byte("null")}}})
	clock.Jump(-time.Hour)
	appended(engine.Batch{Key: "k", Events: []engine.Draft{
		{Scope: "a", Stream: "x", Type: "t", Data: []byte(`{"n":1.50, "é":"\u00e9"}`), Metadata: []byte("m"), Lane: 1, Depth: 2, Flags: 3, PayloadVersion: 4},
		{Scope: "a", Stream: "x", Type: "u", CausedBy: engine.Item(0), Correlation: uuid.UUID{1}, Erasable: true, Data: []byte("secret"), Metadata: []byte(`"m"`)},
		{Stream: "x", Type: "t", Extensions: map[string][]byte{"b": {0}, "": nil, "a\"": []byte("y")}},
	}, Notes: []engine.NoteDraft{{Name: "n", Data: []byte("1")}, {Name: "empty"}}})
	appended(engine.Batch{Notes: []engine.NoteDraft{{Name: "n", Data: []byte("two")}}})
	appended(engine.Batch{Events: []engine.Draft{{Stream: "bytes", Type: "t", Key: "\xff\x00", Data: []byte{0xff}, Extensions: map[string][]byte{"\xff": {1}}}}})
	cursor, err := log.Cursor("c", engine.Query{})
	if err != nil {
		t.Fatalf("cursor: %v", err)
	}
	appended(engine.Batch{Events: []engine.Draft{{Stream: "s", Type: "t"}}, Notes: []engine.NoteDraft{cursor.Move(0, 2)}})
	if _, err := log.Sign(ctx); err != nil {
		t.Fatalf("sign: %v", err)
	}
}

// smallLog is a log with what small appends.
func smallLog(t fataler) *engine.Log {
	t.Helper()
	p := newPlace("source", engine.Options{Signing: &engine.Signing{KeyID: "k", Key: testKey(), When: engine.SignOnDemand}})
	log := p.open(t)
	small(t, log, p.clock)
	return log
}

func dumped(t fataler, log *engine.Log, r dump.Range) []byte {
	t.Helper()
	var text bytes.Buffer
	if _, err := dump.Write(context.Background(), &text, log, r); err != nil {
		t.Fatalf("dump: %v", err)
	}
	return text.Bytes()
}

// imported imports a dump into the log of a place, which gets its id if it is new.
func imported(text []byte, log *engine.Log) (dump.Result, error) {
	r, err := dump.Read(bytes.NewReader(text))
	if err != nil {
		return dump.Result{}, err
	}
	return dump.Import(context.Background(), log, r, dump.Options{})
}

func verified(t fataler, log *engine.Log) {
	t.Helper()
	if v, err := log.Verify(context.Background()); err != nil {
		t.Fatalf("verify: %v, %v", err, v.Problems)
	}
}

// lines splits a dump; each has its line feed.
func lines(text []byte) [][]byte {
	all := bytes.SplitAfter(text, []byte("\n"))
	return all[:len(all)-1]
}
