// Package example is what a report can be made from without a run: a failure with all
// that a page can show, a trace that is very long, and the rows of a sweep. The tests of
// the report and those in a browser use them.
package example

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/untorn-db/untorn/replay/trace"
)

const cell = 512 // bytes

// failurePlan is the plan of Failure.
const failurePlan = `untorn plan 1
# The log answered before the rest of the batch was durable.
scenario rotate
disk posix
seed 42

set segment = 4096

step 1 open
step 2 batch 0="order-1 placed size=700"
# the batch that the crash tears
step 3 batch 0="order-1 paid size=1300 expect=1" 1="ledger booked size=700 cause=0" 2="order-1 shipped size=100"

fault step=2 write seg #2: short 100

crash power op=30 notes=9

invariant I1
`

// Failure is a run of three steps: a write that a fault cuts short, a power loss that
// takes, tears and garbles some of two segments, and a recovery that has to do without
// an event that was acknowledged.
func Failure() *trace.Trace {
	r := newRecorder(trace.Header{
		Trace: trace.Version, Scenario: "rotate", Disk: "posix", Seed: 42, Plan: failurePlan, Cell: cell,
		Invariant: "I1",
		Promise:   "every event acknowledged durable is there, byte for byte, however it is read, and its receipt verifies",
		Expected:  "event 3: there, since step 3 answered that it is durable",
		Found:     "the log ends behind event 1",
	})
	r.stepOpen()
	r.stepBatch()
	r.stepRotate()
	r.crash()
	r.recover()
	return &r.t
}

func (r *recorder) stepOpen() {
	r.begin(1, `step 1 open`)
	r.say(trace.Call, "open the log in log")
	r.op(trace.Operation{Verb: "mkdir", Path: "log"}, r.name(1, "log", trace.Pending))
	r.op(trace.Operation{Verb: "syncdir", Path: ".", Barrier: true}, r.name(1, "log", trace.Durable))
	r.op(trace.Operation{Verb: "readdir", Path: "log"})
	r.say(trace.Point, "recover.checkpoint")
	r.say(trace.Point, "recover.index")
	r.create(2, "log/1.seg")
	r.write(2, 0, header("segment 1"), 0)
	r.sync(2)
	r.syncdir("log")
	r.say(trace.Point, "recover.end")
	r.say(trace.Opened, "a new log: no segment was there, one was made")
	r.say(trace.Answer, "open: fine, 0 events")
	r.end()
}

func (r *recorder) stepBatch() {
	r.begin(2, `step 2 batch 0="order-1 placed size=700"`)
	r.say(trace.Call, "append a batch of 1 event")
	r.say(trace.Point, "batch.start")
	r.write(2, 64, frame("BEGIN", 1, 48), 0)
	r.say(trace.Point, "batch.begin_written")
	r.say(trace.Fault, "short write: 100 of 748 bytes, from the plan's line “fault step=2 write seg #2: short 100”")
	r.write(2, 112, frame("order-1 placed", 1, 748), 100)
	r.op(trace.Operation{Verb: "truncate", Path: "log/1.seg", Length: 64}, r.cut(2, 64)...)
	r.say(trace.Point, "batch.start")
	r.write(2, 64, frame("BEGIN", 1, 48), 0)
	r.say(trace.Point, "batch.begin_written")
	r.write(2, 112, frame("order-1 placed", 1, 748), 0)
	r.say(trace.Point, "batch.item_written")
	r.say(trace.Point, "batch.items_complete")
	r.write(2, 860, frame("COMMIT", 1, 96), 0)
	r.say(trace.Point, "batch.commit_written")
	r.say(trace.Point, "batch.sync")
	r.sync(2)
	r.say(trace.Point, "batch.pre_publish")
	r.say(trace.Answer, "appended: event 1 is durable")
	r.end()
}

