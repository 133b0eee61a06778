package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simfs"
)

// gate is one that permits a batch if f returns nil.
func gate(name string, f func(p *engine.Proposal) error) engine.Gate {
	return engine.Gate{Name: name, Permit: func(_ context.Context, p *engine.Proposal) error { return f(p) }}
}

func permits(*engine.Proposal) error { return nil }

// denialOf returns the *DeniedError of a call, which must be a rejection and
// nothing else.
func denialOf(t *testing.T, err error) *engine.DeniedError {
	t.Helper()
	matches(t, err, engine.ErrRejected, engine.ErrDenied)
	var denied *engine.DeniedError
	if !errors.As(err, &denied) {
		t.Fatalf("not a denial: %v", err)
	}
	return denied
}

func denials(t *testing.T, log *engine.Log, q engine.NoteQuery) []engine.Denial {
	t.Helper()
	q.Name = engine.DeniedNote
	var list []engine.Denial
	for n, err := range log.Notes(q) {
		if err != nil {
			t.Fatal(err)
		}
		d, err := engine.ParseDenial(n)
		if err != nil {
			t.Fatal(err)
		}
		if len(n.Data) > 4<<10 {
			t.Errorf("a denial of %d bytes", len(n.Data))
		}
		list = append(list, d)
	}
	return list
}

// quotaError is an error of a gate's own.
type quotaError struct{ left int }

func (e *quotaError) Error() string { return fmt.Sprintf("%d left,\nask for more", e.left) } // panics where e is nil

// TestGates: what each answer of a gate makes of the batch, and of the gates
// behind it.
func TestGates(t *testing.T) {
	plain := errors.New("not today")
	for _, row := range []struct {
		name   string
		second func(p *engine.Proposal) error
		reason string // "" permitted
		is     error
	}{
		{"permitted", permits, "", nil},
		{"denied", func(*engine.Proposal) error { return plain }, "not today", plain},
		{"denied with a type", func(*engine.Proposal) error { return fmt.Errorf("quota: %w", &quotaError{3}) }, "quota: 3 left,\nask for more", nil},
		{"panicked", func(*engine.Proposal) error { panic("a bug") }, "panic: a bug", nil},
		{"panicked with nil", func(*engine.Proposal) error { panic(nil) }, "panic: " + new(runtime.PanicNilError).Error(), nil},
		{"panicked in telling", func(*engine.Proposal) error { return (*quotaError)(nil) }, "panic: runtime error: invalid memory address or nil pointer dereference", nil},
		{"panicked with an error", func(*engine.Proposal) error { panic(fmt.Errorf("audit: %w", plain)) }, "panic: audit: not today", plain},
		{"panicked with a doubt", func(*engine.Proposal) error { panic(fmt.Errorf("audit: %w", engine.ErrInDoubt)) }, "panic: audit: " + engine.ErrInDoubt.Error(), nil},
		{"panicked with a failure", func(*engine.Proposal) error { panic(engine.ErrFailed) }, "panic: " + engine.ErrFailed.Error(), nil},
		{"panicked with a cursor of its own", func(*engine.Proposal) error { panic(fmt.Errorf("audit: %w", engine.ErrCursorMoved)) }, "panic: audit: " + engine.ErrCursorMoved.Error(), nil},
		{"met a doubt of its own", func(*engine.Proposal) error {
			return fmt.Errorf("audit: %w, %w, %w", engine.ErrInDoubt, engine.ErrFailed, fs.ErrClosed)
		}, "audit: " + engine.ErrInDoubt.Error() + ", " + engine.ErrFailed.Error() + ", " + fs.ErrClosed.Error(), fs.ErrClosed},
	} {
		t.Run(row.name, func(t *testing.T) {
			var asked []string
			asking := func(name string, f func(p *engine.Proposal) error) engine.Gate {
				return gate(name, func(p *engine.Proposal) error { asked = append(asked, name); return f(p) })
			}
			m := newMachine(t, engine.Options{Gates: []engine.Gate{asking("a", permits), asking("b", row.second), asking("c", permits)}})
			log := m.open()
			ctx := context.Background()
			calls := map[string]func() error{
				"Append": func() error { _, err := log.Append(ctx, draft("x")); return err },
				"AppendBatch": func() error {
					_, err := log.AppendBatch(ctx, engine.Batch{Events: drafts("x"), Notes: []engine.NoteDraft{note("n", "1")}})
					return err
				},
				"a batch of notes": func() error {
					_, err := log.AppendBatch(ctx, engine.Batch{Notes: []engine.NoteDraft{note("n", "1")}, Durability: engine.Buffered})
					return err
				},
				"Tx": func() error {
					tx := log.Begin("k", engine.Durable)
					stage(t, tx, draft("x"))
					_, err := tx.Commit(ctx)
					return err
				},
			}
			for what, call := range calls {
				before, files := log.Stats().Batches, tree(t, m.disk)
				asked = nil
				err := call()
				if row.reason == "" {
					is(t, what+": asked", asked, []string{"a", "b", "c"})
					if err != nil || log.Stats().Batches != before+1 {
						t.Errorf("%s: %v", what, err)
					}
					continue
				}
				is(t, what+": asked", asked, []string{"a", "b"})
				denied := denialOf(t, err)
				trace := fmt.Sprint([]engine.GateResult{{"a", engine.Permitted, ""}, {"b", engine.Denied, row.reason}, {"c", engine.Skipped, ""}})
				if got := fmt.Sprint(denied.Trace); got != trace || denied.Gate != "b" || denied.Reason != row.reason || denied.Recorded || denied.RecordErr != nil {
					t.Errorf("%s: %+v, want the trace %s", what, denied, trace)
				}
				if row.is != nil && !errors.Is(err, row.is) {
					t.Errorf("%s: the gate's own error is not reached: %v", what, err)
				}
				if text := `rejected, nothing was written: gate "b" has denied the batch: ` + strings.ReplaceAll(row.reason, "\n", " "); !strings.HasSuffix(err.Error(), text) {
					t.Errorf("%s: %q does not end in %q", what, err, text)
				}
				var quota *quotaError
				if errors.As(err, &quota) != (row.name == "denied with a type") {
					t.Errorf("%s: the gate's own type: %+v", what, quota)
				}
				var panicked *engine.PanicError
				if errors.As(err, &panicked) != strings.HasPrefix(row.name, "panicked") {
					t.Errorf("%s: a panic: %+v", what, panicked)
				}
				if panicked != nil && !strings.Contains(string(panicked.Stack), "TestGates.func") {
					t.Errorf("%s: the stack of the panic is %s", what, panicked.Stack)
				}
				matches(t, err, engine.ErrRejected, engine.ErrDenied)
				if errors.Is(err, engine.ErrCursorMoved) {
					t.Errorf("%s: no cursor was moved: %v", what, err)
				}
				if log.Stats().Batches != before || fmt.Sprint(tree(t, m.disk)) != fmt.Sprint(files) {
					t.Errorf("%s: the denial has left something", what)
				}
			}
			closed(t, log)
		})
	}
}

