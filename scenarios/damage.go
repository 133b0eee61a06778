package scenarios

import (
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios/invariant"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// damage does each damage step of the plan to a copy of the disk that the
// workload left, and checks I10 on it, opened as usual and opened to salvage.
func (r *run) damage() error {
	if r.final == nil || len(r.result.Violations) > 0 {
		return nil
	}
	var v *victim
	for _, step := range r.recorded {
		if step.Verb != "damage" {
			continue
		}
		if v == nil {
			var err error
			if v, err = r.victim(); err != nil {
				return err
			}
		}
		r.trace.begin(step)
		err := v.suffer(step)
		if err != nil {
			r.violated(v.account(fmt.Errorf("step %d, %s: %w", step.Number, step, err)), nil)
		}
		r.trace.end(step.Number, err)
	}
	return nil
}

// account says what was in the log, with an error.
func (v *victim) account(err error) error {
	what := "no event"
	if n := len(v.truth.Events); n > 0 {
		what = events(1, uint64(n))
	}
	return &accounted{error: err, fixed: &Account{
		Promised: []string{what + " before bytes were changed: each is served as it was, or reported as damaged"},
	}}
}

// victim is the disk of a log that is to be damaged, and what the log held.
type victim struct {
	run    *run
	disk   *simfs.FS
	truth  invariant.Truth
	files  []segmentBytes // that count, in order
	ended  bool           // the last of them ends with an END
	apart  bool           // that END is of a Close, which has a block of its own
	opened int
	seen   map[[16]byte]bool // images, the undamaged one among them
}

// segmentBytes is one segment file with the places of its marks.
type segmentBytes struct {
	name  string
	bytes []byte
	logID [16]byte
	marks []record.Frame // BEGINs and ENDs, in order
	at    []int64        // where they are
}

func (r *run) victim() (*victim, error) {
	v := &victim{run: r, disk: r.final, seen: map[[16]byte]bool{r.final.Crash(simfs.ProcessKill).Hash(): true}}
	v.truth.Closed = r.world.closed
	v.truth.LastGroup = r.world.lastGroup
	log, err := v.open(v.disk.Clone(), false)
	if err != nil {
		return nil, fmt.Errorf("the log to be damaged does not open: %w", err)
	}
	for event, err := range log.Read(engine.Query{}) {
		if err != nil {
			return nil, fmt.Errorf("the log to be damaged does not read: %w", err)
		}
		v.truth.Events = append(v.truth.Events, event)
	}
	names, err := afero.Glob(v.disk, "log/*.seg")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		bytes, err := afero.ReadFile(v.disk, name)
		if err != nil {
			return nil, err
		}
		if s, ok := layOut(name, bytes); ok {
			v.files = append(v.files, s)
			v.ended = s.endsWith(0)
			v.apart = v.ended && !s.endsWith(record.FlagRotated)
		}
	}
	return v, nil
}

// layOut finds the marks of a segment.
func layOut(name string, bytes []byte) (segmentBytes, bool) {
	s := segmentBytes{name: name, bytes: bytes}
	header, err := record.ParseSegmentHeader(bytes[:min(len(bytes), record.BlockSize)])
	if err != nil {
		return s, false
	}
	s.logID = header.LogID
	place := record.NewPlace(header.Seed)
	for at := int64(record.DataStart); at+record.MarkSize <= int64(len(bytes)); {
		frame, ok := record.ParseFrame(bytes[at:], place, at)
		if !ok {
			// A synced group, or an END, may begin on the next block.
			next := (at + record.BlockSize - 1) / record.BlockSize * record.BlockSize
			if next == at {
				break
			}
			at = next
			continue
		}
		s.marks = append(s.marks, frame)
		s.at = append(s.at, at)
		at += int64(frame.Distance)
	}
	return s, true
}

func (v *victim) open(disk *simfs.FS, salvage bool) (invariant.Log, error) {
	v.opened++
	w := newWorld(v.run.script.calm(), disk, disk, v.run.plan.Seed+uint64(v.opened), memory{})
	o := w.options(v.run.plan.Seed + uint64(v.opened))
	o.ReadOnly, o.Salvage = salvage, salvage
	if salvage {
		o.Signing = nil
	}
	log, err := engine.Open(o)
	v.run.ledger.refused(log, err)
	return log, err
}

