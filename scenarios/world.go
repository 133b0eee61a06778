package scenarios

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios/history"
	"github.com/untorn-db/untorn/scenarios/invariant"
	"github.com/untorn-db/untorn/scenarios/model"
	"github.com/untorn-db/untorn/scenarios/weaken"
	"github.com/untorn-db/untorn/simclock"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// memory is what a world remembers across a crash: what callers were told, and
// what the disk did that no log can undo.
type memory struct {
	model  *model.Model
	budget invariant.Budget
	call   int // number of the next call
	// The last synced group begins with event lastGroup, 0 if there is none since
	// the log was opened; covered is where it ends.
	lastGroup, covered uint64
	closed             bool // the log was closed, and told no error
	// history is what callers saw since the log was opened, where the plan has
	// clients.
	history history.History
	// positions are where cursors were moved to, durably; never changed in place.
	positions map[string]uint64
	notebook  notebook
}

// world is one life of the log under simulation: from a mounted disk to a
// crash.
type world struct {
	script *script
	disk   *simfs.FS // nil when the steps run on a real directory
	fs     afero.Fs
	faults *faults.FS
	clock  *simclock.Clock
	turns  *simclock.Scheduler // nil where nobody works at the same time
	log    *engine.Log
	seen   *[]engine.Event // room for what the log shows

	mu sync.Mutex // guards what clients change: never held across a call of the log
	memory
	closing bool               // a client has closed the log
	note    func(explore.Note) // nil when nobody records
	trace   *digests           // nil when nobody asks
	eye     *recording         // nil when nobody watches
	states  states             // that it has reached
	ledger  *ledger            // nil when nobody counts
	point   point              // the last that the log has passed
	checks  bool               // what is done is not the workload's; see quiet
	renamed bool               // a file, since the log began to rotate
	waiting int                // calls of clients without an answer
	jumped  bool               // the wall clock is no bound any more
	hits    int                // faults so far
	down    bool               // the file system has shut down: nothing works until a restart
	echo    bool               // a sync has failed: other handles may be told later
}

// script is a plan, read once.
type script struct {
	plan     *plan.Plan
	options  engine.Options // all but the seams
	faults   []faults.Fault
	batches  map[int]engine.Batch
	room     *room                   // of all its logs
	jumps    bool                    // the plan sets the clock back, or lets it drift
	wrap     func(afero.Fs) afero.Fs // Config.Wrap
	plain    bool                    // the disk has no optional methods
	sync     *weaken.Weakening       // nil where every sync does what it says
	lossless bool                    // no fault of the plan can lose acknowledged data
	clients  bool                    // the plan has steps of clients
	alone    bool                    // … but nobody works at the same time
	order    simclock.Order          // of their turns
	spin     bool                    // Config.Spin
	cursors  map[string]plan.Step    // a handle step of each
	shared   map[string]bool         // those that several handle in one burst
	projects map[string]plan.Step    // a project step of each name
}

// room is memory for one log after the other, and for what they show.
type room struct {
	engine.Room
	events sync.Pool // of *[]engine.Event
}