// TestOptionsOfGates: what is wrong with them is told at once, and the list is the
// log's own.
func TestOptionsOfGates(t *testing.T) {
	m := newMachine(t, engine.Options{MaxMetadata: 4000, Gates: []engine.Gate{
		gate("", permits), gate("a", permits), gate("a", permits), gate("b\n", permits), {Name: "c"}, gate(strings.Repeat("x", 256), permits),
		{Name: "d", Permit: func(context.Context, *engine.Proposal) error { return nil }, Record: true},
	}})
	_, err := engine.Open(m.seams())
	for _, problem := range []string{
		"Gates[0] has no name", `Gates[2] has the name of Gates[1], "a"`, `Gates[3] has the name "b\n"`, "Gates[4] has no Permit",
		"Gates[5] has a name of 256 bytes", "Gates[6] records its denials: MaxMetadata must be at least 4096, and MaxBatchBytes at least 8192",
	} {
		if err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%v does not say %q", err, problem)
		}
	}
	if err != nil && strings.Contains(err.Error(), "Gates[1] ") {
		t.Errorf("a good gate is refused: %v", err)
	}

	gates := []engine.Gate{gate(strings.Repeat("é", 127), permits)}
	m = newMachine(t, engine.Options{Gates: gates})
	log := m.open()
	gates[0] = engine.Gate{}
	appended(t, log, "x")
	closed(t, log)
}

// TestGatesAreAskedAboutWhatCanBe written: not about what is invalid, and not
// where the log takes nothing.
func TestGatesAreAskedAboutWhatCanBe(t *testing.T) {
	asked := 0
	m := newMachine(t, engine.Options{Gates: []engine.Gate{gate("no", func(*engine.Proposal) error { asked++; return errors.New("no") })}})
	log := m.open()
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	ctx := context.Background()
	_, err := log.Append(ctx, engine.Draft{Stream: "s"})
	matches(t, err, engine.ErrRejected, engine.ErrInvalid)
	_, err = log.Append(ended, draft("x"))
	matches(t, err, engine.ErrRejected, context.Canceled)
	if receipts, err := log.AppendBatch(ctx, engine.Batch{}); receipts != nil || err != nil {
		t.Errorf("an empty batch: %v, %v", receipts, err)
	}
	closed(t, log)
	_, err = log.Append(ctx, draft("x"))
	matches(t, err, engine.ErrRejected, engine.ErrClosed)
	m.options.ReadOnly = true
	log = m.open()
	_, err = log.Append(ctx, draft("x"))
	matches(t, err, engine.ErrRejected, engine.ErrReadOnly)
	closed(t, log)
	if asked != 0 {
		t.Errorf("the gate was asked %d times", asked)
	}
}

