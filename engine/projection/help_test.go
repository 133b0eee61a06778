package projection_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/projection"
	"github.com/untorn-db/untorn/simclock"
	"github.com/untorn-db/untorn/simfs"
)

// waits makes an engine.Waits of a simulated clock.
type waits struct{ *simclock.Clock }

func (w waits) Signal(reason string) engine.Signal { return w.Clock.Event(reason) }

// logOn opens the log of a disk. The life tells apart what is drawn at random.
func logOn(disk afero.Fs, life int) (*engine.Log, error) {
	clock := simclock.New(simclock.Epoch())
	var seed [32]byte
	copy(seed[:], fmt.Sprint("life ", life))
	return engine.Open(engine.Options{
		Dir: "log", FS: disk, SegmentSize: 64 << 10, Clock: clock, Waits: waits{clock}, Rand: rand.NewChaCha8(seed),
	})
}

func opened(t testing.TB, disk afero.Fs, life int) *engine.Log {
	t.Helper()
	log, err := logOn(disk, life)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

func newDisk() *simfs.FS { return simfs.New(simfs.Options{}) }

// appended appends one batch of events of type t on a stream.
func appended(t testing.TB, log *engine.Log, stream string, payloads ...string) []engine.Receipt {
	t.Helper()
	var batch engine.Batch
	for _, p := range payloads {
		batch.Events = append(batch.Events, engine.Draft{Stream: stream, Type: "t", Data: []byte(p)})
	}
	receipts, err := log.AppendBatch(context.Background(), batch)
	if err != nil {
		t.Fatal(err)
	}
	return receipts
}

// History is a state that tells exactly which events it has seen: nothing else
// will do for two states to be equal.
type History struct {
	Seen int
	Sum  string // of all events, in order
	Last map[string]string
}

// add is Apply. The map is copied, as it must be.
func (h History) add(e engine.Event) History {
	last := map[string]string{e.Scope + "/" + e.Stream: string(e.Data)}
	for stream, data := range h.Last {
		if _, ok := last[stream]; !ok {
			last[stream] = data
		}
	}
	return History{h.Seen + 1, fmt.Sprintf("%s %d:%s", h.Sum, e.Sequence, e.Data), last}
}

// history defines a projection with such a state.
func history(name string, q engine.Query) projection.Definition[History] {
	return projection.Definition[History]{Name: name, Version: 1, Query: q, Apply: History.add}
}

func made[S any](t testing.TB, d projection.Definition[S]) *projection.Projection[S] {
	t.Helper()
	p, err := projection.New(d)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func setOf(t testing.TB, log *engine.Log, o projection.Options, members ...projection.Member) *projection.Set {
	t.Helper()
	set, err := projection.Open(log, o, members...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// recomputed is the state of a history from zero, up to a sequence, without the
// package that is tested.
func recomputed(log *engine.Log, q engine.Query, to uint64) (h History, err error) {
	if to == 0 {
		return h, nil
	}
	if q.ToSequence == 0 || q.ToSequence > to {
		q.ToSequence = to
	}
	for event, err := range log.Read(q) {
		if err != nil {
			return h, err
		}
		h = h.add(event)
	}
	return h, nil
}

// same says how a projection's state is not that of a history from zero, or nil.
func same(log *engine.Log, p *projection.Projection[History], q engine.Query) error {
	got, at := p.State()
	want, err := recomputed(log, q, at)
	if err != nil {
		return err
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("at event %d projection %q is %.200v, want %.200v", at, p.Name(), got, want)
	}
	return nil
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// kept is options with checkpoints in the folder "checkpoints" of a disk.
func kept(disk afero.Fs, every int) projection.Options {
	return projection.Options{Checkpoints: projection.Checkpoints{FS: disk, Dir: "checkpoints", Every: every}}
}