// read reads a plan, and says everything that is wrong with it.
func read(p *plan.Plan) (*script, error) {
	s := &script{plan: p, batches: map[int]engine.Batch{}, room: new(room), cursors: map[string]plan.Step{}, shared: map[string]bool{}, projects: map[string]plan.Step{}}
	var problems []error
	number := func(key string, standard int64) int64 {
		n, err := p.Int(key, standard)
		problems = append(problems, err)
		return n
	}
	s.options = engine.Options{
		SegmentSize: number("segment", 64<<10),
		Align:       int(number("align", 0)),
		Preallocate: number("preallocate", -1),
		SyncCount:   int(number("synccount", 0)),
	}
	var err error
	s.plain, err = p.Bool("plain", false)
	problems = append(problems, err)
	if text, ok := p.Setting("sign"); ok {
		s.options.Signing, err = parseSigning(text)
		problems = append(problems, err)
	}
	if text, ok := p.Setting("sync"); ok {
		s.sync, err = weaken.Parse(text)
		problems = append(problems, err)
	}
	for _, text := range p.Faults {
		fault, err := faults.Parse(text)
		problems = append(problems, err)
		s.faults = append(s.faults, fault)
	}
	s.lossless = !faults.BudgetOf(s.faults).MayLoseAcked
	seed, err := p.Uint("turns", p.Seed)
	problems = append(problems, err)
	priorities, err := p.Uint("priorities", 0)
	problems = append(problems, err)
	s.order = simclock.Order{Seed: seed, Priorities: int(min(priorities, math.MaxInt32))}
	deleted := -1
	for _, step := range p.Steps {
		s.clients = s.clients || clientOf(step) != ""
		problems = append(problems, checkStep(step))
		switch step.Verb {
		case "delete":
			deleted = step.Number
		case "crash":
			deleted = -1
		case "batch":
			batch, err := parseBatch(step)
			problems = append(problems, err)
			s.batches[step.Number] = batch
		case "jump", "drift":
			s.jumps = true
		case "handle":
			problems = append(problems, s.attended(step, "cursor", s.cursors))
		case "project":
			problems = append(problems, s.attended(step, "name", s.projects))
		}
	}
	for _, steps := range bursts(p.Steps) {
		handled := map[string]bool{}
		for _, step := range steps {
			if name := step.Get("cursor"); step.Verb == "handle" {
				s.shared[name] = s.shared[name] || handled[name]
				handled[name] = true
			}
		}
	}
	if deleted >= 0 {
		problems = append(problems, fmt.Errorf("step %d: delete needs a crash behind it: half a log cannot be judged", deleted))
	}
	return s, errors.Join(problems...)
}

// parseSigning reads when a log signs its heads. The key is the same everywhere:
// nothing here is secret.
func parseSigning(text string) (*engine.Signing, error) {
	s := &engine.Signing{KeyID: "scenarios", Key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}
	switch text {
	case "close":
		s.When = engine.SignAtClose
	case "each":
		s.When = engine.SignEachGroup
	default:
		return nil, fmt.Errorf("sign %q: use close or each", text)
	}
	return s, nil
}

// attended notes what a step gives a name, which has the same query everywhere.
func (s *script) attended(step plan.Step, what string, all map[string]plan.Step) error {
	name := step.Get(what)
	if name == "" {
		return fmt.Errorf("step %d: %s has no %s: add %s=NAME", step.Number, step.Verb, what, what)
	}
	before, again := all[name]
	for _, key := range []string{"scope", "stream", "types", "from"} {
		if again && before.Get(key) != step.Get(key) {
			return fmt.Errorf("step %d: %s %s has another %s than in step %d: it has one query", step.Number, what, name, key, before.Number)
		}
	}
	all[name] = step
	return nil
}

// calm is the script without its faults.
func (s *script) calm() *script {
	calm := *s
	calm.faults = nil
	calm.alone = true
	return &calm
}

func parseBatch(step plan.Step) (engine.Batch, error) {
	b := engine.Batch{Key: step.Get("key")}
	buffered, err := step.Bool("buffered", false)
	if err != nil {
		return b, err
	}
	if buffered {
		b.Durability = engine.Buffered
	}
	for i := 0; ; i++ {
		text, ok := step.Lookup(strconv.Itoa(i))
		if !ok {
			break
		}
		draft, err := parseItem(text, step.Number, i)
		if err != nil {
			return b, err
		}
		b.Events = append(b.Events, draft)
	}
	for i := 0; ; i++ {
		text, ok := step.Lookup(fmt.Sprint("n", i))
		if !ok {
			break
		}
		note, err := parseNote(text, step.Number, i)
		if err != nil {
			return b, err
		}
		b.Notes = append(b.Notes, note)
	}
	for _, arg := range step.Args {
		if i, ok := noteArg(arg.Key); ok && i >= len(b.Notes) {
			return b, fmt.Errorf("step %d: note n%d is there, and n%d is not: number them from 0 on", step.Number, i, len(b.Notes))
		}
		if i, err := strconv.Atoi(arg.Key); err == nil && i >= len(b.Events) {
			return b, fmt.Errorf("step %d: item %d is there, and item %d is not: number them from 0 on", step.Number, i, len(b.Events))
		}
	}
	return b, nil
}