// TestWhatAGateSeesIsWhatIsWritten: though a gate writes to all that it is given,
// and to the caller's own slices.
func TestWhatAGateSeesIsWhatIsWritten(t *testing.T) {
	ctx := context.Background()
	make2 := func() engine.Batch {
		return engine.Batch{Key: "k", Durability: engine.Durable, Notes: []engine.NoteDraft{note("n", "noted"), note("n2", "")}, Events: []engine.Draft{
			{Scope: "sc", Stream: "a", Type: "t1", Data: []byte("data"), Metadata: []byte("meta"), Extensions: map[string][]byte{"x": []byte("ext")}, PayloadVersion: 7},
			{Stream: "b", Type: "t2", Data: []byte("more"), CausedBy: engine.Item(0)},
			{Stream: "b", Type: "t1"},
		}}
	}
	var mine engine.Batch // the caller's
	var kept *engine.Proposal
	seen := func(p *engine.Proposal) string {
		var text strings.Builder
		fmt.Fprintf(&text, "%q %v %d %v %q\n", p.Key(), p.Durability(), p.Len(), p.Streams(), p.Types())
		for i, d := range p.Events() {
			fmt.Fprintf(&text, "%d %q %q %q %q %q %q %d %t\n", i, d.Scope, d.Stream, d.Type, d.Data, d.Metadata, d.Extensions, d.PayloadVersion, d.CausedBy == engine.Item(0))
		}
		for i, n := range p.Notes() {
			fmt.Fprintf(&text, "%d %q %q\n", i, n.Name, n.Data)
		}
		return text.String()
	}
	vandal := func(p *engine.Proposal) error {
		for _, d := range p.Events() {
			for _, b := range [][]byte{d.Data, d.Metadata, d.Extensions["x"]} {
				copy(b[:cap(b)], "XXXXXXXXXXXXXXXXXXXXXXXX")
			}
			clear(d.Extensions)
		}
		for _, n := range p.Notes() {
			copy(n.Data[:cap(n.Data)], "XXXXXXXX")
		}
		clear(p.Streams())
		clear(p.Types())
		for _, d := range mine.Events {
			clear(d.Data)
			clear(d.Metadata)
			clear(d.Extensions["x"])
			clear(d.Extensions)
		}
		for _, n := range mine.Notes {
			clear(n.Data)
		}
		for i := range mine.Events {
			mine.Events[i] = engine.Draft{Stream: "\x00"} // invalid
		}
		clear(mine.Notes)
		return nil
	}
	var first, second string
	m := newMachine(t, engine.Options{Gates: []engine.Gate{
		gate("first", func(p *engine.Proposal) error { first = seen(p); return nil }),
		gate("vandal", vandal),
		gate("second", func(p *engine.Proposal) error {
			if second = seen(p); kept == nil {
				kept = p
			}
			return nil
		}),
	}})
	log := m.open()
	mine = make2()
	receipts, err := log.AppendBatch(ctx, mine)
	if err != nil {
		t.Fatal(err)
	}
	want := `"k" 0 3 [{sc a} { b}] ["t1" "t2"]
0 "sc" "a" "t1" "data" "meta" map["x":"ext"] 7 false
1 "" "b" "t2" "more" "" map[] 0 true
2 "" "b" "t1" "" "" map[] 0 false
0 "n" "noted"
1 "n2" ""
`
	if first != want || second != want {
		t.Errorf("the gates have seen\n%s\nand\n%s\nwant\n%s", first, second, want)
	}
	appended(t, log, "another") // with the room of the call
	if again := seen(kept); again != want {
		t.Errorf("a proposal that was kept has become\n%s", again)
	}
	check := func(log *engine.Log) {
		t.Helper()
		for i, e := range all(t, log, engine.Query{ToSequence: 3}) {
			d := make2().Events[i]
			if e.Scope != d.Scope || e.Stream != d.Stream || e.Type != d.Type || !bytes.Equal(e.Data, d.Data) || !bytes.Equal(e.Metadata, d.Metadata) ||
				fmt.Sprint(e.Extensions) != fmt.Sprint(d.Extensions) || e.ID != receipts[i].ID {
				t.Errorf("event %d: %+v", i, e)
			}
		}
		is(t, "notes", noted(t, log, engine.NoteQuery{}), []string{"n=noted@1", "n2=@1"})
		if last, _ := log.Note("n"); string(last.Data) != "noted" {
			t.Errorf("the last note: %q", last.Data)
		}
		verified(t, log)
	}
	check(log)
	if again, err := log.AppendBatch(ctx, make2()); err != nil || !again[0].Equal(receipts[0]) {
		t.Errorf("a retry: %v, %v", again, err)
	}
	closed(t, log)
	log = m.open()
	check(log)
	closed(t, log)
}

