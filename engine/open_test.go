package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simfs"
)

const (
	firstSegment  = "log/000000000001.seg"
	secondSegment = "log/000000000002.seg"
	thirdSegment  = "log/000000000003.seg"
)

func TestOptionsReportAllProblems(t *testing.T) {
	_, err := engine.Open(engine.Options{
		Salvage: true, Align: 512, SegmentSize: 1000, MaxPayload: 65 << 20, MaxMetadata: -1, MaxBatchEvents: 65536,
		MaxBatchBytes: -1, SyncCount: -1, SyncEvery: -1, LockWait: -1,
	})
	if _, err := engine.Open(engine.Options{FS: afero.NewMemMapFs()}); !errors.Is(err, engine.ErrInvalid) || !strings.Contains(err.Error(), "MemMapFs") {
		t.Errorf("a disk whose ReadAt and WriteAt share a place: %v", err)
	}
	for _, want := range []string{"Dir", "Salvage", "Align is 512", "SegmentSize is 1000", "MaxPayload", "MaxMetadata", "MaxBatchEvents is 65536", "MaxBatchBytes", "SyncCount", "SyncEvery", "LockWait"} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	m := newMachine(t, engine.Options{})
	for _, options := range []engine.Options{
		{SegmentSize: 64 << 10, MaxBatchBytes: 64<<10 - 8<<10},
		{SegmentSize: 4 << 30},
		{MaxPayload: 64 << 20, MaxMetadata: 1 << 20, MaxBatchEvents: 65535},
	} {
		m.options = options
		closed(t, m.open())
	}
	m.options = engine.Options{SegmentSize: 64 << 10, MaxBatchBytes: 64<<10 - 8<<10 + 1}
	if _, err := engine.Open(m.seams()); err == nil {
		t.Error("a batch larger than its segment is taken")
	}
}