// stream is randomness for one purpose.
type stream struct{ pcg *rand.PCG }

func newStream(seed uint64, purpose string) stream {
	h := fnv.New64a()
	h.Write([]byte(purpose))
	return stream{rand.NewPCG(seed, h.Sum64())}
}

// Read never fails.
func (s stream) Read(b []byte) (int, error) {
	var word [8]byte
	for i := 0; i < len(b); i += len(word) {
		binary.LittleEndian.PutUint64(word[:], s.pcg.Uint64())
		copy(b[i:], word[:])
	}
	return len(b), nil
}

// waits makes an engine.Waits of a simulated clock.
type waits struct{ *simclock.Clock }

func (w waits) Signal(reason string) engine.Signal { return w.Clock.Event(reason) }

// newWorld mounts a disk. entropy seeds the clock and the randomness.
func newWorld(s *script, disk *simfs.FS, fs afero.Fs, entropy uint64, m memory) *world {
	w := &world{script: s, disk: disk, fs: fs, memory: m, jumped: s.jumps}
	// A restart takes a while: at most a second here, so that clocks move on and
	// equal images still see equal times.
	start := simclock.Epoch().Add(time.Duration(entropy % uint64(time.Second)))
	if m.model != nil {
		if last := m.model.Stats().Written.Time; last.After(start) {
			start = last
		}
	}
	w.clock = simclock.New(start)
	options := faults.Options{Slow: w.clock.Pass, OnHit: w.hit}
	if s.clients && !s.alone {
		order := s.order
		order.Seed ^= entropy
		order.Spin = s.spin
		w.turns = simclock.NewScheduler(w.clock, order)
	}
	if !s.alone {
		options.Before = w.before
		w.faults = faults.New(fs, s.faults, options)
		w.fs = w.faults
	}
	if s.plain {
		w.fs = weaken.Plain(w.fs)
	}
	if s.sync != nil {
		w.fs = s.sync.FS(w.fs)
	}
	if s.wrap != nil {
		w.fs = s.wrap(w.fs)
	}
	return w
}

// before is told of every operation of the workload.
func (w *world) before(op faults.OpKind, path string) {
	if w.turns != nil {
		w.turns.Switch(op.String() + " " + path)
	}
	if w.ledger == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.renamed = w.renamed || op == faults.Rename
	if !w.checks {
		w.ledger.coverage.could[w.point][op]++
	}
}

// hit is told of every fault.
func (w *world) hit(h faults.Hit) {
	w.mu.Lock()
	if w.ledger != nil {
		w.ledger.faults[h.Fault.Kind]++
		w.ledger.coverage.hit(hit{variant(h.Fault), w.point}, 1)
		if w.checks {
			w.ledger.coverage.could[w.point][h.Fault.Op]++
		}
	}
	w.hits++
	if op := h.Fault.Op; w.log != nil && (op == faults.Read || op == faults.ReadAt) {
		w.metLocked(readFaulted)
	}
	w.down = w.down || h.Fault.Mode == "shutdown"
	w.echo = w.echo || h.Fault.Mode != "" && h.Fault.Mode != "silent"
	b := faults.BudgetOf([]faults.Fault{h.Fault})
	w.budget.LyingDisk = w.budget.LyingDisk || b.MayLoseAcked
	w.budget.Damage = w.budget.Damage || b.MayReportDamage
	w.budget.NoSpace = true // an open may meet a disk that was full
	w.mu.Unlock()
	w.eye.fault(h)
	w.tell(model.Fault{Text: h.Fault.String(), Lies: b.MayLoseAcked})
}

// passed is told of every point of the engine.
func (w *world) passed(p engine.Point) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.point = pointOf(p.Name)
	w.ledger.points[w.point]++
	switch p.Name {
	case engine.PointRotateCreate:
		w.renamed = false
	case engine.PointRotateDone:
		if !w.renamed {
			w.metLocked(tookPrepared)
		}
	}
}

// tell notes what happened, for this world and for those after a crash.
func (w *world) tell(n model.Note) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tellLocked(n)
}