// TestAGateThatEndsItsGoroutine leaves nothing: the log goes on.
func TestAGateThatEndsItsGoroutine(t *testing.T) {
	armed := true
	m := newMachine(t, engine.Options{Gates: []engine.Gate{{Name: "exit", Record: true, Permit: func(context.Context, *engine.Proposal) error {
		if armed {
			runtime.Goexit()
		}
		return nil
	}}}})
	log := m.open()
	returned, ended := false, make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = log.Append(context.Background(), draft("never"))
		returned = true
	}()
	<-ended
	if returned || !log.MutexFree() || log.Stats().Batches != 0 {
		t.Errorf("returned %v, %d batches", returned, log.Stats().Batches)
	}
	armed = false
	appended(t, log, "x")
	m.holds(log, "x")
	closed(t, log)
	m.reopened("x")
}

// TestAGateMayUseTheLog: it reads, appends, and even closes it.
func TestAGateMayUseTheLog(t *testing.T) {
	ctx := context.Background()
	var log *engine.Log
	audit := gate("audit", func(p *engine.Proposal) error {
		for _, d := range p.Events() {
			if d.Type == "audited" {
				return nil // its own
			}
			if string(d.Data) == "close" {
				return log.Close()
			}
		}
		for _, err := range log.Read(engine.Query{}) {
			if err != nil {
				return err
			}
		}
		_, err := log.Append(ctx, engine.Draft{Stream: "audit", Type: "audited", Data: []byte("seen"), Expect: engine.Exactly(log.LogHead().Sequence / 2)})
		return err
	})
	m := newMachine(t, engine.Options{Gates: []engine.Gate{audit}})
	log = m.open()
	appended(t, log, "one")
	appended(t, log, "two")
	m.holds(log, "seen", "one", "seen", "two")
	_, err := log.Append(ctx, draft("close"))
	matches(t, err, engine.ErrRejected, engine.ErrClosed)
	if errors.Is(err, engine.ErrDenied) {
		t.Errorf("the gate has permitted it: %v", err)
	}
	m.reopened("seen", "one", "seen", "two")
}

// TestGatesUnderManyClients: others run while a gate thinks, nothing is held, and
// each call has its own outcome.
func TestGatesUnderManyClients(t *testing.T) {
	const clients, calls = 8, 4
	ctx := context.Background()
	together := 0
	for seed := range uint64(30) {
		var c *crowd
		inside := 0
		gates := []engine.Gate{gate("slow", func(*engine.Proposal) error {
			if inside++; inside > 1 {
				together++
			}
			c.turns.Switch("gate")
			inside--
			return nil
		}), gate("odd", func(p *engine.Proposal) error {
			for _, d := range p.Events() {
				if len(d.Data)%2 == 1 {
					return errors.New("odd")
				}
			}
			return nil
		})}
		gates[1].Record = true
		newCrowd(t, seed, engine.Options{Gates: gates, SegmentSize: 64 << 10}, func(made *crowd) {
			c = made
			c.each(clients, func(i int) {
				for k := range calls {
					b := engine.Batch{Events: []engine.Draft{{Stream: fmt.Sprint("s", i), Type: "t", Data: make([]byte, i+k)}}, Durability: engine.Durability(i / 2 % 2)}
					receipts, err := c.log.AppendBatch(ctx, b)
					if (i+k)%2 == 0 {
						if err != nil || receipts[0].Version != uint64(k/2+1) {
							t.Errorf("seed %d: %v, %v", seed, receipts, err)
						}
						continue
					}
					if denied := denialOf(t, err); !denied.Recorded || denied.Gate != "odd" {
						t.Errorf("seed %d: %+v", seed, denied)
					}
				}
			})
			if err := c.log.Sync(ctx); err != nil {
				t.Error(err)
			}
			if events, notes := len(all(t, c.log, engine.Query{})), len(denials(t, c.log, engine.NoteQuery{})); events != clients*calls/2 || notes != clients*calls/2 {
				t.Errorf("seed %d: %d events, %d denials", seed, events, notes)
			}
			verified(t, c.log)
		})
	}
	if together == 0 {
		t.Error("no two clients were in a gate at the same time")
	}
}