// suffer damages a copy, and checks what the log makes of it.
func (v *victim) suffer(step plan.Step) error {
	at, err := step.Uint("at", 0)
	if err != nil {
		return err
	}
	with, err := step.Uint("with", 0)
	if err != nil {
		return err
	}
	disk := v.disk.Clone()
	truth := v.truth
	exempt, err := v.hurt(disk, step.Get("what"), at, with)
	if err != nil {
		return err
	}
	switch what := step.Get("what"); {
	case truth.Closed && !v.ended:
		exempt = 0 // a log that was closed has an END to prove its last batch, or it was not synced
	case truth.Closed && v.apart && slices.Contains([]string{"flip", "zero", "noise", "copy", "page"}, what):
		exempt = 0 // no one sector or page holds both
	}
	if exempt > 0 && (truth.Closed || truth.LastGroup == 0 || exempt < truth.LastGroup) {
		truth.Closed, truth.LastGroup = false, exempt
	}
	v.run.result.Images++
	image := disk.Crash(simfs.ProcessKill).Hash()
	if v.seen[image] {
		return nil // the same bytes were damaged in the same way before, or none was
	}
	v.seen[image] = true
	v.run.result.ImagesUnique++
	if v.run.config.Seen == nil || v.run.config.Seen.Add(explore.Key(image)) {
		v.run.result.ImagesNew++
	}
	v.run.result.Recoveries += 2
	v.run.result.Reached["damage "+step.Get("what")]++
	salvaged := truth
	salvaged.Salvage = true
	if err := invariant.CheckDamage(v.run.ctx, salvaged, func() (invariant.Log, error) { return v.open(disk.Clone(), true) }); err != nil {
		return fmt.Errorf("salvaging: %w", err)
	}
	return invariant.CheckDamage(v.run.ctx, truth, func() (invariant.Log, error) { return v.open(disk, false) })
}

const sector = 512

// hurt changes the files of a log. It returns the first sequence that may be
// gone without a word: damage that takes the end of a log with every mark behind
// it cannot be told from a log that ends there.
func (v *victim) hurt(disk *simfs.FS, what string, at, with uint64) (exempt uint64, err error) {
	if len(v.files) == 0 {
		return 0, nil
	}
	n := int(at % uint64(len(v.files)))
	f := &v.files[n]
	size := int64(len(f.bytes))
	last := n == len(v.files)-1
	place := int64(with % uint64(size))
	// change writes bytes over a range, and says what may be gone.
	change := func(from int64, bytes []byte) (uint64, error) {
		if err := overwrite(disk, f.name, from, bytes); err != nil {
			return 0, err
		}
		if !last {
			return 0, nil
		}
		return f.tail(from, from+int64(len(bytes))), nil
	}
	cut := func(from, length int64) (int64, []byte) {
		from = from / length * length
		return from, slices.Clone(f.bytes[from:min(from+length, size)])
	}
	switch what {
	case "flip":
		b := f.bytes[place] ^ 1<<(at>>16%8)
		return change(place, []byte{b})
	case "zero", "noise", "page":
		length := int64(sector)
		if what == "page" {
			length = record.BlockSize
		}
		from, bytes := cut(place, length)
		clear(bytes)
		if what == "noise" {
			newStream(with, "noise").Read(bytes)
		}
		return change(from, bytes)
	case "header":
		return change(int64(with%2)*record.BlockSize, make([]byte, record.SegmentHeaderSize))
	case "swap", "copy":
		from, a := cut(place, sector)
		to, b := cut(int64(at>>8)%size, sector)
		if len(a) != len(b) || from == to {
			return 0, nil
		}
		exempt, err := change(to, a)
		if err != nil || what == "copy" {
			return exempt, err
		}
		// The two together are one damage: it reaches from the first to the last.
		if err := overwrite(disk, f.name, from, b); err != nil {
			return 0, err
		}
		if !last {
			return 0, nil
		}
		return f.tailOf([][2]int64{{from, from + sector}, {to, to + sector}}), nil
	case "cut":
		file, err := disk.OpenFile(f.name, os.O_RDWR, 0)
		if err != nil {
			return 0, err
		}
		if err := file.Truncate(place); err != nil {
			return 0, err
		}
		if !last {
			return 0, file.Sync()
		}
		return f.tail(place, 1<<62), file.Sync()
	case "lose":
		if err := disk.Remove(f.name); err != nil {
			return 0, err
		}
		if last && n > 0 && v.files[n-1].endsWith(record.FlagRotated) {
			return 0, nil // the END of a full segment says that there is a next one
		}
		if last {
			return f.tail(0, 1<<62), nil
		}
		return 0, nil
	case "exchange":
		other := v.files[int(with%uint64(len(v.files)))].name
		if other == f.name {
			return 0, nil
		}
		const aside = "log/aside"
		return 0, firstError(disk.Rename(f.name, aside), disk.Rename(other, f.name), disk.Rename(aside, other))
	case "stranger": // the header of another log's segment, written to the wrong place
		header, err := record.ParseSegmentHeader(f.bytes)
		if err != nil {
			return 0, err
		}
		header.LogID[0]++
		header.Seed[0]++
		if header.PreviousBatch == 0 {
			header.PreviousHead = chain.LogRoot(header.LogID)
		}
		return 0, overwrite(disk, f.name, int64(with%2)*record.BlockSize, header.Append(nil)[:sector])
	case "foreign":
		return 0, v.plant(disk, with%2 == 0)
	}
	return 0, fmt.Errorf("damage %q is not known", what)
}