func (w *world) tellLocked(n model.Note) {
	w.model = w.model.With(n)
	if w.script.clients {
		switch n := n.(type) {
		case model.Covered:
			w.history = w.history.Covered(n.Sequence)
		case model.Opened:
			w.history = w.history.Opened(n.Events)
		}
	}
	w.eye.next(n)
	if w.note != nil {
		w.note(explore.Note{Key: n.Key(), Value: w.memory, Change: change(n)})
	} else {
		w.eye.noted()
	}
	if w.trace != nil {
		w.trace.note(n.Key())
	}
}

// change says what a note does to what a recovery accepts.
func change(n model.Note) explore.Change {
	switch n := n.(type) {
	case model.Started:
		return explore.Widens // the call's effect may be there
	case model.Answered:
		if n.Err == nil || errors.Is(n.Err, engine.ErrRejected) {
			return explore.Narrows // it is there, or is not
		}
	case model.Fault:
		if n.Lies {
			return explore.Explains
		}
	case model.Covered, model.Served, model.Frontiers:
		return explore.Narrows // what was told stays true
	case model.Opened:
		if !n.Lossy {
			return explore.Narrows
		}
	}
	return explore.Either
}

func (w *world) options(entropy uint64) engine.Options {
	o := w.script.options
	o.FS = w.fs
	o.Dir = "log"
	o.Clock = w.clock
	o.Waits = waits{w.clock}
	if w.turns != nil {
		o.Waits = turns{w.turns}
	}
	o.Rand = newStream(entropy, "engine")
	o.Room = &w.script.room.Room
	if w.ledger != nil {
		o.Observer, o.Metrics = w.passed, w.listener()
	}
	if w.eye != nil {
		o.Observer = func(p engine.Point) {
			w.eye.point(p)
			if w.ledger != nil {
				w.passed(p)
			}
		}
	}
	return o
}

// open opens the log and checks what it shows.
func (w *world) open(ctx context.Context, entropy uint64, how invariant.How) (*invariant.Seen, error) {
	hits := w.hits
	w.eye.calls("open the log")
	log, err := engine.Open(w.options(entropy))
	w.eye.opened(log, err)
	if err != nil && (w.hits > hits || w.down || w.echo) {
		w.met(openFailed)
		return nil, nil // an injected error may fail an Open; the next one must do
	}
	if err := invariant.CheckOpen(err, w.budget); err != nil {
		return nil, err
	}
	if err != nil {
		w.met(openFailed)
		return nil, nil
	}
	w.log = log
	w.closed = false
	w.opened(log)
	w.quiet()
	how.Budget = w.budget
	seen := w.look(ctx, how)
	if err := invariant.First(invariant.Judge(w.model, seen)); err != nil {
		return nil, err
	}
	if !seen.Damaged {
		if err := errors.Join(w.cursors(seen.Events), w.checkNotes()); err != nil {
			return nil, err
		}
	}
	if seen.Damaged { // it told so, and nobody knows what else there is
		w.met(readFaulted)
		w.log = nil
		_ = log.Close()
		w.clock.Kill()
		return nil, nil
	}
	w.survived(w.memory, len(seen.Events))
	opened := seen.Opened()
	opened.Lossy = w.budget.LyingDisk
	w.tell(opened)
	return seen, w.linear()
}

// quiet keeps the faults of a step away from what the checks do.
func (w *world) quiet() {
	w.mu.Lock()
	w.checks = true
	w.mu.Unlock()
	if w.faults != nil {
		w.faults.SetStep(-2)
	}
}

// works says which step comes next, with its faults.
func (w *world) works(step int) {
	w.mu.Lock()
	w.checks = false
	w.mu.Unlock()
	if w.faults != nil {
		w.faults.SetStep(step)
	}
}

// do executes one step.
func (w *world) do(ctx context.Context, step plan.Step) error {
	w.works(step.Number)
	if w.trace != nil {
		w.trace.begin(step)
	}
	err := w.execute(ctx, step)
	if w.turns != nil {
		w.turns.Yield()
	} else {
		w.clock.Yield()
	}
	w.covers(step.Verb == "open")
	w.quiet()
	if w.trace != nil {
		w.trace.end(step.Number, err)
	}
	if err != nil {
		return fmt.Errorf("step %d, %s: %w", step.Number, step.Verb, err)
	}
	return nil
}