// TestGatesOnARealDisk: with goroutines, each of which uses its slices again when
// its call has returned. The race detector looks on.
func TestGatesOnARealDisk(t *testing.T) {
	const clients, calls = 8, 20
	ctx := context.Background()
	var log *engine.Log
	gates := []engine.Gate{gate("looks", func(p *engine.Proposal) error {
		for _, d := range p.Events() {
			if head := log.Head(d.Scope, d.Stream); head.Version >= calls/2 {
				return fmt.Errorf("stream %q is full", d.Stream)
			}
			clear(d.Data)
		}
		return nil
	})}
	gates[0].Record = true
	log, err := engine.Open(engine.Options{Dir: t.TempDir(), Gates: gates})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			b := engine.Batch{Events: []engine.Draft{{Stream: fmt.Sprint("s", i), Type: "t", Data: make([]byte, 100), Extensions: map[string][]byte{"x": {1}}}}}
			for k := range calls {
				for at := range b.Events[0].Data {
					b.Events[0].Data[at] = byte(k + 1)
				}
				b.Events[0].Extensions["x"] = []byte{byte(k)}
				_, err := log.AppendBatch(ctx, b)
				if (err == nil) != (k < calls/2) || err != nil && !errors.Is(err, engine.ErrDenied) {
					t.Errorf("client %d, call %d: %v", i, k, err)
				}
			}
		})
	}
	group.Wait()
	for _, e := range all(t, log, engine.Query{}) {
		if n := bytes.Count(e.Data, []byte{byte(e.Version)}); n != 100 || e.Extensions["x"][0] != byte(e.Version-1) {
			t.Errorf("event %d: %q", e.Sequence, e.Data)
		}
	}
	if n := len(denials(t, log, engine.NoteQuery{})); n != clients*calls/2 {
		t.Errorf("%d denials", n)
	}
	verified(t, log)
}

// recording is a machine with a gate that denies, and records, what has a payload
// that begins with "no".
func recording(t *testing.T) *machine {
	no := gate("no", func(p *engine.Proposal) error {
		for _, d := range p.Events() {
			if strings.HasPrefix(string(d.Data), "no") {
				return errors.New("a payload that says no")
			}
		}
		return nil
	})
	no.Record = true
	return newMachine(t, engine.Options{SegmentSize: 1 << 20, Gates: []engine.Gate{gate("fine", permits), no, gate("never asked", permits)}})
}

// TestARecordedDenial is durable unless the batch was not to be, says what was
// denied, and no gate was asked about it.
func TestARecordedDenial(t *testing.T) {
	ctx := context.Background()
	m := recording(t)
	asked := 0
	m.options.Gates[0].Permit = func(context.Context, *engine.Proposal) error { asked++; return nil }
	log := m.open()
	appended(t, log, "yes")
	b := engine.Batch{Key: "k", Notes: []engine.NoteDraft{note("n", "secret")}, Events: []engine.Draft{
		draft("no, secret"), {Scope: "x", Stream: "s", Type: "u"}, {Stream: "s", Type: "u"},
	}}
	ended, cancel := context.WithCancel(ctx)
	m.options.Gates[0].Permit = func(context.Context, *engine.Proposal) error { cancel(); return nil } // of the next life
	_, err := log.AppendBatch(ctx, b)
	if denied := denialOf(t, err); !denied.Recorded || denied.RecordErr != nil {
		t.Errorf("%+v", denied)
	}
	if asked != 2 {
		t.Errorf("a gate was asked %d times about two batches: the note is the log's own", asked)
	}
	want := `{"trace":[{"gate":"fine","verdict":"permitted"},{"gate":"no","verdict":"denied","reason":"a payload that says no"},{"gate":"never asked","verdict":"skipped"}],` +
		`"events":3,"notes":1,"streams":[{"stream":"s"},{"scope":"x","stream":"s"}],"types":["t","u"],"names":["n"],"key":"k"}`
	check := func(log *engine.Log, n int) {
		t.Helper()
		m.holds(log, "yes")
		if list := denials(t, log, engine.NoteQuery{}); len(list) != n {
			t.Errorf("%d denials, want %d", len(list), n)
		}
		if first, _ := log.Note(engine.DeniedNote); n == 1 && (string(first.Data) != want || first.Batch != 2 || !first.Durable) {
			t.Errorf("the note: %s of batch %d", first.Data, first.Batch)
		}
	}
	check(log, 1)
	m.powerLoss(simfs.Oldest())
	log = m.open()
	check(log, 1)

	// That the caller's context has ended meanwhile does not keep it from the log.
	_, err = log.AppendBatch(ended, b)
	if denied := denialOf(t, err); !denied.Recorded || ended.Err() == nil {
		t.Errorf("%+v", denied)
	}
	// Of a buffered batch it is not synced.
	b.Durability = engine.Buffered
	_, err = log.AppendBatch(ctx, b)
	if denied := denialOf(t, err); !denied.Recorded {
		t.Errorf("%+v", denied)
	}
	check(log, 2)
	if list := denials(t, log, engine.NoteQuery{Buffered: true}); len(list) != 3 {
		t.Errorf("%d denials that are written", len(list))
	}
	m.powerLoss(simfs.Oldest())
	log = m.open()
	check(log, 2)
	closed(t, log)
}

