package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simfs"
)

// readOnly opens a log of a machine to follow it.
func (m *machine) readOnly() *engine.Log {
	m.t.Helper()
	options := m.seams()
	options.ReadOnly = true
	log, err := engine.Open(options)
	if err != nil {
		m.t.Fatalf("open read-only: %v", err)
	}
	return log
}

// TestRefresh: all of a log that is open read-only is what the last look saw.
func TestRefresh(t *testing.T) {
	background := context.Background()
	m := newMachine(t, engine.Options{})
	if err := m.disk.Mkdir("log", 0o755); err != nil {
		t.Fatal(err)
	}
	follower := m.readOnly() // of an empty directory
	refresh := func(want ...string) {
		t.Helper()
		if err := follower.Refresh(background); err != nil {
			t.Fatal(err)
		}
		m.holds(follower, want...)
	}
	refresh()
	log := m.open()
	refresh()
	one := appended(t, log, "one")
	m.holds(follower)
	refresh() // nothing proves it
	if got := payloads(all(t, follower, engine.Query{Buffered: true})); len(got) != 1 {
		t.Errorf("whole is %v", got)
	}
	if head := follower.Head("", "s"); head.Version != 0 {
		t.Errorf("the head is %+v, and nothing is proven", head)
	}
	if _, err := log.AppendBatch(background, engine.Batch{Events: drafts("two"), Notes: []engine.NoteDraft{{Name: "n", Data: []byte("first")}}}); err != nil {
		t.Fatal(err)
	}
	refresh("one")
	if _, ok := follower.Note("n"); ok {
		t.Error("a note is there that nothing proves")
	}
	if _, err := log.AppendBatch(background, engine.Batch{Notes: []engine.NoteDraft{{Name: "n", Data: []byte("second")}}}); err != nil {
		t.Fatal(err)
	}
	refresh("one", "two")
	if note, _ := follower.Note("n"); string(note.Data) != "first" || !note.Durable {
		t.Errorf("the note is %+v", note)
	}
	closed(t, log)
	refresh("one", "two")
	if note, _ := follower.Note("n"); string(note.Data) != "second" || follower.LogHead() != log.LogHead() {
		t.Errorf("the note is %+v, the head %+v", note, follower.LogHead())
	}
	if err := follower.VerifyReceipt(one[0]); err != nil {
		t.Error(err)
	}
	if err := log.Refresh(background); err != nil {
		t.Errorf("of a log that is not read-only: %v", err)
	}
	// On behind the END, which the next session writes once more.
	log = m.open()
	appended(t, log, "three")
	closed(t, log)
	refresh("one", "two", "three")
	cancelled, cancel := context.WithCancel(background)
	cancel()
	if err := follower.Refresh(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	closed(t, follower)
	if err := follower.Refresh(background); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("of a closed log: %v", err)
	}
	for _, o := range []engine.Options{{FollowEvery: -1, ReadOnly: true}, {FollowEvery: 1}} {
		o.FS = m.disk
		if _, err := engine.Open(o); err == nil {
			t.Errorf("opened with %v", o.FollowEvery)
		}
	}
}