func TestNamesSuitEverySystem(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	for i := range 4 {
		appended(t, log, big(fmt.Sprint(i), 30_000))
	}
	safe := regexp.MustCompile(`^[A-Za-z0-9]+(\.[a-z]+)?$`)
	for name := range tree(t, m.disk) {
		if !safe.MatchString(name) || strings.ToUpper(name) == "CON" {
			t.Errorf("%q is no name on every system", name)
		}
	}
	closed(t, log)
	// Names of others are left alone.
	for _, name := range []string{"log/notes.txt", "log/1.seg", "log/0000000000001.seg", "log/000000000000.seg", "log/00000000000x.seg", "log/999999999999.seg"} {
		if err := afero.WriteFile(m.disk, name, []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	log = m.open()
	verified(t, log)
	closed(t, log)
	if b, err := afero.ReadFile(m.disk, "log/1.seg"); err != nil || string(b) != "mine" {
		t.Errorf("a file of somebody else: %q, %v", b, err)
	}
}

func TestLock(t *testing.T) {
	for name, options := range map[string]engine.Options{
		"real":      {Dir: t.TempDir()},
		"simulated": {Dir: "log", FS: simfs.New(simfs.Options{})},
	} {
		t.Run(name, func(t *testing.T) {
			log := openDir(t, options)
			appended(t, log, "a")
			if _, err := engine.Open(options); !errors.Is(err, engine.ErrLocked) {
				t.Fatalf("a second writer: %v", err)
			}
			reader := options
			reader.ReadOnly = true
			for range 2 {
				second := openDir(t, reader)
				if got := payloads(all(t, second, engine.Query{Buffered: true})); fmt.Sprint(got) != "[a]" {
					t.Errorf("a reader beside the writer sees %q", got)
				}
			}
			appended(t, log, "b")
			waiting := options
			waiting.LockWait = time.Minute
			opened := make(chan error)
			go func() {
				log, err := engine.Open(waiting)
				if err == nil {
					err = log.Close()
				}
				opened <- err
			}()
			closed(t, log)
			if err := <-opened; err != nil {
				t.Errorf("a second writer that waits: %v", err)
			}
			log = openDir(t, options)
			if got := payloads(all(t, log, engine.Query{})); fmt.Sprint(got) != "[a b]" {
				t.Errorf("%q", got)
			}
		})
	}
}

// untouchable fails the test when anything is changed.
func untouchable(t *testing.T, disk *simfs.FS) {
	disk.Observe(func(op simfs.Op) {
		switch op.Kind {
		case simfs.OpWrite, simfs.OpTruncate, simfs.OpPreallocate, simfs.OpCreate, simfs.OpMkdir, simfs.OpRename, simfs.OpRemove:
			t.Errorf("%v of %s", op.Kind, op.Path)
		}
	})
}

// TestReadOnly writes no byte and takes no lock, and shows what is not proven to
// be durable only to who asks.
func TestReadOnly(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	appended(t, log, "a")
	appended(t, log, "b")
	buffered(t, log, "c")
	torn(m, log)
	m.options.ReadOnly = true
	untouchable(t, m.disk)
	reader := m.open()
	// The BEGIN of b proves a; that of c, which was written after the sync of b,
	// proves b. Nothing proves c.
	if got := payloads(all(t, reader, engine.Query{})); fmt.Sprint(got) != "[a b]" {
		t.Errorf("durable: %q", got)
	}
	events := all(t, reader, engine.Query{Buffered: true})
	if got := payloads(events); fmt.Sprint(got) != "[a b c]" || events[2].Durable || !events[1].Durable {
		t.Errorf("unproven: %+v", events)
	}
	r := reader.Recovery()
	if !r.Torn || r.Unproven != 1 || r.Fresh != 0 || r.TornReason == "" || r.TornAt.Segment != 1 {
		t.Errorf("recovery %+v", r)
	}
	verified(t, reader)
	ctx := context.Background()
	_, err := reader.Append(ctx, draft("d"))
	matches(t, err, engine.ErrRejected, engine.ErrReadOnly)
	if err := reader.Sync(ctx); !errors.Is(err, engine.ErrReadOnly) {
		t.Errorf("sync: %v", err)
	}
	writer := m.options
	writer.ReadOnly = false
	m.disk.Observe(nil)
	m.options = writer
	log = m.open()
	m.holds(log, "a", "b", "c")
	if r := log.Recovery(); !r.Torn || r.Fresh != 2 || r.Carried != 1 {
		t.Errorf("recovery %+v", r)
	}
	closed(t, reader)
	closed(t, log)
	m.reopened("a", "b", "c")
}

func TestReadOnlyNeedsALog(t *testing.T) {
	m := newMachine(t, engine.Options{ReadOnly: true})
	untouchable(t, m.disk)
	if _, err := engine.Open(m.seams()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("simulated: %v", err)
	}
	dir := t.TempDir() + "/none"
	if _, err := engine.Open(engine.Options{Dir: dir, ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("real: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was made: %v", err)
	}
}

// segmented is a closed log of ten events in three segments or more.
func segmented(t *testing.T) *machine {
	m := newMachine(t, engine.Options{})
	log := m.open()
	for i := range 10 {
		appended(t, log, big(fmt.Sprint(i), 15_000))
	}
	if n := len(log.Stats().Segments); n < 3 {
		t.Fatalf("%d segments", n)
	}
	closed(t, log)
	return m
}

// TestStatsOfAnOpenedLog checks the sizes that Stats tells against the files,
// whoever opened them.
func TestStatsOfAnOpenedLog(t *testing.T) {
	m := segmented(t)
	for _, readOnly := range []bool{true, false} {
		options := m.seams()
		options.ReadOnly = readOnly
		log, err := engine.Open(options)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range log.Stats().Segments {
			info, err := m.disk.Stat(fmt.Sprintf("%s/%012d.seg", options.Dir, s.Number))
			if err != nil {
				t.Fatal(err)
			}
			if s.Size != info.Size() || s.Used > s.Size {
				t.Errorf("read only %v, segment %d: %d of %d bytes used, the file has %d", readOnly, s.Number, s.Used, s.Size, info.Size())
			}
		}
		closed(t, log)
	}
}

// TestDamage damages a closed log. Open says where, changes nothing, and salvage
// reads what is whole.
func TestDamage(t *testing.T) {
	whole := func(n int) func([]byte) []byte { // flips a byte
		return func(b []byte) []byte { b[n] ^= 0x55; return b }
	}
	blank := func(from, to int) func([]byte) []byte {
		return func(b []byte) []byte { clear(b[from:to]); return b }
	}
	both := func(change func(h []byte)) func([]byte) []byte { // copies of the header
		return func(b []byte) []byte {
			for _, at := range []int{0, 4096} {
				h := b[at : at+144]
				change(h)
				crc := crc32.MakeTable(crc32.Castagnoli)
				binary.LittleEndian.PutUint32(h[8:], crc32.Update(crc32.Checksum(h[:8], crc), crc, h[12:]))
			}
			return b
		}
	}
	move := func(from, to string) func(m *machine) {
		return func(m *machine) {
			if err := m.disk.Rename(from, to); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, row := range []struct {
		name    string
		file    string
		change  func([]byte) []byte
		act     func(m *machine)
		says    error
		segment uint64 // in the *CorruptError
		text    string
		salvage []int // events that are whole; nil: all or whatever
	}{
		{name: "a bit in the first batch", file: firstSegment, change: whole(8192 + 300), says: engine.ErrCorrupt, segment: 1, salvage: []int{1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{name: "a BEGIN", file: firstSegment, change: whole(8192 + 10), says: engine.ErrCorrupt, segment: 1, salvage: []int{1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{name: "a sector in the middle", file: secondSegment, change: blank(20_480, 20_992), says: engine.ErrCorrupt, segment: 2, salvage: []int{0, 1, 2, 4, 5, 6, 7, 8, 9}},
		{name: "a page in the middle", file: secondSegment, change: blank(24_576, 28_672), says: engine.ErrCorrupt, segment: 2},
		{name: "the last batch of a closed log", file: "last", change: whole(8192 + 400), says: engine.ErrCorrupt, salvage: []int{0, 1, 2, 3, 4, 5, 6, 7, 8}},
		{name: "a shortened segment", file: firstSegment, change: func(b []byte) []byte { return b[:30_000] }, says: engine.ErrCorrupt, segment: 1, salvage: []int{0, 3, 4, 5, 6, 7, 8, 9}},
		{name: "a header, both copies", file: secondSegment, change: func(b []byte) []byte { clear(b[:8192]); return b }, says: engine.ErrCorrupt, segment: 2, text: "missing", salvage: []int{0, 1, 2, 6, 7, 8, 9}},
		{name: "a missing first segment", act: func(m *machine) { m.disk.Remove(firstSegment) }, says: engine.ErrCorrupt, segment: 2, text: "missing", salvage: []int{3, 4, 5, 6, 7, 8, 9}},
		{name: "a missing segment", act: func(m *machine) { m.disk.Remove(secondSegment) }, says: engine.ErrCorrupt, segment: 2, text: "missing", salvage: []int{0, 1, 2, 6, 7, 8, 9}},
		{name: "a missing last segment", act: func(m *machine) { m.disk.Remove(last(m)) }, says: engine.ErrCorrupt, text: "missing", salvage: []int{0, 1, 2, 3, 4, 5, 6, 7, 8}},
		{name: "a moved segment", act: func(m *machine) {
			b, _ := afero.ReadFile(m.disk, secondSegment)
			edit(m.t, m.disk, thirdSegment, func([]byte) []byte { return b })
		}, says: engine.ErrCorrupt, segment: 3, text: "moved", salvage: []int{0, 1, 2, 3, 4, 5, 9}},
		{name: "swapped segments", act: func(m *machine) {
			move(secondSegment, "log/x")(m)
			move(firstSegment, secondSegment)(m)
			move("log/x", firstSegment)(m)
		}, says: engine.ErrCorrupt, segment: 1, text: "moved", salvage: []int{6, 7, 8, 9}},
		{name: "a foreign segment", act: func(m *machine) {
			other := newMachine(m.t, engine.Options{})
			other.lives = 100
			log := other.open()
			for i := range 10 {
				appended(m.t, log, big(fmt.Sprint(i), 15_000))
			}
			closed(m.t, log)
			b, _ := afero.ReadFile(other.disk, secondSegment)
			edit(m.t, m.disk, secondSegment, func([]byte) []byte { return b })
		}, says: engine.ErrCorrupt, segment: 2, text: "another log", salvage: []int{0, 1, 2, 6, 7, 8, 9}},
		{name: "a stale copy of a segment", act: func(m *machine) { // the same segment, before it had all its batches
			stale := newMachine(m.t, engine.Options{})
			log := stale.open()
			appended(m.t, log, big("0", 15_000))
			closed(m.t, log)
			b, _ := afero.ReadFile(stale.disk, firstSegment)
			edit(m.t, m.disk, firstSegment, func([]byte) []byte { return b })
		}, says: engine.ErrCorrupt, segment: 1, salvage: []int{0, 3, 4, 5, 6, 7, 8, 9}},
		{name: "an unknown major version", file: secondSegment, change: both(func(h []byte) { binary.LittleEndian.PutUint16(h[14:], 2) }), says: engine.ErrVersion, text: "2"},
		{name: "an unknown feature", file: secondSegment, change: both(func(h []byte) { h[16] = 4 }), says: engine.ErrVersion, text: "0x4"},
		{name: "a feature that this program may not write", file: secondSegment, change: both(func(h []byte) { h[20] = 1 }), says: engine.ErrVersion, text: "ReadOnly"},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := segmented(t)
			if row.file == "last" {
				row.file = last(m)
			}
			if row.change != nil {
				edit(t, m.disk, row.file, row.change)
			} else {
				row.act(m)
			}
			before := tree(t, m.disk)
			_, err := engine.Open(m.seams())
			if !errors.Is(err, row.says) || !strings.Contains(fmt.Sprint(err), row.text) {
				t.Fatalf("open: %v, want %v and %q", err, row.says, row.text)
			}
			var corrupt *engine.CorruptError
			if errors.As(err, &corrupt) && row.segment != 0 && corrupt.Segment != row.segment {
				t.Errorf("%+v, want segment %d", corrupt, row.segment)
			}
			if !maps.Equal(before, tree(t, m.disk)) {
				t.Error("an Open that refuses has changed files")
			}
			// Nobody else is locked out by an Open that has failed.
			if _, err := engine.Open(m.seams()); errors.Is(err, engine.ErrLocked) || err == nil {
				t.Errorf("a second time: %v", err)
			}
			m.options.ReadOnly, m.options.Salvage = true, true
			untouchable(t, m.disk)
			log, err := engine.Open(m.seams())
			if errors.Is(row.says, engine.ErrVersion) {
				if row.text != "ReadOnly" && err == nil {
					t.Error("salvage reads what it does not know")
				}
				if err == nil {
					log.Close()
				}
				return
			}
			if err != nil {
				t.Fatalf("salvage: %v", err)
			}
			if len(log.Recovery().Damage) == 0 {
				t.Error("salvage names no damage")
			}
			got := []int{}
			for event, err := range log.Read(engine.Query{Buffered: true}) {
				if err != nil {
					t.Fatal(err)
				}
				n := int(event.Sequence) - 1
				if want := big(fmt.Sprint(n), 15_000); string(event.Data) != want {
					t.Errorf("event %d is %.20q", event.Sequence, event.Data)
				}
				got = append(got, n)
			}
			atEach(t, log, 11)
			if row.salvage != nil && !slices.Equal(got, row.salvage) {
				t.Errorf("salvaged %v, want %v", got, row.salvage)
			}
			if _, err := log.Verify(context.Background()); !errors.Is(err, engine.ErrCorrupt) {
				t.Errorf("verify: %v", err)
			}
			closed(t, log)
		})
	}
}

// last is the name of the last segment.
func last(m *machine) string {
	names := slices.Sorted(maps.Keys(tree(m.t, m.disk)))
	names = slices.DeleteFunc(names, func(name string) bool {
		b, _ := afero.ReadFile(m.disk, "log/"+name)
		return !strings.HasSuffix(name, ".seg") || len(b) == 0 || b[0] == 0
	})
	return "log/" + names[len(names)-1]
}

// TestOneHeaderCopyIsEnough: one damaged copy takes nothing away, and Verify says
// so.
func TestOneHeaderCopyIsEnough(t *testing.T) {
	for _, at := range []int{0, 4096} {
		m := segmented(t)
		edit(t, m.disk, secondSegment, func(b []byte) []byte { clear(b[at : at+4096]); return b })
		log := m.open()
		if n := len(all(t, log, engine.Query{})); n != 10 {
			t.Errorf("%d events", n)
		}
		if _, err := log.Verify(context.Background()); !errors.Is(err, engine.ErrCorrupt) {
			t.Errorf("verify: %v", err)
		}
		closed(t, log)
	}
}

// TestHeaderOfAnotherLog: the header of another log's segment, written over one
// copy of a segment's own, is damage, not a log of which nothing was ever whole.
func TestHeaderOfAnotherLog(t *testing.T) {
	for _, at := range []int{0, 4096} {
		m := newMachine(t, engine.Options{})
		log := m.open()
		appended(t, log, big("0", 100))
		closed(t, log)
		other := newMachine(t, engine.Options{})
		other.lives = 100
		log = other.open()
		appended(t, log, big("0", 100))
		closed(t, log)
		stray, err := afero.ReadFile(other.disk, firstSegment)
		if err != nil {
			t.Fatal(err)
		}
		edit(t, m.disk, firstSegment, func(b []byte) []byte { copy(b[at:at+512], stray); return b })
		before := tree(t, m.disk)
		log, err = engine.Open(m.seams())
		if at == 0 {
			var corrupt *engine.CorruptError
			if !errors.As(err, &corrupt) || corrupt.Segment != 1 || corrupt.Offset != 0 || !strings.Contains(corrupt.Reason, "differ") {
				t.Errorf("open: %v", err)
			}
			if !maps.Equal(before, tree(t, m.disk)) {
				t.Error("an Open that refuses has changed files")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if n := len(all(t, log, engine.Query{})); n != 1 {
			t.Errorf("%d events", n)
		}
		if _, err := log.Verify(context.Background()); !errors.Is(err, engine.ErrCorrupt) {
			t.Errorf("verify: %v", err)
		}
		closed(t, log)
	}
}

// TestACleanCloseIsLeftAlone: after Close, opening and closing again changes no
// byte, whatever a power cut took, and the log goes on in the same segment.
func TestACleanCloseIsLeftAlone(t *testing.T) {
	for _, options := range []engine.Options{{}, {Preallocate: -1}, {Align: 4096}} {
		for _, chooser := range []simfs.Chooser{simfs.Latest(), simfs.Oldest()} {
			m := newMachine(t, options)
			log := m.open()
			appended(t, log, "a", "b")
			buffered(t, log, "c")
			closed(t, log)
			m.powerLoss(chooser)
			before := tree(t, m.disk)
			for range 3 {
				log := m.open()
				if r := log.Recovery(); r.Torn || r.Fresh != 0 || r.Unproven != 0 || r.Events != 3 {
					t.Errorf("recovery %+v", r)
				}
				m.holds(log, "a", "b", "c")
				closed(t, log)
				if !maps.Equal(before, tree(t, m.disk)) {
					t.Error("opening and closing has changed files")
				}
			}
			log = m.open()
			appended(t, log, "d")
			if n := len(log.Stats().Segments); n != 1 {
				t.Errorf("%d segments", n)
			}
			closed(t, log)
			m.reopened("a", "b", "c", "d")
		}
	}
}

// TestNoLossGoesUnnoticed loses every sector, and every page, of a closed log in
// turn, also after a power cut: Open says so, or all events are there. END proves
// the last group, and lies in a block of its own.
func TestNoLossGoesUnnoticed(t *testing.T) {
	for _, align := range []int{0, 4096} {
		for _, size := range []int{10, 900, 3000, 9000} {
			m := newMachine(t, engine.Options{Align: align})
			var want []string
			for session := range 3 {
				log := m.open()
				for i := range 2 {
					payload := big(fmt.Sprintf("%d.%d", session, i), size)
					appended(t, log, payload)
					want = append(want, payload)
				}
				closed(t, log)
			}
			m.powerLoss(simfs.Oldest())
			length := len(tree(t, m.disk)[filepath.Base(firstSegment)])
			noticed := 0
			for _, unit := range []int{512, 4096} {
				for at := 0; at < length; at += unit {
					damaged := *m
					damaged.disk = m.disk.Clone()
					edit(t, damaged.disk, firstSegment, func(b []byte) []byte { clear(b[at:min(at+unit, length)]); return b })
					log, err := engine.Open(damaged.seams())
					if errors.Is(err, engine.ErrCorrupt) {
						noticed++
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					if got := payloads(all(t, log, engine.Query{})); !slices.Equal(got, want) {
						t.Errorf("align %d, payloads of %d: %d bytes lost at %d: Open shows %.10q", align, size, unit, at, got)
					}
					closed(t, log)
				}
			}
			if noticed == 0 {
				t.Error("nothing was noticed")
			}
		}
	}
}

// TestLeftovers: what an unfinished recovery left is removed, and named.
func TestLeftovers(t *testing.T) {
	m := segmented(t)
	for _, name := range []string{"log/000000000004.new", "log/000000000009.new"} {
		if err := afero.WriteFile(m.disk, name, []byte("half a segment"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	log := m.open()
	if got := log.Recovery().Removed; fmt.Sprint(got) != "[000000000004.new 000000000009.new]" {
		t.Errorf("removed %q", got)
	}
	closed(t, log)
	for name := range tree(t, m.disk) {
		if strings.HasSuffix(name, ".new") {
			t.Errorf("%s is still there", name)
		}
	}
}

// TestPreparedSegments do not count: empty ones, zeros, a torn first group; gaps
// among them are ordinary.
func TestPreparedSegments(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	appended(t, log, "a")
	closed(t, log)
	for name, bytes := range map[string][]byte{
		"log/000000000002.seg": make([]byte, 70_000),
		"log/000000000004.seg": nil,
		"log/000000000005.seg": []byte("a torn first group"),
	} {
		if err := afero.WriteFile(m.disk, name, bytes, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	log = m.open()
	if r := log.Recovery(); r.Segments != 1 || r.Fresh != 0 {
		t.Errorf("recovery %+v", r)
	}
	want := []string{"a"}
	for i := range 20 { // through all of them
		want = append(want, big(fmt.Sprint(i), 15_000))
		appended(t, log, want[i+1])
	}
	m.holds(log, want...)
	closed(t, log)
	m.powerLoss(simfs.Oldest())
	m.reopened(want...)
}

func TestVerifyRemarksOnATornFirstGroup(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	appended(t, log, "a")
	closed(t, log)
	if err := afero.WriteFile(m.disk, secondSegment, []byte("torn"), 0o644); err != nil {
		t.Fatal(err)
	}
	log = m.open()
	if v := verified(t, log); len(v.Remarks) != 1 || !strings.Contains(v.Remarks[0], "segment 2") {
		t.Errorf("remarks %q", v.Remarks)
	}
	closed(t, log)
}

// TestOpenWithoutSpace: with a doubtful end and no room for a fresh segment the
// log opens, serves what is whole, durably, and takes no writes.
func TestOpenWithoutSpace(t *testing.T) {
	for _, line := range []string{
		"step=0 create new #1: fail ENOSPC", "step=0 writeat new #1: fail ENOSPC", "step=0 writeat new #1: short 600 ENOSPC", "step=0 sync new #1: fail ENOSPC",
	} {
		for _, first := range []bool{true, false} {
			m := newMachine(t, engine.Options{})
			log := m.open()
			var want []string
			if !first {
				appended(t, log, "a")
				want = append(want, "a")
			}
			appended(t, log, "b") // nothing proves it
			want = append(want, "b")
			m.crash(simfs.ProcessKill, nil)
			log = m.open(line)
			m.happened()
			m.holds(log, want...)
			_, err := log.Append(context.Background(), draft("c"))
			matches(t, err, engine.ErrRejected, engine.ErrLogFailed, engine.ErrNoSpace)
			if err := log.Stats().Failed; !errors.Is(err, engine.ErrNoSpace) {
				t.Errorf("failed: %v", err)
			}
			closed(t, log)
			m.powerLoss(simfs.Oldest())
			m.reopened(want...) // now there is room
		}
	}
}

// TestEveryQuery compares every kind of query with a filter over all events.
func TestEveryQuery(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	names := []struct{ scope, stream, kind string }{{"", "s", "a"}, {"", "u", "b"}, {"x", "s", "a"}, {"x", "v", "c"}}
	for i := range 60 {
		n := names[(i*i+i/7)%len(names)]
		d := engine.Draft{Scope: n.scope, Stream: n.stream, Type: n.kind, Data: bytes.Repeat([]byte{byte(i)}, i*40)}
		if _, err := log.AppendBatch(context.Background(), engine.Batch{Events: []engine.Draft{d}, Durability: engine.Durability(i / 58)}); err != nil {
			t.Fatal(err)
		}
	}
	everything := all(t, log, engine.Query{Buffered: true})
	if len(everything) != 60 {
		t.Fatalf("%d events", len(everything))
	}
	for _, scope := range []string{"", "x", "none"} {
		for _, stream := range []string{"", "s", "v"} {
			for bits := range 1 << 7 {
				has := func(i int) bool { return bits>>i&1 == 1 }
				q := engine.Query{Scope: scope, Stream: stream, Backward: has(0), Buffered: has(1)}
				if has(2) {
					q.Types = []string{"a", "c"}
				}
				if has(3) {
					q.FromSequence = 17
				}
				if has(4) {
					q.ToSequence = 59
				}
				if has(5) && stream != "" {
					q.FromVersion, q.ToVersion = 2, 9
				}
				if has(6) {
					q.Limit = 5
				}
				var want []uint64
				for _, e := range everything {
					if (q.Stream == "" && q.Scope == "" || e.Scope == q.Scope && (q.Stream == "" || e.Stream == q.Stream)) &&
						(q.Types == nil || slices.Contains(q.Types, e.Type)) && e.Sequence >= q.FromSequence &&
						(q.ToSequence == 0 || e.Sequence <= q.ToSequence) && (q.FromVersion == 0 || e.Version >= 2 && e.Version <= 9) &&
						(q.Buffered || e.Durable) {
						want = append(want, e.Sequence)
					}
				}
				if q.Backward {
					slices.Reverse(want)
				}
				if q.Limit > 0 && len(want) > q.Limit {
					want = want[:q.Limit]
				}
				var got []uint64
				for _, e := range all(t, log, q) {
					got = append(got, e.Sequence)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("%+v: %v, want %v", q, got, want)
				}
			}
		}
	}
	for _, err := range log.Read(engine.Query{FromVersion: 1}) {
		if !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("versions without a stream: %v", err)
		}
	}
	if got := log.Scopes(); fmt.Sprintf("%q", got) != `["" "x"]` {
		t.Errorf("scopes %q", got)
	}
	var streams []string
	for _, h := range log.Streams("x") {
		streams = append(streams, h.Stream)
		if h != log.Head("x", h.Stream) {
			t.Errorf("head %+v", h)
		}
	}
	if fmt.Sprint(streams) != "[s v]" {
		t.Errorf("streams %q", streams)
	}
	closed(t, log)
}

// TestPointsComeInOrder: the observer is told every named point.
func TestPointsComeInOrder(t *testing.T) {
	m := newMachine(t, engine.Options{})
	var told []string
	m.options.Observer = func(p engine.Point) { told = append(told, p.Name) }
	log := m.open()
	appended(t, log, "a", "b")
	want := "recover.checkpoint recover.index recover.frame recover.end " +
		"batch.start batch.begin_written batch.item_written batch.item_written batch.items_complete batch.commit_written batch.sync batch.pre_publish"
	if got := strings.Join(told, " "); got != want {
		t.Errorf("told %s\nwant %s", got, want)
	}
	told = nil
	appended(t, log, big("c", 50_000))
	appended(t, log, big("d", 50_000))
	if got := strings.Join(told, " "); !strings.Contains(got, "batch.start rotate.create rotate.done batch.begin_written") {
		t.Errorf("told %s", got)
	}
	closed(t, log)
}

// TestTheClockNeverLeadsBack: times never decrease along the log, a restart
// included, what the clock said is kept, and a clock far behind is told once.
func TestTheClockNeverLeadsBack(t *testing.T) {
	m := newMachine(t, engine.Options{})
	var told bytes.Buffer
	m.options.Logger = slog.New(slog.NewTextHandler(&told, nil))
	log := m.open()
	var clocks []time.Time
	for _, jump := range []time.Duration{0, time.Hour, -2 * time.Hour, time.Second, 3 * time.Hour} {
		m.clock.Jump(jump)
		clocks = append(clocks, m.clock.Now())
		appended(t, log, "x")
		if jump == time.Second {
			closed(t, log)
			log = m.open()
		}
	}
	latest := time.Time{}
	for i, e := range all(t, log, engine.Query{}) {
		if clocks[i].After(latest) {
			latest = clocks[i]
		}
		if !e.Clock.Equal(clocks[i]) || !e.Time.Equal(latest) {
			t.Errorf("event %d: clock %v, time %v; want %v, %v", i, e.Clock, e.Time, clocks[i], latest)
		}
	}
	if n := strings.Count(told.String(), "clock is behind"); n != 1 {
		t.Errorf("told %d times: %s", n, told.String())
	}
	verified(t, log)
	closed(t, log)
}

// TestMoreSegmentsThanOpenFiles reads a log of more segments than the log keeps
// open, there and back.
func TestMoreSegmentsThanOpenFiles(t *testing.T) {
	m := newMachine(t, engine.Options{Preallocate: -1})
	log := m.open()
	var want []string
	for i := range 70 {
		want = append(want, big(fmt.Sprint(i), 50_000))
		appended(t, log, want[i])
	}
	if n := len(log.Stats().Segments); n < 70 {
		t.Fatalf("%d segments", n)
	}
	for range 2 {
		m.holds(log, want...)
		slices.Reverse(want)
		if got := payloads(all(t, log, engine.Query{Backward: true})); !slices.Equal(got, want) {
			t.Errorf("backward: %.5q", got)
		}
		slices.Reverse(want)
		closed(t, log)
		log = m.open()
	}
	closed(t, log)
}

// TestSessionsOfEverySize: what one session writes ends anywhere, also where the
// reader's buffer does; the next session is found behind its END.
func TestSessionsOfEverySize(t *testing.T) {
	for _, align := range []int{0, 4096} {
		for size := 100; size < 20_000; size += 190 {
			m := newMachine(t, engine.Options{Align: align, Preallocate: -1, SegmentSize: 1 << 20})
			var want []string
			for session := range 4 {
				log := m.open()
				m.holds(log, want...)
				want = append(want, big(fmt.Sprint(session), size))
				appended(t, log, want[session])
				closed(t, log)
			}
			m.reopened(want...)
		}
	}
}
