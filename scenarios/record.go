package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/replay/trace"
	"github.com/untorn-db/untorn/scenarios/invariant"
	"github.com/untorn-db/untorn/scenarios/model"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// Trace runs a plan once and tells of all that was done: with crash lines, the
// workload up to the first crash and each recovery, up to the verdict of the last;
// without, the workload to its end and the plan's damage, and no other crash is
// tried. The same plan gives the same trace, in any process. The error says that
// the plan cannot be run, or that ctx ended.
func Trace(ctx context.Context, p *plan.Plan, c Config) (*trace.Trace, error) {
	t, err := traced(ctx, p, c, nil)
	if err != nil {
		return nil, fmt.Errorf("scenario %s: %w", p.Scenario, err)
	}
	return t, nil
}

// traced is Trace. looked, if not nil, is shown the disk behind each operation and
// crash, with the entry that told of it, and how many notes its life has made.
func traced(ctx context.Context, p *plan.Plan, c Config, looked func(n int, disk *simfs.FS, notes int)) (*trace.Trace, error) {
	r, err := newRun(ctx, p, c)
	if err != nil {
		return nil, err
	}
	path, err := explore.ParseCrashPath(crashText(p))
	if err != nil {
		return nil, err
	}
	r.explorer.Callers = frames
	eye := &recording{
		looked: looked, at: -1, places: map[string]place{}, files: map[int32]int{},
		trace: &trace.Trace{Header: trace.Header{
			Trace: trace.Version, Scenario: r.result.Scenario, Disk: r.result.Disk, Seed: p.Seed, Plan: string(p.Format()),
		}},
	}
	r.eye, r.trace.eye = eye, eye
	broken := r.prologue()
	if ctx.Err() == nil && broken == nil {
		program := explore.Program{Workload: r.workload, Recover: r.recover}
		broken = explore.Watch(ctx, r.explorer, program, path, eye)
		var misfit *explore.PathError
		var wrong *explore.ConfigError
		if errors.As(broken, &misfit) || errors.As(broken, &wrong) {
			return nil, broken
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	eye.ended()
	if broken == nil && len(path) == 0 {
		if err := r.damage(); err != nil {
			return nil, err
		}
		for _, v := range r.result.Violations {
			broken = v.Err
		}
	}
	eye.verdict(broken)
	return eye.trace, nil
}

// recording makes a trace of what it is told. A nil one is told in vain.
type recording struct {
	mu     sync.Mutex // guards all below; taken with the world's, never the other way round
	trace  *trace.Trace
	looked func(n int, disk *simfs.FS, notes int)
	notes  int // of this life, as crash lines count them

	world   *world           // of this life
	fs      *simfs.FS        // its disk
	begun   bool             // there is a life
	over    bool             // the crash has come: what is done now did not happen
	coming  model.Note       // that explore is being told of
	places  map[string]place // of tasks, by name
	settled int              // operations of this life whose outcome is known
	at      int              // entry of the operation under way; -1: none

	known   trace.Disk
	files   map[int32]int // their numbers, by inode
	numbers int
	entries []int // of the operations of all lives, by the numbers that the disk gives them
	base    int   // the first number of this life

	crash *losses // of the last crash; nil: all is told
}

// place is where in the plan a task is.
type place struct {
	step   int
	client string
}

// life begins with a world whose disk is watched by others.
func (e *recording) life(w *world) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.begun {
		e.trace.Header.Cell = w.disk.CellSize()
	}
	e.begun, e.over, e.at, e.settled, e.notes = true, false, -1, 0, 0
	e.world, e.fs = w, w.disk
	clear(e.places)
}

// mounted is life with a disk that nobody else watches.
func (e *recording) mounted(w *world) {
	if e == nil {
		return
	}
	e.life(w)
	w.disk.Observe(e.Operation)
}

// task is the name of the task that is at work.
func (e *recording) task() string {
	if e.world == nil || e.world.turns == nil {
		return ""
	}
	return e.world.turns.Running()
}

// addLocked adds an entry at the place where the plan is.
func (e *recording) addLocked(entry trace.Entry) int {
	here, ok := e.places[e.task()]
	if !ok {
		here = place{step: e.places["main"].step} // a task of the log's own
	}
	entry.N = len(e.trace.Entries)
	if entry.N > 0 {
		before := &e.trace.Entries[entry.N-1]
		entry.Life = before.Life
		if before.Kind == trace.Crash {
			entry.Life++
		}
	}
	if entry.Step == 0 {
		entry.Step, entry.Client = here.step, here.client
	}
	if e.world != nil {
		entry.Time = e.world.clock.Now().UTC().Format(time.RFC3339Nano)
	}
	entry.Text = oneLine(entry.Text)
	e.trace.Entries = append(e.trace.Entries, entry)
	return entry.N
}

// add tells of something that is no operation.
func (e *recording) add(entry trace.Entry) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return
	}
	e.settleLocked()
	e.addLocked(entry)
}