// TestADenialThatCannotBeRecorded stands all the same, and says nothing of the
// batch but that it is rejected.
func TestADenialThatCannotBeRecorded(t *testing.T) {
	ctx := context.Background()
	for _, row := range []struct {
		name   string
		faults []string
		says   error
		goesOn bool
	}{
		{"write error", []string{"step=1 writeat seg #1: fail EIO"}, engine.ErrFailed, true},
		{"sync error", []string{"step=1 syncdata seg #1: failsync ext4"}, engine.ErrInDoubt, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := recording(t)
			log := m.open(row.faults...)
			m.happen()
			_, err := log.Append(ctx, engine.Draft{Stream: "s", Type: "t", Key: "k", Data: []byte("no")})
			m.happened()
			denied := denialOf(t, err)
			matches(t, denied.RecordErr, row.says)
			if denied.Recorded || !strings.Contains(err.Error(), "that could not be recorded") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%+v: %v", denied, err)
			}
			if _, err := log.Append(ctx, draft("yes")); row.goesOn != (err == nil) {
				t.Errorf("the next: %v", err)
			}
			if got := log.Stats().Failed; row.goesOn != (got == nil) {
				t.Errorf("failed: %v", got)
			}
			_ = log.Close() // what is in doubt was told of
			m.powerLoss(simfs.Latest())
			log = m.open()
			if row.goesOn {
				m.holds(log, "yes")
			} else {
				m.holds(log)
			}
			if _, err := log.ReceiptOf("k"); !errors.Is(err, engine.ErrNotFound) {
				t.Errorf("the key of the denied: %v", err)
			}
			closed(t, log)
		})
	}
}

// TestADenialOnALogThatIsClosed meanwhile is still one, and what the log says of
// the note is not taken for an answer to the batch.
func TestADenialOnALogThatIsClosed(t *testing.T) {
	var log *engine.Log
	last := gate("last", func(*engine.Proposal) error { return errors.Join(errors.New("enough"), log.Close()) })
	last.Record = true
	m := newMachine(t, engine.Options{Gates: []engine.Gate{last}})
	log = m.open()
	_, err := log.Append(context.Background(), draft("x"))
	denied := denialOf(t, err)
	matches(t, denied.RecordErr, engine.ErrRejected, engine.ErrClosed)
	if denied.Recorded || errors.Is(err, engine.ErrClosed) {
		t.Errorf("%+v: %v", denied, err)
	}
	m.reopened()
}

// TestADenialIsBounded: whatever is denied, and by however many.
func TestADenialIsBounded(t *testing.T) {
	ctx := context.Background()
	long := func(i int) string { return fmt.Sprintf("%03d%s", i, strings.Repeat(`"<é`, 60)) }
	short := func(i int) string { return fmt.Sprintf("%03d", i) }
	for _, row := range []struct {
		name               string
		text               func(i int) string
		gates, at, n, most int
	}{
		{"little", short, 3, 1, 3, 16},
		{"as many as there is room for", short, 16, 15, 16, 16},
		{"many short", short, 60, 30, 100, 16},
		{"many long", long, 60, 59, 100, 1},
		{"long ones, few", long, 2, 0, 2, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			var gates []engine.Gate
			for i := range row.gates {
				gates = append(gates, gate(row.text(i), permits))
			}
			reason := strings.Repeat("é\"\n", 3000)
			gates[row.at].Permit = func(context.Context, *engine.Proposal) error { return errors.New(reason) }
			gates[row.at].Record = true
			m := newMachine(t, engine.Options{Gates: gates})
			log := m.open()
			var b engine.Batch
			for i := range row.n {
				b.Events = append(b.Events, engine.Draft{Scope: row.text(i), Stream: row.text(i), Type: row.text(i), Key: "\xff\x00<" + row.text(i)})
				b.Notes = append(b.Notes, note(row.text(i), "1"), note(row.text(i), "2"))
			}
			_, err := log.AppendBatch(ctx, b)
			if denied := denialOf(t, err); !denied.Recorded || denied.Reason != reason || len(denied.Trace) != row.gates {
				t.Fatalf("%v, %d gates: %.300v", denied.Recorded, len(denied.Trace), denied.RecordErr)
			}
			d := denials(t, log, engine.NoteQuery{})[0]
			for what, list := range map[string][2]int{
				"streams": {len(d.Streams), d.MoreStreams}, "types": {len(d.Types), d.MoreTypes}, "names": {len(d.Names), d.MoreNames}, "keys": {len(d.Keys), d.MoreKeys},
			} {
				if list[0]+list[1] != row.n || list[0] > row.most || row.most > 1 && list[0] < min(row.most, row.n) && row.name != "long ones, few" {
					t.Errorf("%s: %d and %d more, of %d", what, list[0], list[1], row.n)
				}
			}
			if d.Events != row.n || d.Notes != 2*row.n || len(d.Trace)+d.MoreGates != row.gates {
				t.Errorf("%d events, %d notes, %d gates and %d more", d.Events, d.Notes, len(d.Trace), d.MoreGates)
			}
			if len(d.Keys) > 0 && d.Keys[0] != "\ufffd\ufffd<"+row.text(0) {
				t.Errorf("the key: %q", d.Keys[0])
			}
			found := false
			for i, r := range d.Trace {
				switch {
				case r.Verdict == engine.Denied:
					found = r.Gate == row.text(row.at) && len(r.Reason) <= 1003 && strings.HasPrefix(r.Reason, "é\" é\" ") && strings.HasSuffix(r.Reason, "…")
				case (r.Verdict == engine.Permitted) == found, r.Reason != "":
					t.Errorf("result %d: %+v", i, r)
				}
			}
			if !found {
				t.Errorf("the one that denied is not there: %.400v", d.Trace)
			}
			closed(t, log)
		})
	}
}

