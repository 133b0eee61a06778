package synclab

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// step is one thing that a program does.
type step struct {
	verb string // open, put, close
	size int    // put: bytes of the value
	also string // put: what else goes wrong in it, as a fault without its step
}

// story is a workload. What comes before it is done on a sound disk, by a
// process that is then killed.
type story struct {
	name   string
	before []step
	steps  []step
}

// stories lead to the places where a store syncs: a new one, one that goes on
// after it was closed, after its process was killed, when a file is full, and
// when a write fails.
func stories() []story {
	open, end := step{verb: "open"}, step{verb: "close"}
	put := func(size int) step { return step{verb: "put", size: size} }
	full := []step{open}
	for range 7 {
		full = append(full, put(7000))
	}
	return []story{
		{"a new store", nil, []step{open, put(100), put(900), end, open, put(100)}},
		{"a process was killed", []step{open, put(300), put(500)}, []step{open, put(200), end, open, put(100)}},
		{"a file is full", append(full, end), []step{open, put(7000), put(7000), put(100), end}},
		{"a write fails", []step{open, put(300), end}, []step{open, put(200), {verb: "put", size: 1500, also: "short 700"}, put(100), end}},
		{"the first write fails", nil, []step{open, {verb: "put", size: 900, also: "short 700"}, put(100), end}},
	}
}

// site is a sync of a story that can fail.
type site struct {
	story int
	fault faults.Fault // without its mode
	call  string       // the innermost two functions of the program
}

// fails is the fault with which the sync fails.
func (s *site) fails(mode faults.Mode) faults.Fault {
	f := s.fault
	f.Kind, f.Mode = faults.FailSync, mode
	return f
}

// also is what goes wrong besides the sync.
func (s *story) also() (list []faults.Fault) {
	for i, step := range s.steps {
		if step.also == "" {
			continue
		}
		for _, op := range []string{"write", "writeat"} {
			f, err := faults.Parse(fmt.Sprintf("step=%d %s * #1: %s", i+1, op, step.also))
			if err != nil {
				panic("internal error: " + err.Error())
			}
			list = append(list, f)
		}
	}
	return list
}

// driver takes a program through a story.
type driver struct {
	program Program
	how     cell
	fs      afero.Fs
	faults  *faults.FS // nil before the story
	disk    *simfs.FS
	seed    uint64
	note    func(explore.Note)
	known   ledger

	store Store
	opens uint64
	puts  int
	hit   bool // the fault hit in this step
}

// do does the steps of a story, or those before it.
func (d *driver) do(steps []step) error {
	for i, s := range steps {
		if d.faults != nil {
			d.faults.SetStep(i + 1)
		}
		d.hit = false
		switch s.verb {
		case "open":
			if d.store == nil {
				d.open()
			}
			if d.hit {
				d.again()
			}
		case "close":
			d.close()
			if d.hit {
				d.open()
			}
		case "put":
			d.put(s.size)
		}
		if d.faults != nil {
			d.faults.SetStep(len(steps) + 1)
		}
		if err := d.look(); err != nil {
			return err
		}
	}
	return nil
}

// attempts is how often a call is made that fails.
const attempts = 3

// open opens the store, more than once if need be.
func (d *driver) open() {
	for range attempts {
		d.opens++
		store, err := d.program.Open(d.fs, d.seed+d.opens)
		if err == nil {
			d.store = store
			return
		}
		d.told()
	}
}

func (d *driver) close() {
	if d.store == nil {
		return
	}
	if d.store.Close() != nil {
		d.told()
	}
	d.store = nil
}

// again closes the store and opens it, if that is how the program goes on.
func (d *driver) again() {
	if d.how.reopened {
		d.close()
		d.open()
	}
}

// value is what record n holds.
func value(n, size int) string {
	head := fmt.Sprintf("<%d: a record of %d bytes>", n, size)
	return head + strings.Repeat(string(rune('a'+n%26)), max(size-len(head), 0))
}

// put adds the next record.
func (d *driver) put(size int) {
	d.puts++
	r := Record{fmt.Sprintf("key-%d", d.puts), value(d.puts, size)}
	if d.store == nil {
		if d.open(); d.store == nil {
			return
		}
	}
	d.known = d.known.submitted(r)
	d.tell("put " + r.Key)
	err := d.try(r)
	if d.hit || err != nil {
		d.again()
	}
	for range attempts - 1 {
		if err == nil || !d.how.retries || d.store == nil {
			return
		}
		if err = d.try(r); err != nil {
			d.again()
		}
	}
}