// oneLine keeps a text on one line.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

// begins is told of each step.
func (e *recording) begins(step plan.Step) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return
	}
	e.settleLocked()
	e.places[e.task()] = place{step: step.Number}
	e.addLocked(trace.Entry{Kind: trace.Step, Step: step.Number, Client: clientOf(step), Text: step.String()})
}

// working says that a task is at a step of a client.
func (e *recording) working(step plan.Step) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.places[e.task()] = place{step.Number, clientOf(step)}
}

// ends is told of each step's end.
func (e *recording) ends(step int, sum uint64) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return
	}
	e.settleLocked()
	for i := len(e.trace.Entries) - 1; i >= 0; i-- {
		if entry := &e.trace.Entries[i]; entry.Step == step {
			entry.Digest = fmt.Sprintf("%016x", sum)
			return
		}
	}
}

// next is told of each note before anybody else is.
func (e *recording) next(n model.Note) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.coming = n
}

// Noted is told when the note that is coming counts.
func (e *recording) Noted(explore.Note) { e.noted() }

func (e *recording) noted() {
	if e == nil {
		return
	}
	e.mu.Lock()
	n := e.coming
	e.coming = nil
	if !e.over {
		e.settleLocked()
		e.notes++
	}
	e.mu.Unlock()
	if entry, ok := noteEntry(n); ok {
		e.add(entry)
	}
}

// calls tells what a caller asks for, where no note does.
func (e *recording) calls(text string) { e.add(trace.Entry{Kind: trace.Call, Text: text}) }

// answers tells what it is answered, where no note does.
func (e *recording) answers(text string, err error) {
	if err != nil {
		text = err.Error()
	}
	e.add(trace.Entry{Kind: trace.Answer, Text: text, Failed: err != nil})
}

// point is told of each named point.
func (e *recording) point(p engine.Point) {
	if e == nil {
		return
	}
	text := p.Name
	if p.Batch > 0 {
		text += fmt.Sprintf(" batch %d", p.Batch)
	}
	if p.Name == engine.PointItemWritten {
		text += fmt.Sprintf(" item %d", p.Item)
	}
	if p.Offset >= 0 {
		text += fmt.Sprintf(" at byte %d", p.Offset)
	}
	e.add(trace.Entry{Kind: trace.Point, Text: text})
}

// fault is told of each fault that hit an operation.
func (e *recording) fault(h faults.Hit) {
	e.add(trace.Entry{Kind: trace.Fault, Text: h.Fault.String() + ": hit " + h.Path})
}

// opened is told what an Open found.
func (e *recording) opened(log *engine.Log, err error) {
	if e == nil {
		return
	}
	if err != nil {
		e.add(trace.Entry{Kind: trace.Opened, Text: "not opened: " + err.Error(), Failed: true})
		return
	}
	r := log.Recovery()
	text := fmt.Sprintf("opened: %s, %s, %s", counted(r.Segments, "segment"), counted(int(r.Batches), "batch"), counted(int(r.Events), "event"))
	if r.Torn {
		text += fmt.Sprintf("; torn at byte %d of segment %d: %s", r.TornAt.Offset, r.TornAt.Segment, r.TornReason)
	}
	if r.Fresh > 0 {
		text += fmt.Sprintf("; began segment %d with %s carried over", r.Fresh, counted(r.Carried, "batch"))
	}
	if len(r.Removed) > 0 {
		text += "; removed " + strings.Join(r.Removed, ", ")
	}
	for _, d := range r.Damage {
		text += "; damage: " + d.Error()
	}
	e.add(trace.Entry{Kind: trace.Opened, Text: text})
}