// TestARetryPassesNoGate: what the log has was permitted once, and its receipts
// are the answer, whatever a gate would say now.
func TestARetryPassesNoGate(t *testing.T) {
	ctx := context.Background()
	asked, deny := 0, false
	var during func()
	closing := gate("closing", func(p *engine.Proposal) error {
		asked++
		if f := during; f != nil {
			during = nil
			f()
		}
		if deny {
			return errors.New("closed for today")
		}
		return nil
	})
	closing.Record = true
	m := newMachine(t, engine.Options{Gates: []engine.Gate{closing}})
	log := m.open()
	batch := func(key, payload string) engine.Batch {
		return engine.Batch{Key: key, Events: drafts(payload, "too"), Notes: []engine.NoteDraft{note("n", payload)}}
	}
	first, err := log.AppendBatch(ctx, batch("k", "one"))
	if err != nil || asked != 1 {
		t.Fatal(asked, err)
	}
	deny = true
	retried := func() {
		t.Helper()
		asked = 0
		again, err := log.AppendBatch(ctx, batch("k", "one"))
		if err != nil || !again[0].Equal(first[0]) || !again[1].Equal(first[1]) || asked != 0 {
			t.Errorf("a retry: %v, %v, %d times asked", again, err, asked)
		}
		_, err = log.AppendBatch(ctx, batch("k", "another"))
		matches(t, err, engine.ErrRejected, engine.ErrKeyConflict)
		denialOf(t, func() error { _, err := log.AppendBatch(ctx, batch("l", "one")); return err }())
		if asked != 1 {
			t.Errorf("a new key: %d times asked", asked)
		}
	}
	retried()
	m.powerLoss(simfs.Oldest())
	log = m.open()
	retried()

	// The first call comes through while the gate thinks about the retry.
	before := len(denials(t, log, engine.NoteQuery{}))
	asked = 0
	during = func() {
		deny = false
		first, err = log.AppendBatch(ctx, batch("m", "two"))
		deny = true
	}
	again, err2 := log.AppendBatch(ctx, batch("m", "two"))
	if err != nil || err2 != nil || !again[0].Equal(first[0]) || asked != 2 {
		t.Errorf("%v, %v, %v, %d times asked", again, err, err2, asked)
	}
	if n := len(denials(t, log, engine.NoteQuery{})); n != before {
		t.Errorf("%d denials, want %d: nobody was told of it", n, before)
	}
	m.holds(log, "one", "too", "two", "too")
	closed(t, log)
}