func (r *recorder) stepRotate() {
	r.begin(3, `step 3 batch 0="order-1 paid size=1300 expect=1" 1="ledger booked size=700 cause=0" 2="order-1 shipped size=100"`)
	r.say(trace.Call, "append a batch of 3 events")
	r.say(trace.Point, "rotate.create")
	r.write(2, 956, frame("END", 1, 68), 0)
	r.sync(2)
	r.create(3, "log/2.tmp")
	r.write(3, 0, header("segment 2"), 0)
	r.sync(3)
	r.op(trace.Operation{Verb: "rename", Path: "log/2.tmp", To: "log/2.seg", Callers: lines("rotate.go:118", "rotate.go:61", "append.go:240")},
		r.name(3, "log/2.seg", trace.Pending), r.removal(3, "log/2.tmp"))
	r.syncdir("log")
	r.say(trace.Point, "rotate.done")
	r.say(trace.Point, "batch.start")
	r.write(3, 64, frame("BEGIN", 3, 48), 0)
	r.say(trace.Point, "batch.begin_written")
	r.write(3, 112, frame("order-1 paid", 2, 400), 0)
	r.sync(3)
	r.write(3, 512, frame("order-1 paid", 2, 1200), 0)
	r.say(trace.Point, "batch.item_written")
	r.write(3, 1712, frame("ledger booked", 3, 748), 0)
	r.say(trace.Point, "batch.item_written")
	r.write(3, 2460, frame("order-1 shipped", 4, 148), 0)
	r.say(trace.Point, "batch.item_written")
	r.say(trace.Point, "batch.items_complete")
	r.write(3, 2608, frame("COMMIT", 3, 96), 0)
	r.say(trace.Point, "batch.commit_written")
	r.say(trace.Point, "batch.pre_publish")
	r.say(trace.Answer, "appended: events 2 to 4 are durable")
	r.write(2, 1024, frame("INDEX", 9, 1500), 0)
	r.create(4, "log/3.tmp")
	r.end()
}

// crash decides about all that is pending: of the large write two cells are lost and one
// is kept, which tears it; one cell of the index is garbage, and a new file has lost its
// name.
func (r *recorder) crash() {
	fate := map[[2]int]trace.State{
		{3, 1}: trace.Torn, {3, 2}: trace.Torn, {3, 4}: trace.Lost,
		{2, 2}: trace.Kept, {2, 3}: trace.Garbage, {2, 4}: trace.Lost,
	}
	e := r.entry(trace.Crash, "the power fails before operation 30; of what was pending 5 kept, 3 lost, 2 torn, 1 garbage")
	e.Step, e.Line = 0, "power op=30 notes=9"
	for _, id := range []int{2, 3} {
		f := r.files[id]
		for i := range f.cells {
			if f.cells[i] != trace.Pending {
				continue
			}
			state, ok := fate[[2]int{id, i}]
			if !ok {
				state = trace.Kept
			}
			f.cells[i] = state
			e.Changes = append(e.Changes, trace.Change{Of: trace.OfCells, File: id, Path: f.path, From: i, To: i + 1, State: state})
		}
		if f.size != f.durable {
			e.Changes = append(e.Changes, trace.Change{Of: trace.OfSize, File: id, Path: f.path, Size: f.size, State: trace.Kept})
			f.durable = f.size
		}
	}
	e.Changes = trace.Merged(append(e.Changes, trace.Change{Of: trace.OfName, File: 4, Path: "log/3.tmp", State: trace.Lost}))
	r.put(e)
	r.life, r.step, r.index = 1, 0, 0
}

func (r *recorder) recover() {
	r.say(trace.Call, "open the log in log")
	r.op(trace.Operation{Verb: "readdir", Path: "log"})
	r.say(trace.Point, "recover.checkpoint")
	for at := int64(0); at < 2048; at += 1024 {
		r.op(trace.Operation{Verb: "read", Path: "log/1.seg", Offset: at, Length: 1024, Callers: lines("recover.go:310", "recover.go:122", "log.go:201")})
	}
	r.say(trace.Point, "recover.index")
	for at := int64(0); at < 3072; at += 512 {
		r.op(trace.Operation{Verb: "read", Path: "log/2.seg", Offset: at, Length: 512, Callers: lines("recover.go:344", "recover.go:140", "log.go:201")})
	}
	r.say(trace.Point, "recover.frame")
	r.op(trace.Operation{Verb: "truncate", Path: "log/2.seg", Length: 64, Callers: lines("recover.go:402", "recover.go:140", "log.go:201")}, r.cut(3, 64)...)
	r.sync(3)
	r.op(trace.Operation{Verb: "truncate", Path: "log/1.seg", Length: 1024, Callers: lines("recover.go:402", "recover.go:122", "log.go:201")}, r.cut(2, 1024)...)
	r.sync(2)
	r.syncdir("log")
	r.say(trace.Point, "recover.end")
	r.say(trace.Opened, "cut a tail: 2640 bytes of log/2.seg from byte 64 on, an unfinished batch; the index was made again")
	r.say(trace.Answer, "open: fine, 1 event")
	r.say(trace.Call, "read everything")
	r.op(trace.Operation{Verb: "read", Path: "log/1.seg", Offset: 64, Length: 892})
	r.say(trace.Answer, "read: 1 event")
	e := r.entry(trace.Verdict, "I1 is broken: "+r.t.Header.Found)
	e.Failed = true
	r.put(e)
}