// counted is a number and what it counts.
func counted(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "ch"):
		return fmt.Sprintf("%d %ses", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// noteEntry is a note in words; ok is false for what others tell better.
func noteEntry(n model.Note) (entry trace.Entry, ok bool) {
	switch n := n.(type) {
	case model.Started:
		return trace.Entry{Kind: trace.Call, Text: fmt.Sprintf("call %d: append %s", n.Call, batchText(&n.Batch))}, true
	case model.Answered:
		if n.Err != nil {
			return trace.Entry{Kind: trace.Answer, Text: fmt.Sprintf("call %d: %v", n.Call, n.Err), Failed: true}, true
		}
		return trace.Entry{Kind: trace.Answer, Text: fmt.Sprintf("call %d: %s", n.Call, receiptsText(n.Receipts))}, true
	case model.Covered:
		return trace.Entry{Kind: trace.Answer, Text: fmt.Sprintf("all events up to %d are durable", n.Sequence)}, true
	case model.Served:
		text := "no event"
		if k := len(n.Events); k > 0 {
			text = events(n.Events[0].Sequence, n.Events[k-1].Sequence)
		}
		return trace.Entry{Kind: trace.Answer, Text: "read " + text}, true
	}
	return trace.Entry{}, false
}

// streamText names a stream.
func streamText(scope, stream string) string {
	if scope == "" {
		return stream
	}
	return scope + "/" + stream
}

// batchText is a batch in words: its key, its items with the bytes of each.
func batchText(b *engine.Batch) string {
	var items []string
	for i := range b.Events {
		d := &b.Events[i]
		items = append(items, fmt.Sprintf("%s to %s (%d bytes)", d.Type, streamText(d.Scope, d.Stream), len(d.Data)))
	}
	for i := range b.Notes {
		items = append(items, fmt.Sprintf("note %q (%d bytes)", b.Notes[i].Name, len(b.Notes[i].Data)))
	}
	text := strings.Join(items, ", ")
	if text == "" {
		text = "nothing"
	}
	if b.Key != "" {
		text += fmt.Sprintf(", key %q", b.Key)
	}
	if b.Durability == engine.Buffered {
		text += ", buffered"
	}
	return text
}

// receiptsText is receipts in words.
func receiptsText(receipts []engine.Receipt) string {
	if len(receipts) == 0 {
		return "done, no events"
	}
	first, last := &receipts[0], &receipts[len(receipts)-1]
	text := fmt.Sprintf("%s in batch %d", events(first.Sequence, last.Sequence), first.Batch)
	if first.Batch != last.Batch {
		text = fmt.Sprintf("%s to %d", text, last.Batch)
	}
	if slices.ContainsFunc(receipts, func(r engine.Receipt) bool { return !r.Durable }) {
		return text + ", not durable yet"
	}
	return text + ", durable"
}

// Operation is told of each operation before it takes effect.
func (e *recording) Operation(op simfs.Op) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return
	}
	e.settleLocked()
	e.operationLocked(op)
}

func (e *recording) operationLocked(op simfs.Op) {
	data := op.Data[:min(len(op.Data), trace.MaxData)]
	o := &trace.Operation{
		Index: op.Index, Verb: op.Kind.String(), Path: op.Path, To: op.Path2, Offset: op.Offset, Length: op.Length,
		Data: append([]byte(nil), data...), Barrier: op.Barrier,
	}
	text := opText(op)
	if number := e.files[op.Inode]; op.Inode != 0 && number != 0 {
		o.File = number
		if now := e.known.Files[number]; now != nil && now.Path != op.Path {
			op.Path = now.Path
			text = opText(op)
		}
	}
	if op.Caller != "" {
		o.Callers = strings.Split(op.Caller, " < ")
	}
	e.at = e.addLocked(trace.Entry{Kind: trace.Op, Text: text, Op: o})
	e.entries = append(e.entries, e.at)
}

// opText is an operation in words, without the number and the callers.
func opText(op simfs.Op) string {
	switch op.Kind {
	case simfs.OpWrite, simfs.OpPreallocate:
		return fmt.Sprintf("%s %s, %d bytes at %d", op.Kind, op.Path, op.Length, op.Offset)
	case simfs.OpTruncate:
		return fmt.Sprintf("%s %s to %d bytes", op.Kind, op.Path, op.Length)
	case simfs.OpRename:
		return fmt.Sprintf("%s %s to %s", op.Kind, op.Path, op.Path2)
	}
	return fmt.Sprintf("%s %s", op.Kind, op.Path)
}

// settleLocked tells what the operation under way has done, now that it is over.
func (e *recording) settleLocked() {
	if e.at < 0 {
		return
	}
	entry := &e.trace.Entries[e.at]
	for _, op := range e.fs.LogFrom(e.settled) {
		e.settled++
		if op.Index == entry.Op.Index && op.Err != nil {
			entry.Op.Error, entry.Failed = op.Err.Error(), true
			entry.Text += ": " + entry.Op.Error
		}
	}
	e.surveyLocked(e.fs, e.at)
	e.at = -1
}

// ended is told when the last life is over.
func (e *recording) ended() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.settleLocked()
	e.judgeLocked()
}

// Frozen is told when a crash comes. The write that it comes inside of is done in
// part.
func (e *recording) Frozen(inside *simfs.Op) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.settleLocked()
	if inside != nil {
		e.operationLocked(*inside)
	}
	e.over = true
}

// verdict is told how it all ended.
func (e *recording) verdict(broken error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = false
	clear(e.places)
	if broken == nil {
		e.addLocked(trace.Entry{Kind: trace.Verdict, Text: "every promise was kept"})
		return
	}
	h := &e.trace.Header
	h.Expected, h.Found = "no error", oneLine(broken.Error())
	var v *invariant.Violation
	if errors.As(broken, &v) {
		h.Invariant, h.Expected, h.Found = v.Invariant, oneLine(v.Wanted()), oneLine(v.Found)
	}
	h.Promise = invariant.Promise(h.Invariant)
	e.addLocked(trace.Entry{Kind: trace.Verdict, Failed: true, Text: broken.Error()})
}