// covers notes how far the log is durable after a step.
func (w *world) covers(opened bool) {
	if w.log == nil {
		return
	}
	if durable := w.log.Stats().Durable.Sequence; opened {
		w.lastGroup, w.covered = 0, durable
	} else if durable > w.covered {
		w.lastGroup, w.covered = w.covered+1, durable
	}
}

func (w *world) execute(ctx context.Context, step plan.Step) error {
	if step.Verb != "open" && w.log == nil {
		switch step.Verb {
		case "advance", "jump", "drift", "delete":
		default:
			return nil // an open before it has failed, or was removed
		}
	}
	switch step.Verb {
	case "open":
		if w.log != nil {
			return nil
		}
		_, err := w.open(ctx, w.script.plan.Seed^uint64(step.Number)<<32, invariant.How{})
		return err
	case "close":
		return w.close()
	case "delete":
		return w.delete()
	case "batch":
		return w.append(ctx, w.script.batches[step.Number])
	case "retry":
		batch, ok, err := w.retried(step)
		if err != nil || !ok {
			return err
		}
		return w.append(ctx, batch)
	case "sync", "wait":
		return w.sync(ctx, w.log, step.Verb)
	case "read":
		return w.read()
	case "handle":
		return w.handleAll(ctx, step)
	case "advance":
		by, err := step.Duration("by", 0)
		if err != nil {
			return err
		}
		w.clock.Advance(by)
		return nil
	case "jump":
		by, err := step.Duration("by", 0)
		if by < 0 && w.log != nil {
			w.met(clockBack)
		}
		w.clock.Jump(by)
		return err
	case "drift":
		ppm, err := step.Int("ppm", 0)
		w.clock.Drift(ppm)
		return err
	}
	panic("internal error: verb " + step.Verb)
}

// leave forgets the log, which nobody uses any more, closed or not: others may
// have its memory.
func (w *world) leave() {
	if w.log != nil {
		w.script.room.Reclaim(w.log)
		w.log = nil
	}
	if w.seen != nil {
		w.script.room.events.Put(w.seen)
		w.seen = nil
	}
}

// look looks at the log. What it returns is valid until leave is called.
func (w *world) look(ctx context.Context, how invariant.How) *invariant.Seen {
	if w.seen == nil {
		if w.seen, _ = w.script.room.events.Get().(*[]engine.Event); w.seen == nil {
			w.seen = new([]engine.Event)
		}
	}
	how.Events = *w.seen
	seen := invariant.Look(ctx, w.model, w.log, how)
	*w.seen = seen.Events
	return seen
}

// retried is the batch of a retry; ok is false if its step was removed.
func (w *world) retried(step plan.Step) (batch engine.Batch, ok bool, err error) {
	of, err := step.Int("of", -1)
	batch, ok = w.script.batches[int(of)]
	if err != nil || !ok {
		return batch, false, err
	}
	items, err := step.Int("items", int64(len(batch.Events)))
	batch.Events = batch.Events[:min(max(int(items), 0), len(batch.Events))]
	return batch, true, err
}