func (d *driver) try(r Record) error {
	err := d.store.Put(r.Key, r.Value)
	if err != nil {
		d.told()
		d.tell("failed " + r.Key)
		return err
	}
	known, err := d.known.acknowledged(d.disk, r.Key)
	d.known = known
	d.tell("acked " + r.Key)
	return err
}

// told: the program got an error. If a sync had lied, it is no secret any more.
func (d *driver) told() {
	if d.known.lie {
		log := d.disk.Log()
		for _, op := range log[min(d.known.liedAt, len(log)):] {
			if op.Err != nil && (op.Kind == simfs.OpSync || op.Kind == simfs.OpSyncData || op.Kind == simfs.OpSyncDir) {
				d.known.lie = false
				d.tell("told of the lie")
				return
			}
		}
	}
}

// look reads the store as it is served to the running program.
func (d *driver) look() error {
	if d.store == nil {
		return nil
	}
	all, err := d.store.All()
	if err != nil {
		if d.known.fault {
			return nil // it says so
		}
		return fmt.Errorf("a read fails before any sync does: %w", err)
	}
	_, err = d.known.compare(all)
	return err
}

func (d *driver) tell(text string) {
	if d.note != nil {
		d.note(explore.Note{Key: text, Value: d.known})
	}
}

// faultKey begins the note that a sync has failed.
const faultKey = "fault "

// onHit is told of each fault.
func (d *driver) onHit(h faults.Hit) {
	if h.Fault.Kind != faults.FailSync {
		return
	}
	d.hit = true
	d.known.fault = true
	if h.Fault.Mode == faults.Silent || h.Fault.Mode == faults.Ext4Data {
		d.known.lie, d.known.lied = true, true
		d.known.liedAt = d.disk.Ops()
		d.known = d.known.exposedBy(d.disk, h.Path)
	}
	d.tell(faultKey + h.Fault.String())
}

// start is the disk that a story begins with, and what is known then.
func (s *story) start(p Program, c Config) (*simfs.Image, ledger, int, error) {
	if s.before == nil {
		return nil, ledger{}, 0, nil
	}
	disk := simfs.New(simfs.Options{Guarantees: c.Disk})
	d := &driver{program: p, fs: disk, disk: disk, seed: 1}
	if err := d.do(s.before); err != nil {
		return nil, ledger{}, 0, fmt.Errorf("%s, before the story: %w", s.name, err)
	}
	for _, e := range d.known.entries {
		if !e.acked {
			return nil, ledger{}, 0, fmt.Errorf("%s, before the story: %s was not acknowledged", s.name, e.Key)
		}
	}
	return disk.Crash(simfs.ProcessKill).Resolve(simfs.Latest()), d.known, d.puts, nil
}

// sites runs the story, with no sync failing, and lists its syncs.
func (s *story) sites(p Program, c Config, number int) (list []site, err error) {
	image, known, puts, err := s.start(p, c)
	if err != nil {
		return nil, err
	}
	disk := simfs.New(simfs.Options{Guarantees: c.Disk})
	if image != nil {
		disk = image.Mount(nil)
	}
	seen := map[faults.Fault]int{}
	watch := s.also()
	for _, op := range []faults.OpKind{faults.Sync, faults.SyncData, faults.SyncDir} {
		// Slow by nothing: told of each.
		watch = append(watch, faults.Fault{Step: faults.AnyStep, Op: op, Kind: faults.Slow, N: 1})
	}
	d := &driver{program: p, disk: disk, seed: 2, known: known, puts: puts}
	d.faults = faults.New(disk, watch, faults.Options{Slow: nothing, OnHit: func(h faults.Hit) {
		if h.Fault.Kind != faults.Slow {
			return
		}
		class := faults.DefaultClass(h.Path)
		if h.Fault.Op == faults.SyncDir {
			class = faults.DirClass
		}
		f := faults.Fault{Step: h.Step, Op: h.Fault.Op, Class: class}
		seen[f]++
		f.Ordinal = seen[f]
		list = append(list, site{story: number, fault: f, call: caller()})
	}})
	d.fs = d.faults
	d.known.fault = true // writes fail
	if err := d.do(s.steps); err != nil {
		return nil, fmt.Errorf("%s, with no sync failing: %w", s.name, err)
	}
	return list, nil
}

// caller names the innermost two functions of the program above a sync.
func caller() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	var names []string
	inFaults := false
	for {
		frame, more := frames.Next()
		within := strings.Contains(frame.Function, "/untorn/faults.")
		if inFaults && !within {
			names = append(names, frame.Function[strings.LastIndexByte(frame.Function, '/')+1:])
		}
		inFaults = inFaults || within
		if !more || len(names) == 2 {
			return strings.Join(names, " < ")
		}
	}
}