// TestWhatDoesNotContinueEndsIt: a log that is gone, another in its place, or
// another history of the same.
func TestWhatDoesNotContinueEndsIt(t *testing.T) {
	const seg1, seg2 = "log/000000000001.seg", "log/000000000002.seg"
	// history returns the files of a log that goes on from a copy.
	history := func(m *machine, from map[string]string, lives ...[]string) map[string]string {
		fork := newMachine(t, m.options)
		fork.lives = m.lives + 10
		write(t, fork.disk, from)
		for _, payloads := range lives {
			log := fork.open()
			for _, payload := range payloads {
				appended(t, log, payload)
			}
			closed(t, log)
		}
		return tree(t, fork.disk)
	}
	for _, test := range []struct {
		what   string
		change func(m *machine, begun map[string]string)
	}{
		{"removed", func(m *machine, _ map[string]string) {
			if err := m.disk.Remove(seg1); err != nil {
				t.Fatal(err)
			}
		}},
		{"another log", func(m *machine, _ map[string]string) {
			write(t, m.disk, history(m, nil, []string{"one", "two"}))
		}},
		{"another history in the same segment", func(m *machine, begun map[string]string) {
			write(t, m.disk, history(m, begun, []string{"TWO"}, []string{"three", "four"}))
		}},
		{"another history in the next segment", func(m *machine, begun map[string]string) {
			write(t, m.disk, history(m, begun, []string{"TWO"}, []string{big("three", 54_000)}))
			if _, err := m.disk.Stat(seg2); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(test.what, func(t *testing.T) {
			m := newMachine(t, engine.Options{})
			log := m.open()
			appended(t, log, "one")
			closed(t, log)
			begun := tree(t, m.disk)
			log = m.open()
			appended(t, log, "two")
			closed(t, log)
			follower := m.readOnly()
			m.holds(follower, "one", "two")
			test.change(m, begun)
			for range 2 {
				if err := follower.Refresh(context.Background()); !errors.Is(err, engine.ErrRecovered) {
					t.Errorf("refresh: %v", err)
				}
			}
			n := 0
			for event, err := range follower.Subscribe(context.Background(), engine.Query{Buffered: true}) {
				if err != nil {
					if !errors.Is(err, engine.ErrRecovered) && !errors.Is(err, engine.ErrCorrupt) && !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("subscribe: %v", err)
					}
					break
				}
				if n++; string(event.Data) != []string{"", "one", "two"}[n] {
					t.Errorf("event %d is %q", n, event.Data)
				}
			}
			closed(t, follower)
		})
	}
}

// write puts files into the log's directory, in place.
func write(t *testing.T, fsys *simfs.FS, files map[string]string) {
	t.Helper()
	if err := fsys.MkdirAll("log", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, bytes := range files {
		if err := afero.WriteFile(fsys, "log/"+name, []byte(bytes), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamageIsNotFollowed: neither around it, nor into it.
func TestDamageIsNotFollowed(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	appended(t, log, "one")
	follower := m.readOnly()
	appended(t, log, "two")
	appended(t, log, "three")
	at := all(t, log, engine.Query{})
	closed(t, log)
	edit(t, m.disk, "log/000000000001.seg", func(b []byte) []byte {
		for i := range b {
			if string(b[i:min(len(b), i+3)]) == "two" {
				b[i] ^= 1
			}
		}
		return b
	})
	if err := follower.Refresh(context.Background()); !errors.Is(err, engine.ErrRecovered) {
		t.Errorf("into damage: %v", err)
	}
	if got := all(t, follower, engine.Query{}); len(got) > 1 || len(at) != 3 {
		t.Errorf("%d events are served", len(got))
	}
	closed(t, follower)
	options := m.seams()
	options.ReadOnly, options.Salvage = true, true
	follower, err := engine.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := follower.Refresh(context.Background()); !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("around damage: %v", err)
	}
	closed(t, follower)
}

// TestACarriedBatchIsNotDurableBeforeItsName: between the rename of a fresh segment
// and the sync of the directory a power cut takes it back.
func TestACarriedBatchIsNotDurableBeforeItsName(t *testing.T) {
	p := newPair(t, 1, engine.Options{})
	p.turns.Run("main", func() {
		process, options := p.process()
		log, err := engine.Open(options)
		if err != nil {
			t.Error(err)
			return
		}
		appendedTo(t, log, "one")
		_, readOnly := p.process()
		readOnly.ReadOnly = true
		reader, err := engine.Open(readOnly)
		if err != nil {
			t.Error(err)
			return
		}
		f := &follower{pair: p, log: reader}
		if _, err := log.AppendBatch(context.Background(), engine.Batch{Events: drafts("two"), Durability: engine.Buffered}); err != nil {
			t.Error(err)
		}
		looks := 0
		process.before = func(where string) {
			if where != "syncdir" {
				return
			}
			looks++
			if err := reader.Refresh(context.Background()); err != nil {
				t.Error(err)
			}
			if stats := reader.Stats(); stats.Written.Sequence != 2 || stats.Durable.Sequence != 1 {
				t.Errorf("before the name is durable %d events are, of %d", stats.Durable.Sequence, stats.Written.Sequence)
			}
			for event, err := range reader.Read(engine.Query{}) {
				if err != nil {
					t.Error(err)
					return
				}
				f.seen = append(f.seen, event)
			}
			f.survives(2)
		}
		process.fail = nothingWritten
		if _, err := log.Append(context.Background(), draft("three")); !errors.Is(err, engine.ErrFailed) {
			t.Errorf("a failing write: %v", err)
		}
		process.before = nil
		if looks != 1 {
			t.Errorf("%d looks", looks)
		}
		appendedTo(t, log, "three")
		if err := reader.Refresh(context.Background()); err != nil || reader.Stats().Durable.Sequence != 2 {
			t.Errorf("%v, %+v", err, reader.Stats().Durable)
		}
		closed(t, reader)
		closed(t, log)
	})
}

// timers counts those that are armed.
type timers struct {
	engine.Waits
	armed int
}

func (w *timers) After(d time.Duration, f func()) (stop func()) {
	w.armed++
	over := false
	end := func() {
		if !over {
			over = true
			w.armed--
		}
	}
	halt := w.Waits.After(d, func() { end(); f() })
	return func() { end(); halt() }
}

// TestNobodyWaitsNoTimer: a log that nobody follows arms none, and one serves all
// who do.
func TestNobodyWaitsNoTimer(t *testing.T) {
	for seed := range uint64(20) {
		p := newPair(t, seed, engine.Options{})
		p.turns.Run("main", func() {
			_, options := p.process()
			log, err := engine.Open(options)
			if err != nil {
				t.Error(err)
				return
			}
			appendedTo(t, log, "one")
			closed(t, log)
			_, options = p.process()
			waits := &timers{Waits: options.Waits}
			options.ReadOnly, options.Waits = true, waits
			follower, err := engine.Open(options)
			if err != nil {
				t.Error(err)
				return
			}
			for _, how := range []string{"the context ends", "the log is closed"} {
				ctx, stop := context.WithCancel(context.Background())
				ended := 0
				for i := range 3 {
					p.turns.Go(fmt.Sprint("subscriber ", i), func() {
						for _, err := range follower.Subscribe(ctx, engine.Query{Buffered: i == 1}) {
							if err != nil {
								ended++
							}
						}
					})
				}
				p.sleep(time.Second + 50*time.Millisecond)
				if waits.armed != 1 {
					t.Errorf("seed %d: three wait, and %d timers are armed", seed, waits.armed)
				}
				if how == "the log is closed" {
					closed(t, follower)
				}
				stop()
				p.sleep(time.Millisecond)
				if waits.armed != 0 || ended != 3 {
					t.Errorf("seed %d: %s, %d of 3 are gone, and %d timers are armed", seed, how, ended, waits.armed)
				}
			}
		})
	}
}

// TestFollowersOnARealDisk: goroutines, rotations, a Close, and a log that is opened
// again. The race detector looks on.
func TestFollowersOnARealDisk(t *testing.T) {
	dir := t.TempDir()
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	const lives, batches = 3, 60
	log := openDir(t, engine.Options{Dir: dir, SegmentSize: 64 << 10})
	follower, err := engine.Open(engine.Options{Dir: dir, ReadOnly: true, FollowEvery: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 3)
	for i := range 2 {
		go func() {
			n := uint64(0)
			for event, err := range follower.Subscribe(ctx, engine.Query{Buffered: i == 1, Limit: 2 * lives * batches}) {
				if err == nil && (event.Sequence != n+1 || string(event.Data[:8]) != fmt.Sprintf("%08d", n)) {
					err = fmt.Errorf("event %d is %.8q behind event %d", event.Sequence, event.Data, n)
				}
				if err != nil {
					done <- err
					return
				}
				n++
			}
			done <- nil
		}()
	}
	go func() {
		for i := ctx.Err(); i == nil; i = ctx.Err() {
			if _, err := follower.Verify(ctx); err != nil {
				done <- err
				return
			}
			_, _ = follower.Head("", "s"), follower.Stats()
			if follower.LogHead().Sequence == 2*lives*batches {
				break
			}
		}
		done <- nil
	}()
	n := 0
	payload := func() []byte {
		defer func() { n++ }()
		return append(fmt.Appendf(nil, "%08d", n), make([]byte, n%7*300)...)
	}
	for life := range lives {
		for i := range batches {
			if _, err := log.AppendBatch(ctx, engine.Batch{Durability: engine.Durability(i % 2), Events: []engine.Draft{
				{Stream: "s", Type: "t", Data: payload()}, {Stream: "s", Type: "t", Data: payload()},
			}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		if life < lives-1 {
			log = openDir(t, engine.Options{Dir: dir, SegmentSize: 64 << 10})
		}
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if err := follower.Close(); err != nil {
		t.Fatal(err)
	}
}