// Kept is Failure up to its crash, and a verdict that all is well.
func Kept() *trace.Trace {
	r := newRecorder(trace.Header{Trace: trace.Version, Scenario: "rotate", Disk: "posix", Seed: 42, Plan: failurePlan, Cell: cell})
	r.stepOpen()
	r.stepBatch()
	r.put(r.entry(trace.Verdict, "every promise was kept"))
	return &r.t
}

// Long is a trace of n entries: writes and syncs of 40 files in random order, with a
// crash after every quarter. The same n gives the same trace.
func Long(n int) *trace.Trace {
	r := newRecorder(trace.Header{Trace: trace.Version, Scenario: "mixed", Disk: "ext4", Seed: 7, Plan: "untorn plan 1\nscenario mixed\ndisk ext4\n", Cell: cell})
	random := rand.New(rand.NewPCG(7, 7))
	r.begin(1, "step 1 open")
	for id := 1; id <= 40; id++ {
		r.create(id, fmt.Sprintf("log/%d.seg", id))
	}
	for len(r.t.Entries) < n-1 {
		at := len(r.t.Entries)
		id := 1 + random.IntN(40)
		switch {
		case at%(n/4) == 0:
			r.end()
			e := r.entry(trace.Crash, "the power failed")
			for id, f := range r.each() {
				for i := range f.cells {
					if f.cells[i] == trace.Pending {
						f.cells[i] = []trace.State{trace.Lost, trace.Kept, trace.Torn, trace.Garbage}[random.IntN(4)]
						e.Changes = append(e.Changes, trace.Change{Of: trace.OfCells, File: id, Path: f.path, From: i, To: i + 1, State: f.cells[i]})
					}
				}
			}
			r.put(e)
			r.life++
			r.index = 0
		case at%50 == 0:
			r.begin(1+at/50, fmt.Sprintf("step %d batch", 1+at/50))
		case random.IntN(6) == 0:
			r.sync(id)
		default:
			r.write(id, int64(random.IntN(400_000)), frame("item", at, 64+random.IntN(900)), 0)
		}
	}
	r.put(r.entry(trace.Verdict, "every promise was kept"))
	return &r.t
}

// recorder writes a trace, and knows the disk as far as its changes need.
type recorder struct {
	t     trace.Trace
	files map[int]*file
	life  int
	step  int
	index int // of the next operation
	clock time.Time
}

type file struct {
	path          string
	cells         []trace.State
	size, durable int64
	names         []trace.Change // that are pending
}

