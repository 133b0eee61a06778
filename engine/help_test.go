package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/simclock"
	"github.com/untorn-db/untorn/simfs"
)

// waits makes an engine.Waits of a simulated clock.
type waits struct{ *simclock.Clock }

func (w waits) Signal(reason string) engine.Signal { return w.Clock.Event(reason) }

// machine is a simulated computer on which logs are opened: a disk, a clock, and
// what goes wrong.
type machine struct {
	t      *testing.T
	disk   *simfs.FS
	clock  *simclock.Clock
	faults *faults.FS // of the last life; nil without faults
	lives  uint64

	options engine.Options // for every open; the seams are set by it
}

func newMachine(t *testing.T, options engine.Options) *machine {
	if options.SegmentSize == 0 {
		options.SegmentSize = 64 << 10
	}
	return &machine{t: t, disk: simfs.New(simfs.Options{}), clock: simclock.New(simclock.Epoch()), options: options}
}

// seams returns the machine's options for one more life of the log, over a file
// system to which the given faults happen.
func (m *machine) seams(lines ...string) engine.Options {
	m.t.Helper()
	o := m.options
	m.lives++
	o.Dir, o.FS, o.Clock, o.Waits = "log", m.disk, m.clock, waits{m.clock}
	seed := [32]byte{}
	copy(seed[:], fmt.Sprintf("life %d", m.lives))
	o.Rand = rand.NewChaCha8(seed)
	m.faults = nil
	if len(lines) > 0 {
		var list []faults.Fault
		for _, line := range lines {
			fault, err := faults.Parse(line)
			if err != nil {
				m.t.Fatal(err)
			}
			list = append(list, fault)
		}
		m.faults = faults.New(m.disk, list, faults.Options{Slow: m.clock.Pass})
		o.FS = m.faults
	}
	return o
}

// open opens the log, over a file system to which the given faults happen; they
// begin with step=1, which is not yet there.
func (m *machine) open(lines ...string) *engine.Log {
	m.t.Helper()
	log, err := engine.Open(m.seams(lines...))
	if err != nil {
		m.t.Fatalf("open: %v", err)
	}
	return log
}

// happen begins the step in which the faults happen.
func (m *machine) happen() { m.faults.SetStep(1) }

// happened fails the test if a fault did not hit.
func (m *machine) happened() {
	m.t.Helper()
	for _, f := range m.faults.NotFired() {
		m.t.Errorf("a fault did not happen: %v", f)
	}
	m.faults.SetStep(0)
}

// powerLoss cuts the power. The chooser says what is still there.
func (m *machine) powerLoss(c simfs.Chooser) {
	m.crash(simfs.PowerLoss, c)
}

func (m *machine) crash(kind simfs.Kind, c simfs.Chooser) {
	image := m.disk.Crash(kind)
	m.disk.Kill()
	m.clock.Kill()
	m.disk = image.Mount(c)
}

// reopened checks that the log opens, verifies, and has events with these
// payloads, first to last; and closes it.
func (m *machine) reopened(want ...string) {
	m.t.Helper()
	log := m.open()
	m.holds(log, want...)
	closed(m.t, log)
}

// holds checks that a log verifies and shows events with these payloads.
func (m *machine) holds(log *engine.Log, want ...string) {
	m.t.Helper()
	if got := payloads(all(m.t, log, engine.Query{})); !slices.Equal(got, want) {
		m.t.Fatalf("the log holds %.200q, want %.200q", got, want)
	}
	verified(m.t, log)
}

func closed(t *testing.T, log *engine.Log) {
	t.Helper()
	if err := log.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func payloads(events []engine.Event) []string {
	var texts []string
	for _, e := range events {
		texts = append(texts, string(e.Data))
	}
	return texts
}

// draft is an event of stream s with this payload.
func draft(payload string) engine.Draft {
	return engine.Draft{Stream: "s", Type: "t", Data: []byte(payload)}
}

func drafts(payloads ...string) []engine.Draft {
	var list []engine.Draft
	for _, p := range payloads {
		list = append(list, draft(p))
	}
	return list
}

// appended appends one batch, durably, and returns its receipts.
func appended(t *testing.T, log *engine.Log, payloads ...string) []engine.Receipt {
	t.Helper()
	receipts, err := log.AppendBatch(context.Background(), engine.Batch{Events: drafts(payloads...)})
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return receipts
}

func buffered(t *testing.T, log *engine.Log, payloads ...string) []engine.Receipt {
	t.Helper()
	receipts, err := log.AppendBatch(context.Background(), engine.Batch{Events: drafts(payloads...), Durability: engine.Buffered})
	if err != nil {
		t.Fatalf("append, buffered: %v", err)
	}
	return receipts
}

// matches checks that an error matches some targets and none of the others of
// the three that say what became of a batch.
func matches(t *testing.T, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("error %q does not match %q", fmt.Sprint(err), target)
		}
	}
	for _, outcome := range []error{engine.ErrRejected, engine.ErrFailed, engine.ErrInDoubt} {
		if errors.Is(err, outcome) && !slices.Contains(targets, outcome) {
			t.Errorf("error %q matches %q, too", fmt.Sprint(err), outcome)
		}
	}
}

// big is a payload of n bytes that begins with a text.
func big(text string, n int) string {
	return text + strings.Repeat(".", n-len(text))
}

// edit changes the bytes of a file, as they lie there, durably.
func edit(t *testing.T, fsys afero.Fs, name string, change func(b []byte) []byte) {
	t.Helper()
	b, err := afero.ReadFile(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fsys.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(change(slices.Clone(b))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// tree is every file of the log with its bytes.
func tree(t *testing.T, fsys afero.Fs) map[string]string {
	t.Helper()
	files := map[string]string{}
	infos, err := afero.ReadDir(fsys, "log")
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		b, err := afero.ReadFile(fsys, "log/"+info.Name())
		if err != nil {
			t.Fatal(err)
		}
		files[info.Name()] = string(b)
	}
	return files
}