func (w *world) close() error {
	hits := w.hits
	accepted := w.model.Accepted()
	failed := w.log.Stats().Failed != nil
	w.eye.calls("close the log")
	err := w.log.Close()
	w.eye.answers("closed", err)
	w.clock.Kill()
	w.leave()
	if err == nil && !failed {
		w.closed = true
		w.notebook = w.notebook.covered(w.notebook.clock)
		w.tell(model.Covered{Sequence: accepted})
	}
	if err != nil && !failed && w.hits == hits && !w.echo {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// delete closes the log and removes its files for good. What comes is another
// log, though the disk may still hold bytes of this one.
func (w *world) delete() error {
	if w.log != nil {
		if err := w.close(); err != nil {
			return err
		}
	}
	names, err := afero.ReadDir(w.disk, "log")
	if err != nil {
		return fmt.Errorf("delete the log: %w", err)
	}
	for _, name := range names {
		if err := w.disk.Remove("log/" + name.Name()); err != nil {
			return fmt.Errorf("delete the log: %w", err)
		}
	}
	w.memory = memory{model: model.New(w.script.options), budget: w.budget, call: w.call}
	return w.disk.SyncDir("log")
}

// append hands a batch to the log, and compares the answer with the model's.
func (w *world) append(ctx context.Context, batch engine.Batch) error {
	hits := w.hits
	failed := w.log.Stats().Failed != nil
	expected := w.model.Expect(batch)
	receipts, err := w.submit(ctx, w.log.AppendBatch, 0, batch)
	switch {
	case err != nil && !errors.Is(err, engine.ErrRejected) && !errors.Is(err, engine.ErrFailed) && !errors.Is(err, engine.ErrInDoubt):
		return fmt.Errorf("the error does not say what became of the batch: %w", err)
	case failed && (err == nil || !errors.Is(err, engine.ErrRejected)) && len(batch.Events) > 0:
		return fmt.Errorf("a failed log answers %w", err)
	case !failed && w.hits == hits && (err == nil || !w.echo):
		if err := invariant.CheckAnswer(w.model, expected, receipts, err); err != nil {
			return err
		}
	}
	return nil
}

type appendFunc = func(context.Context, engine.Batch) ([]engine.Receipt, error)

// submit is AppendBatch, or the Commit of a transaction, noted.
func (w *world) submit(ctx context.Context, appends appendFunc, client int, batch engine.Batch) ([]engine.Receipt, error) {
	w.mu.Lock()
	call := w.call
	w.call++
	started := model.Started{Call: call, Batch: batch}
	if !w.jumped {
		started.Clock = w.clock.Now()
	}
	if w.script.clients {
		w.history = w.history.Append(call, client, batch)
	}
	w.notebook = w.notebook.start(call, &batch)
	began, accepted := w.notebook.clock, w.model.Accepted()
	w.tellLocked(started)
	w.waiting++
	w.mu.Unlock()
	receipts, err := appends(ctx, batch)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting--
	w.answeredLocked(accepted, &batch, receipts, err)
	answered := model.Answered{Call: call, Receipts: receipts, Err: err}
	if !w.jumped {
		answered.Clock = w.clock.Now()
	}
	if w.script.clients {
		w.history = w.history.Answered(call, receipts, err)
	}
	w.notebook = w.notebook.answer(call, began, &batch, err)
	if err == nil {
		w.moved(&batch)
	}
	w.tellLocked(answered)
	return receipts, err
}

func (w *world) sync(ctx context.Context, log *engine.Log, verb string) error {
	hits := w.faultsSoFar()
	stats := log.Stats()
	w.mu.Lock()
	accepted, began := w.model.Accepted(), w.notebook.clock
	w.mu.Unlock()
	var err error
	if verb == "sync" {
		w.eye.calls("sync")
		err = log.Sync(ctx)
	} else {
		accepted = stats.Written.Sequence
		w.eye.calls(fmt.Sprintf("wait until event %d is durable", accepted))
		err = log.WaitDurable(ctx, accepted)
	}
	if err == nil {
		if verb == "sync" { // an event may be durable, and notes behind it not
			w.mu.Lock()
			w.notebook = w.notebook.covered(began)
			w.mu.Unlock()
		}
		w.tell(model.Covered{Sequence: accepted})
		return nil
	}
	w.eye.answers("", err)
	if stats.Failed == nil && w.faultsSoFar() == hits && !w.echo {
		return err
	}
	return nil
}

func (w *world) read() error {
	hits := w.hits
	w.eye.calls("read all events, buffered ones too")
	var events []engine.Event
	for event, err := range w.log.Read(engine.Query{Buffered: true}) {
		if err != nil {
			if w.hits > hits || w.down || errors.Is(err, engine.ErrCorrupt) && w.budget.Damage {
				return nil
			}
			return err
		}
		events = append(events, event)
	}
	if n := len(events); n > 0 && !events[n-1].Durable {
		w.met(readBuffered)
	}
	w.tell(model.Served{Events: events})
	w.tell(model.Frontiers{Stats: w.log.Stats()})
	if err := invariant.CheckTold(w.model); err != nil {
		return err
	}
	return invariant.CheckBuffered(w.log, events)
}