func newRecorder(h trace.Header) *recorder {
	return &recorder{t: trace.Trace{Header: h}, files: map[int]*file{}, clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// each is the files by ascending number.
func (r *recorder) each() func(yield func(int, *file) bool) {
	return func(yield func(int, *file) bool) {
		for id := 0; id <= len(r.files)+1; id++ {
			if f := r.files[id]; f != nil && !yield(id, f) {
				return
			}
		}
	}
}

func (r *recorder) entry(kind trace.Kind, text string) trace.Entry {
	r.clock = r.clock.Add(1250 * time.Microsecond)
	return trace.Entry{N: len(r.t.Entries), Life: r.life, Step: r.step, Time: r.clock.Format(time.RFC3339Nano), Kind: kind, Text: text}
}

func (r *recorder) put(e trace.Entry) { r.t.Entries = append(r.t.Entries, e) }

func (r *recorder) say(kind trace.Kind, text string) { r.put(r.entry(kind, text)) }

func (r *recorder) begin(step int, text string) {
	r.step = step
	r.say(trace.Step, text)
}

// end gives the last entry of a step its digest.
func (r *recorder) end() {
	r.t.Entries[len(r.t.Entries)-1].Digest = fmt.Sprintf("%016x", uint64(len(r.t.Entries))*0x9e3779b97f4a7c15)
}

func (r *recorder) op(o trace.Operation, changes ...trace.Change) {
	o.Index = r.index
	r.index++
	text := fmt.Sprintf("%d %s %s", o.Index, o.Verb, o.Path)
	if o.To != "" {
		text += " to " + o.To
	}
	if o.Length > 0 && o.Verb != "truncate" {
		text += fmt.Sprintf(" %d+%d", o.Offset, o.Length)
	} else if o.Verb == "truncate" {
		text += fmt.Sprintf(" to %d", o.Length)
	}
	if o.Error != "" {
		text += ": " + o.Error
	}
	if o.Callers == nil {
		o.Callers = lines("group.go:212", "append.go:240", "log.go:388")
	}
	e := r.entry(trace.Op, text)
	e.Op, e.Changes, e.Failed = &o, changes, o.Error != ""
	r.put(e)
}

func (r *recorder) next() int { return len(r.t.Entries) }

func (r *recorder) name(id int, path string, state trace.State) trace.Change {
	if r.files[id] == nil {
		r.files[id] = &file{}
	}
	f := r.files[id]
	f.path = path
	c := trace.Change{Of: trace.OfName, File: id, Path: path, State: state}
	if state == trace.Pending {
		c.By = r.next()
		f.names = append(f.names, c)
	}
	return c
}

// removal is what becomes of a name that is taken away.
func (r *recorder) removal(id int, path string) trace.Change {
	c := trace.Change{Of: trace.OfName, File: id, Path: path, State: trace.Pending, By: r.next(), Removal: true}
	r.files[id].names = append(r.files[id].names, c)
	return c
}

func (r *recorder) create(id int, path string) {
	r.op(trace.Operation{Verb: "create", Path: path, Callers: lines("rotate.go:74", "rotate.go:61", "append.go:240")}, r.name(id, path, trace.Pending))
}

// write writes; of short > 0 only so many bytes come to the disk.
func (r *recorder) write(id int, offset int64, data []byte, short int) {
	f := r.files[id]
	o := trace.Operation{Verb: "write", Path: f.path, Offset: offset, Length: int64(len(data)), Data: data, Callers: lines("group.go:185", "commit.go:402", "append.go:240")}
	n := int64(len(data))
	if short > 0 {
		n = int64(short)
		o.Error = fmt.Sprintf("short write: %d of %d bytes", short, len(data))
	}
	from, to := int(offset/cell), int((offset+n+cell-1)/cell)
	for len(f.cells) < to {
		f.cells = append(f.cells, trace.Gone)
	}
	for i := from; i < to; i++ {
		f.cells[i] = trace.Pending
	}
	changes := []trace.Change{{Of: trace.OfCells, File: id, Path: f.path, From: from, To: to, State: trace.Pending, By: r.next()}}
	if offset+n > f.size {
		f.size = offset + n
		changes = append(changes, trace.Change{Of: trace.OfSize, File: id, Path: f.path, Size: f.size, State: trace.Pending, By: r.next()})
	}
	r.op(o, changes...)
}

// cut is what a truncate does, which is durable with the next sync.
func (r *recorder) cut(id int, size int64) []trace.Change {
	f := r.files[id]
	keep := int((size + cell - 1) / cell)
	var changes []trace.Change
	if keep < len(f.cells) {
		changes = append(changes, trace.Change{Of: trace.OfCells, File: id, Path: f.path, From: keep, To: len(f.cells), State: trace.Gone})
		f.cells = f.cells[:keep]
	}
	f.size = size
	return append(changes, trace.Change{Of: trace.OfSize, File: id, Path: f.path, Size: size, State: trace.Pending, By: r.next()})
}

func (r *recorder) sync(id int) {
	f := r.files[id]
	var changes []trace.Change
	for i := 0; i < len(f.cells); i++ {
		from := i
		for i < len(f.cells) && f.cells[i] == trace.Pending {
			f.cells[i] = trace.Durable
			i++
		}
		if i > from {
			changes = append(changes, trace.Change{Of: trace.OfCells, File: id, Path: f.path, From: from, To: i, State: trace.Durable})
		}
	}
	if f.size != f.durable {
		f.durable = f.size
		changes = append(changes, trace.Change{Of: trace.OfSize, File: id, Path: f.path, Size: f.size, State: trace.Durable})
	}
	r.op(trace.Operation{Verb: "sync", Path: f.path, Barrier: true, Callers: lines("group.go:240", "append.go:240")}, changes...)
}

func (r *recorder) syncdir(dir string) {
	var changes []trace.Change
	for _, f := range r.each() {
		for _, name := range f.names {
			if strings.HasPrefix(name.Path, dir+"/") {
				changes = append(changes, trace.Change{Of: trace.OfName, File: name.File, Path: name.Path, State: trace.Durable, Removal: name.Removal})
			}
		}
		f.names = nil
	}
	r.op(trace.Operation{Verb: "syncdir", Path: dir, Barrier: true, Callers: lines("directory.go:88", "rotate.go:90", "append.go:240")}, trace.Merged(changes)...)
}

func lines(list ...string) []string {
	for i := range list {
		list[i] = "engine/" + list[i]
	}
	return list
}

func header(text string) []byte { return frame("UNTORN "+text, 0, 64) }

// frame is so many bytes that look like a record: a name, a number, and a body in which
// not every byte is a letter.
func frame(name string, number, size int) []byte {
	b := append(make([]byte, 0, size), fmt.Sprintf("%s #%d {", name, number)...)
	for i := 0; len(b) < size; i++ {
		b = append(b, byte(i*7+number), "untorn"[i%6])
	}
	return b[:size]
}