// endsWith reports whether the last mark is an END with these flags.
func (f *segmentBytes) endsWith(flags byte) bool {
	if len(f.marks) == 0 {
		return false
	}
	mark := f.marks[len(f.marks)-1]
	return mark.Kind == record.KindEnd && mark.Flags&flags == flags
}

// tail is tailOf one range.
func (f *segmentBytes) tail(from, to int64) uint64 { return f.tailOf([][2]int64{{from, to}}) }

// tailOf returns the first sequence of the first batch that the ranges touch, if
// no mark behind it is left whole, else 0.
func (f *segmentBytes) tailOf(ranges [][2]int64) uint64 {
	touches := func(from, to int64) bool {
		return slices.ContainsFunc(ranges, func(r [2]int64) bool { return from < r[1] && to > r[0] })
	}
	if touches(0, record.SegmentHeaderSize) && touches(record.BlockSize, record.BlockSize+record.SegmentHeaderSize) {
		if len(f.marks) > 0 {
			return f.marks[0].Sequence // without a header the file does not count
		}
		return 0
	}
	first := uint64(0)
	for i, mark := range f.marks {
		end := f.at[i] + int64(mark.Distance)
		switch {
		case first == 0 && touches(f.at[i], end):
			first = mark.Sequence
			if mark.Synced >= mark.Batch && !touches(f.at[i], f.at[i]+record.MarkSize) {
				return 0 // its own mark proves it
			}
		case first > 0 && !touches(f.at[i], f.at[i]+record.MarkSize):
			return 0 // what is whole here proves the batch before it
		}
	}
	return first
}

// plant puts a segment of another log behind the last one, or of a copy of this
// log that has gone its own way.
func (v *victim) plant(disk *simfs.FS, copied bool) error {
	other := simfs.New(simfs.Options{Guarantees: v.run.explorer.Guarantees})
	w := newWorld(v.run.script.calm(), other, other, v.run.plan.Seed+1, memory{})
	log, err := engine.Open(w.options(v.run.plan.Seed + 0x0f0f))
	if err != nil {
		return err
	}
	if _, err := log.Append(v.run.ctx, engine.Draft{Stream: "foreign", Type: "planted"}); err != nil {
		return err
	}
	if err := log.Close(); err != nil {
		return err
	}
	names, err := afero.Glob(other, "log/*.seg")
	if err != nil || len(names) == 0 {
		return fmt.Errorf("the other log has no segment: %w", err)
	}
	bytes, err := afero.ReadFile(other, names[0])
	if err != nil {
		return err
	}
	var number uint64
	last := path.Base(v.files[len(v.files)-1].name)
	if _, err := fmt.Sscanf(strings.TrimSuffix(last, ".seg"), "%d", &number); err != nil {
		return err
	}
	// Without the right number and place it would be found out by these alone.
	header, err := record.ParseSegmentHeader(bytes)
	if err != nil {
		return err
	}
	header.Number = number + 1
	if f := &v.files[len(v.files)-1]; len(f.marks) > 0 {
		header.PreviousEnd = uint64(f.at[len(f.at)-1]) + uint64(f.marks[len(f.marks)-1].Distance)
		if copied {
			header.LogID = f.logID
		}
	}
	copy(bytes, header.Append(nil))
	return afero.WriteFile(disk, fmt.Sprintf("log/%012d.seg", number+1), bytes, 0o644)
}

func overwrite(disk afero.Fs, name string, at int64, bytes []byte) error {
	file, err := disk.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	n, err := file.WriteAt(bytes, at)
	if err == nil && n < len(bytes) {
		err = io.ErrShortWrite
	}
	return firstError(err, file.Sync(), file.Close())
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