// TestAGateThatDeniesWhatIsThere keeps no client of several, all with one batch,
// from its receipts.
func TestAGateThatDeniesWhatIsThere(t *testing.T) {
	ctx := context.Background()
	tooLate := 0
	for seed := range uint64(60) {
		var c *crowd
		once := gate("once", func(p *engine.Proposal) error {
			c.turns.Switch("gate")
			if c.log.Head("", "s").Version > 0 {
				tooLate++
				return errors.New("there is one already")
			}
			return nil
		})
		newCrowd(t, seed, engine.Options{Gates: []engine.Gate{once}}, func(made *crowd) {
			c = made
			var receipts [6]engine.Receipt
			c.each(len(receipts), func(i int) {
				for range i {
					c.turns.Switch("later")
				}
				var err error
				if receipts[i], err = c.log.Append(ctx, engine.Draft{Stream: "s", Type: "t", Key: "k", Expect: engine.NoStream}); err != nil {
					t.Errorf("seed %d, client %d: %v", seed, i, err)
				}
			})
			for i, r := range receipts {
				if !r.Equal(receipts[0]) {
					t.Errorf("seed %d, client %d: %+v", seed, i, r)
				}
			}
		})
	}
	if tooLate == 0 {
		t.Error("the gate never came too late: the test does not test what it says")
	}
}

// TestGatesAndCursors: moves pass the gates, and what handlers append; an event
// whose effects are denied is dead, unless that is denied, too.
func TestGatesAndCursors(t *testing.T) {
	ctx := context.Background()
	var moves int
	denyDead := false
	gates := []engine.Gate{gate("effects", func(p *engine.Proposal) error {
		for _, n := range p.Notes() {
			if strings.HasPrefix(n.Name, "untorn.cursor/") {
				moves++
			}
		}
		for _, d := range p.Events() {
			if string(d.Data) == "forbidden" || denyDead && d.Type == engine.DeadLetterType {
				return fmt.Errorf("no %s", d.Type)
			}
		}
		return nil
	})}
	m := newMachine(t, engine.Options{Gates: gates})
	log := m.open()
	appended(t, log, "one", "two", "three")
	cursor, err := log.Cursor("c", engine.Query{Stream: "s", ToSequence: 3})
	if err != nil {
		t.Fatal(err)
	}
	handler := func(_ context.Context, e engine.Event, effects *engine.Effects) error {
		d := engine.Draft{Stream: "effects", Type: "e", Data: []byte("fine")}
		if string(e.Data) == "two" {
			d.Data = []byte("forbidden")
		}
		_, err := effects.Append(d)
		return err
	}
	how := engine.Handling{Attempts: 2, DeadLetter: engine.StreamName{Stream: "dead"}}
	denyDead = true
	denialOf(t, cursor.Handle(ctx, how, handler))
	if at, err := cursor.Position(); at != 1 || err != nil {
		t.Errorf("the cursor is at %d, %v", at, err)
	}
	denyDead = false
	if err := cursor.Handle(ctx, how, handler); err != nil {
		t.Fatal(err)
	}
	if dead := all(t, log, engine.Query{Stream: "dead"}); len(dead) != 1 || !strings.Contains(string(dead[0].Data), "has denied the batch: no e") {
		t.Errorf("dead letters: %q", payloads(dead))
	}
	if at, err := cursor.Position(); at != 3 || err != nil || moves < 5 {
		t.Errorf("the cursor is at %d, %v; the gate has seen %d moves", at, err, moves)
	}
	closed(t, log)
}

func TestBadDenials(t *testing.T) {
	for _, row := range []struct {
		name, data string
		says       error
	}{
		{"another", "{}", engine.ErrInvalid},
		{engine.DeniedNote, "", engine.ErrVersion},
		{engine.DeniedNote, "[1]", engine.ErrVersion},
		{engine.DeniedNote, `{"trace":[{"gate":"g","verdict":"permitted"}]}`, engine.ErrVersion},
		{engine.DeniedNote, `{"trace":[{"gate":"g","verdict":"denied"}],"later":1}`, nil},
	} {
		if _, err := engine.ParseDenial(engine.Note{Name: row.name, Data: []byte(row.data)}); !errors.Is(err, row.says) || (err == nil) != (row.says == nil) {
			t.Errorf("%s %s: %v", row.name, row.data, err)
		}
	}
}

// FuzzParseDenial: what is taken says who has denied, and is the same when it is
// written again.
func FuzzParseDenial(f *testing.F) {
	f.Add([]byte(`{"trace":[{"gate":"a","verdict":"permitted"},{"gate":"b","verdict":"denied","reason":"r"}],"events":1,"streams":[{"stream":"s"}],"more_types":3}`))
	f.Add([]byte(`{"trace":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := engine.ParseDenial(engine.Note{Name: engine.DeniedNote, Data: data})
		if err != nil {
			if !errors.Is(err, engine.ErrVersion) {
				t.Fatal(err)
			}
			return
		}
		again, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		d2, err := engine.ParseDenial(engine.Note{Name: engine.DeniedNote, Data: again})
		if err != nil {
			t.Fatal(err)
		}
		if third, _ := json.Marshal(d2); !bytes.Equal(third, again) || len(d.Trace) == 0 {
			t.Fatalf("%s has become %s", again, third)
		}
	})
}
