package projection_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"
	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/projection"
	"github.com/untorn-db/untorn/scenarios/crashtest"
	"github.com/untorn-db/untorn/simfs"
)

func crashes() []simfs.Kind { return []simfs.Kind{simfs.PowerLoss, simfs.ProcessKill} }

func drawChooser(t *rapid.T) simfs.Chooser {
	return simfs.Random(rapid.Uint64().Draw(t, "what is left"))
}

// store is a log with a set over it, as crashtest opens it.
type store struct {
	log      *engine.Log
	set      *projection.Set
	p, named *projection.Projection[History]
}

var namedQuery = engine.Query{Stream: "s1"}

func openStore(disk afero.Fs) (*store, error) {
	life := 0 // of the log, so that no two draw the same
	if infos, err := afero.ReadDir(disk, "log"); err == nil {
		life = len(infos)
	}
	log, err := logOn(disk, life)
	if err != nil {
		return nil, err
	}
	s := &store{log: log}
	if s.p, err = projection.New(history("p", engine.Query{})); err != nil {
		return nil, err
	}
	if s.named, err = projection.New(history("named", namedQuery)); err != nil {
		return nil, err
	}
	s.set, err = projection.Open(log, kept(disk, 1), s.p, s.named)
	return s, err
}

func (s *store) append(i int) error {
	batch := engine.Batch{Key: fmt.Sprint("k", i)}
	for k := range 3 {
		data := fmt.Sprint(i, " ", k, strings.Repeat(".", 200))
		batch.Events = append(batch.Events, engine.Draft{Stream: fmt.Sprint("s", (i+k)%2), Type: "t", Data: []byte(data)})
	}
	_, err := s.log.AppendBatch(context.Background(), batch)
	return err
}

// whole checks what a crash has left: each checkpoint is one that was written, that
// of an acknowledged run or a later one, and a state is that of a computation from zero.
func (s *store) whole(h crashtest.History) error {
	saved := uint64(0) // by runs that were acknowledged
	events := uint64(0)
	for _, step := range h.Steps() {
		switch {
		case step.State != crashtest.Acked: // a batch may be there, or not
		case len(step.Writes) > 0:
			events += 3
		default:
			saved = events
		}
	}
	for _, status := range s.set.Status() {
		if status.Rebuilt != nil {
			return fmt.Errorf("the checkpoint of %s is not trusted: %w", status.Name, status.Rebuilt)
		}
		if status.Saved < saved {
			return fmt.Errorf("the checkpoint of %s is at event %d, after a run that saved %d", status.Name, status.Saved, saved)
		}
	}
	return s.equal()
}

func (s *store) equal() error {
	return errors.Join(same(s.log, s.p, engine.Query{}), same(s.log, s.named, namedQuery))
}

// TestCheckpointsSurviveCrashes at every operation of the file system, on every disk.
func TestCheckpointsSurviveCrashes(t *testing.T) {
	var steps []crashtest.Step[*store]
	for i := range 3 {
		steps = append(steps,
			crashtest.Put(fmt.Sprint("e", i), "there", func(s *store) error { return s.append(i) }),
			crashtest.Do(fmt.Sprint("run ", i), func(s *store) error { return errors.Join(s.set.ToEnd(context.Background()), s.equal()) }))
	}
	budget := 1500
	if testing.Short() {
		budget = 200
	}
	crashtest.Run(t, crashtest.Subject[*store]{
		Open: openStore, Steps: steps,
		Check: func(s *store, h crashtest.History) error { return s.whole(h) },
		Close: func(s *store) error { return s.log.Close() },
		// A checkpoint that was seen may be lost again, if no run was acknowledged.
		Options: crashtest.Options{Disks: []string{"posix", "ext4", "btrfs"}, Budget: budget, Depth: 1, DirtyReads: true, CellSize: 512},
	})
}

// TestEveryByteOfACheckpoint counts: changed, cut or lost, the file is not trusted,
// and the state is computed from zero.
func TestEveryByteOfACheckpoint(t *testing.T) {
	disk := newDisk()
	log := opened(t, disk, 0)
	appended(t, log, "s", "a", "b", "c")
	check(t, setOf(t, log, kept(disk, 1), made(t, history("p", engine.Query{}))).Once(t.Context()))
	const name = "checkpoints/p.projection"
	whole, err := afero.ReadFile(disk, name)
	check(t, err)
	appended(t, log, "s", "d")
	try := func(what string, b []byte, want error) {
		t.Helper()
		check(t, afero.WriteFile(disk, name, b, 0o644))
		p := made(t, history("p", engine.Query{}))
		set := setOf(t, log, kept(disk, 1), p)
		s := set.Status()[0]
		if _, at := p.State(); !errors.Is(s.Rebuilt, want) || (want != nil) != (s.Restored == 0) || at != s.Restored {
			t.Fatalf("%s: %+v, want %v", what, s, want)
		}
		check(t, set.Once(t.Context()))
		check(t, same(log, p, engine.Query{}))
		if s := set.Status()[0]; want != nil && s.Applied != 4 {
			t.Fatalf("%s: %+v", what, s)
		}
		if s := setOf(t, log, kept(disk, 1), made(t, history("p", engine.Query{}))).Status()[0]; s.Restored != 4 {
			t.Fatalf("%s: after the next run %+v", what, s)
		}
	}
	try("as it was", whole, nil)
	for i := range whole {
		for _, change := range []byte{1, 0x80, 0xff} {
			b := slices.Clone(whole)
			b[i] ^= change
			try(fmt.Sprintf("byte %d changed by %x", i, change), b, projection.ErrDamaged)
		}
		try(fmt.Sprintf("cut to %d bytes", i), whole[:i], projection.ErrDamaged)
		torn := slices.Clone(whole)
		clear(torn[i:])
		try(fmt.Sprintf("zeros from %d", i), torn, projection.ErrDamaged)
	}
	try("a byte too many", append(slices.Clone(whole), 0), projection.ErrDamaged)
	try("something else", []byte("{\"a\": \"file of somebody else, long enough to have a header of this size, or so it seems to be\"}"), projection.ErrDamaged)

	// With right sums.
	sum := func(b []byte) []byte {
		size := binary.LittleEndian.Uint16(b[12:])
		binary.LittleEndian.PutUint32(b[8:], projection.HeaderSum(b[:size]))
		return b
	}
	header := func(at int, to ...byte) []byte {
		b := slices.Clone(whole)
		copy(b[at:], to)
		return sum(b)
	}
	try("a newer major version", header(14, 2), projection.ErrFormat)
	try("a newer minor version, with a longer header", sum(slices.Concat(header(12, 96)[:88], make([]byte, 8), whole[88:])), nil)
	try("what should be 0", header(20, 1), projection.ErrDamaged)
	try("a short header", sum(slices.Concat(header(12, 80)[:80], whole[80:])), projection.ErrDamaged)
	try("event 0", header(48, 0), projection.ErrDamaged)
	try("a body longer than the file", header(24, whole[24]+1), projection.ErrDamaged)
	try("a body of all that 64 bits can say", header(24, bytes.Repeat([]byte{0xff}, 8)...), projection.ErrDamaged)
	try("an identity longer than the file", header(40, 0, 0, 1), projection.ErrDamaged)
	try("another event", header(48, 2), projection.ErrOtherLog)
	try("an event that is not there", header(48, 9), projection.ErrOtherLog)
	try("another hash", header(56, whole[56]^1), projection.ErrOtherLog)
	try("another version", header(32, 2), projection.ErrChanged)
	parsed, err := projection.Parse(whole)
	check(t, err)
	if !bytes.Equal(parsed.Bytes(), whole) {
		t.Error("it is not written as it was read")
	}
}

func TestWhatAnotherWroteIsNotTrusted(t *testing.T) {
	disk := newDisk()
	log := opened(t, disk, 0)
	appended(t, log, "s", "a", "b")
	const name = "checkpoints/p.projection"
	save := func(log *engine.Log, d projection.Definition[History]) {
		t.Helper()
		check(t, setOf(t, log, kept(disk, 1), made(t, d)).Once(t.Context()))
	}
	begin := func(log *engine.Log, d projection.Definition[History]) error {
		t.Helper()
		p := made(t, d)
		set := setOf(t, log, kept(disk, 1), p)
		reason := set.Status()[0].Rebuilt
		check(t, set.Once(t.Context()))
		check(t, same(log, p, d.Query))
		return reason
	}
	d := history("p", engine.Query{})
	save(log, d)
	for _, q := range []engine.Query{
		{Scope: "s"}, {Stream: "s"}, {Types: []string{"t"}}, {Types: []string{"t", "u"}}, {FromSequence: 2}, {ToSequence: 1},
		{Stream: "s", FromVersion: 2}, {Stream: "s", ToVersion: 2}, {},
	} {
		d.Query = q
		if reason := begin(log, d); reason != projection.ErrChanged {
			t.Errorf("%+v: %v", q, reason)
		}
	}
	// The order in which types are named, and what is the same, make no difference.
	d.Query = engine.Query{Types: []string{"u", "t", "u"}}
	save(log, d)
	d.Query = engine.Query{Types: []string{"t", "u"}, FromSequence: 1, Borrow: true}
	if reason := begin(log, d); reason != nil {
		t.Errorf("the same query: %v", reason)
	}
	d.Version = 2
	if reason := begin(log, d); reason != projection.ErrChanged {
		t.Errorf("another version: %v", reason)
	}
	d = history("p", engine.Query{})
	save(log, d)
	b, err := afero.ReadFile(disk, name)
	check(t, err)
	check(t, afero.WriteFile(disk, "checkpoints/q.projection", b, 0o644))
	if reason := begin(log, history("q", engine.Query{})); reason != projection.ErrChanged {
		t.Errorf("that of another projection: %v", reason)
	}

	// Another log, with the same events.
	other, err := logOn(newDisk(), 1)
	check(t, err)
	defer other.Close()
	if reason := begin(other, d); reason != nil && reason != projection.ErrOtherLog {
		t.Error(reason)
	}
	save(log, d)
	appended(t, other, "s", "a", "b")
	if reason := begin(other, d); reason != projection.ErrOtherLog {
		t.Errorf("another log: %v", reason)
	}
}

// TestARestoredLogGoesAnotherWay: the checkpoint of the way that was given up is not
// trusted, neither before nor after the log is as long again.
func TestARestoredLogGoesAnotherWay(t *testing.T) {
	disk, checkpoints := newDisk(), newDisk()
	log, err := logOn(disk, 0)
	check(t, err)
	appended(t, log, "s", "a")
	check(t, log.Close())
	backup := disk.Clone()
	log = opened(t, disk, 1)
	appended(t, log, "s", "b", "c")
	run := func(log *engine.Log) projection.Status {
		t.Helper()
		p := made(t, history("p", engine.Query{}))
		set := setOf(t, log, kept(checkpoints, 1), p)
		check(t, set.Once(t.Context()))
		check(t, same(log, p, engine.Query{}))
		return set.Status()[0]
	}
	run(log)
	there := checkpoints.Clone()
	for _, batches := range []int{0, 1, 2, 3} {
		checkpoints = there.Clone()
		restored := opened(t, backup.Clone(), 2)
		for range batches {
			appended(t, restored, "s", "b")
		}
		if s := run(restored); s.Rebuilt != projection.ErrOtherLog {
			t.Errorf("after %d batches: %+v", batches, s)
		}
		if s := run(restored); s.Rebuilt != nil || s.Applied != 0 {
			t.Errorf("after %d batches, again: %+v", batches, s)
		}
	}
}

func TestFileNames(t *testing.T) {
	disk := newDisk()
	log := opened(t, disk, 0)
	appended(t, log, "s", "a")
	long := strings.Repeat("Ü", 32)
	names := map[string]string{
		"orders-2_x": "orders-2_x", "Orders": "%4Frders", "../x/y.z": "%2E%2E%2Fx%2Fy%2Ez", "%": "%25", long: strings.Repeat("%C3%9C", 32),
	}
	var all []projection.Member
	for name := range names {
		all = append(all, made(t, history(name, engine.Query{})))
	}
	check(t, setOf(t, log, kept(disk, 1), all...).Once(t.Context()))
	infos, err := afero.ReadDir(disk, "checkpoints")
	check(t, err)
	var got, want []string
	for _, info := range infos {
		got = append(got, info.Name())
	}
	for _, file := range names {
		want = append(want, file+".projection")
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	for _, dir := range []string{"", "a/b/c", "/d/e"} {
		options := projection.Options{Checkpoints: projection.Checkpoints{FS: disk, Dir: dir}}
		check(t, setOf(t, log, options, made(t, history("p", engine.Query{}))).Once(t.Context()))
		if s := setOf(t, log, options, made(t, history("p", engine.Query{}))).Status()[0]; s.Restored != 1 {
			t.Errorf("in %q: %+v", dir, s)
		}
	}
	options := projection.Options{Checkpoints: projection.Checkpoints{FS: disk, Dir: "a/b/c/p.projection"}}
	check(t, afero.WriteFile(disk, "a/b/c/p.projection", nil, 0o644))
	if err := setOf(t, log, options, made(t, history("p", engine.Query{}))).Once(t.Context()); err == nil {
		t.Error("a file in place of the directory")
	}
}

// TestGolden holds the bytes of a checkpoint, as the package documentation draws them.
func TestGolden(t *testing.T) {
	disk := newDisk()
	log := opened(t, disk, 0)
	appended(t, log, "st", "a", "b")
	d := projection.Definition[int]{
		Name: "n", Version: 7, Query: engine.Query{Stream: "st", Types: []string{"u", "t"}, ToSequence: 300},
		Apply: func(n int, _ engine.Event) int { return n + 1 },
	}
	check(t, setOf(t, log, kept(disk, 1), made(t, d)).Once(t.Context()))
	b, err := afero.ReadFile(disk, "checkpoints/n.projection")
	check(t, err)
	var hash engine.Hash
	for e := range log.Read(engine.Query{}) {
		hash = e.Hash
	}
	hexOf := func(b []byte) string { return hex.EncodeToString(b) }
	if len(b) != 150 {
		t.Fatalf("%d bytes", len(b))
	}
	for _, c := range []struct {
		what     string
		from, to int
		want     string
	}{
		{"magic", 0, 8, "89756e746f726e70"},
		{"header length, major version", 12, 16, "58000100"},
		{"0", 20, 24, "00000000"},
		{"length of the body", 24, 32, "3e00000000000000"},
		{"version", 32, 40, "0700000000000000"},
		{"length of the identity", 40, 48, "3d00000000000000"},
		{"sequence", 48, 56, "0200000000000000"},
		{"hash", 56, 88, hexOf(hash[:])},
		{"name", 88, 93, "01000000" + "6e"},
		{"scope, stream", 93, 103, "00000000" + "02000000" + "7374"},
		{"types", 103, 117, "02000000" + "0100000074" + "0100000075"},
		{"versions", 117, 133, "00000000000000000000000000000000"},
		{"from and to sequence", 133, 149, "0100000000000000" + "2c01000000000000"},
		{"state", 149, 150, "32"},
	} {
		if got := hexOf(b[c.from:c.to]); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

func TestCodecErrors(t *testing.T) {
	disk := newDisk()
	log := opened(t, disk, 0)
	appended(t, log, "s", "a")
	d := projection.Definition[float64]{Name: "p", Apply: func(x float64, _ engine.Event) float64 { return math.NaN() }}
	set := setOf(t, log, kept(disk, 1), made(t, d))
	var failed *projection.CodecError
	if err := set.Once(t.Context()); !errors.As(err, &failed) || failed.Op != "encode" || failed.Projection != "p" {
		t.Fatalf("once: %v", err)
	}
	if s := set.Status()[0]; !errors.As(s.SaveErr, &failed) || s.Sequence != 1 || s.Saved != 0 {
		t.Errorf("%+v", s)
	}
	d.Apply = func(x float64, _ engine.Event) float64 { return x + 1.5 }
	check(t, setOf(t, log, kept(disk, 1), made(t, d)).Once(t.Context()))
	whole := projection.Definition[int]{Name: "p", Apply: func(n int, _ engine.Event) int { return n + 1 }}
	p := made(t, whole)
	set = setOf(t, log, kept(disk, 1), p) // of a state of another type, without another version
	if s := set.Status()[0]; !errors.As(s.Rebuilt, &failed) || failed.Op != "decode" || s.Restored != 0 {
		t.Errorf("%+v", s)
	}
	check(t, set.Once(t.Context()))
	if n, _ := p.State(); n != 1 {
		t.Errorf("state %d", n)
	}
}

// bursting is a codec that panics when it is told to.
type bursting struct{ encode, decode error }

func (b *bursting) Encode(n int) ([]byte, error) {
	if b.encode != nil {
		panic(b.encode)
	}
	return []byte{byte(n)}, nil
}

func (b *bursting) Decode(data []byte) (int, error) {
	if b.decode != nil {
		panic(b.decode)
	}
	return int(data[0]), nil
}

// TestACodecThatPanics costs the checkpoint, not the run nor the program.
func TestACodecThatPanics(t *testing.T) {
	disk := newDisk()
	log := opened(t, disk, 0)
	appended(t, log, "s", "a")
	cause := errors.New("the cause")
	codec := &bursting{encode: cause}
	d := projection.Definition[int]{Name: "p", Codec: codec, Apply: func(n int, _ engine.Event) int { return n + 1 }}
	p := made(t, d)
	set := setOf(t, log, kept(disk, 1), p)
	is := func(what, op string, err error) {
		t.Helper()
		var failed *projection.CodecError
		var panicked *engine.PanicError
		if !errors.As(err, &failed) || failed.Op != op || !errors.As(err, &panicked) || panicked.Value != cause ||
			!strings.Contains(string(panicked.Stack), "bursting") {
			t.Errorf("%s: %v", what, err)
		}
	}
	is("once", "encode", set.Once(t.Context()))
	is("status", "encode", set.Status()[0].SaveErr)
	if n, at := p.State(); n != 1 || at != 1 {
		t.Errorf("state %d at event %d", n, at)
	}
	codec.encode = nil
	check(t, set.Once(t.Context()))
	codec.decode = cause
	p = made(t, d)
	set = setOf(t, log, kept(disk, 1), p)
	is("open", "decode", set.Status()[0].Rebuilt)
	check(t, set.Once(t.Context()))
	if n, at := p.State(); n != 1 || at != 1 {
		t.Errorf("rebuilt: state %d at event %d", n, at)
	}
}

type (
	inner   struct{ N int }
	loop    struct{ Next *loop }
	private struct{ n int }
	own     struct{ n int }
	Outer   struct{ inner }
	Named   struct{ N int }
	Tagged  struct {
		N int `json:"x"`
	}
	Knot struct{ *Knot }
	fine struct {
		A     int `json:"n,string"`
		B     int `json:"N"` // in capitals it is another name
		Inner inner
		Named `json:"m"`
		*Tagged
	}
)

func (o own) MarshalText() ([]byte, error) { return fmt.Append(nil, o.n), nil }
func (o *own) UnmarshalText(b []byte) error {
	_, err := fmt.Sscan(string(b), &o.n)
	return err
}

// TestStatesThatJSONWouldLose are refused where there are checkpoints.
func TestStatesThatJSONWouldLose(t *testing.T) {
	log := opened(t, newDisk(), 0)
	refused(t, log, 0, "")
	refused(t, log, inner{}, "")
	refused(t, log, struct{ inner }{}, "")
	refused(t, log, loop{}, "")
	refused(t, log, own{}, "")
	refused(t, log, map[string][]*inner{}, "")
	refused(t, log, projection.Map[string, inner]{}, "")
	refused(t, log, private{n: 1}, "the state.n, since it is not exported")
	refused(t, log, struct{ private }{}, "the state.private.n, since it is not exported")
	refused(t, log, struct{ *inner }{}, "the state.inner, since it is not exported")
	refused(t, log, map[string]private{}, "the state.n, since")
	refused(t, log, projection.Map[string, private]{}, "what the state holds.n, since")
	refused(t, log, struct{ A any }{}, "the state.A, since it may be of any type")
	refused(t, log, struct{ F []func() }{}, "the state.F, since it is a func")
	refused(t, log, struct {
		X int `json:"-"`
	}{}, "the state.X, since its tag says so")
	refused(t, log, struct {
		A int `json:"x"`
		Tagged
	}{}, `the state.A or the state.Tagged.N, since both are "x" in it`)
	refused(t, log, struct {
		A int `json:"B"`
		B int
	}{}, `the state.A or the state.B, since both are "B" in it`)
	refused(t, log, []struct {
		inner
		N int
	}{}, `the state.inner.N or the state.N, since both are "N" in it`)
	refused(t, log, struct {
		N int
		*Outer
	}{}, `the state.N or the state.Outer.inner.N, since both are "N" in it`)
	refused(t, log, struct {
		inner
		Outer
	}{}, `the state.inner.N or the state.Outer.inner.N, since both are "N" in it`)
	refused(t, log, Knot{}, "the state.Knot, since it is embedded in itself")
	refused(t, log, struct {
		S *string `json:"s,omitempty,string"`
	}{}, "what is not UTF-8 in the state.S without a word, since its tag says string")
	refused(t, log, struct {
		A int `json:"a\tb"` // which is no name
		B int `json:"A"`
	}{}, `the state.A or the state.B, since both are "A" in it`)
	refused(t, log, fine{}, "")
	if restored, err := comesBack(t, fine{1, 2, inner{3}, Named{4}, &Tagged{5}}); restored != 1 || err != nil {
		t.Errorf("restored at %d, %v", restored, err)
	}
}

// TestTextsInJSON: a state with a text that JSON would change gets no checkpoint,
// and any other comes back from its own as it was.
func TestTextsInJSON(t *testing.T) {
	type text string
	kept1 := func(what string, ok bool, run func() (restored uint64, err error)) {
		t.Helper()
		restored, err := run()
		var failed *projection.CodecError
		switch {
		case ok && (err != nil || restored != 1):
			t.Errorf("%s: restored at %d, %v", what, restored, err)
		case !ok && (restored != 0 || !errors.As(err, &failed) || failed.Op != "encode" || !strings.Contains(err.Error(), "a text is not UTF-8")):
			t.Errorf("%s: restored at %d, %v", what, restored, err)
		}
	}
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{"", true}, {"abc", true}, {"\ufffd", true}, {`\ufffd`, true}, {`\\ufffd`, true}, {`\\\ufffd"`, true}, {"<\u2028>", true}, {`\ufffd` + `\ufffd`, true},
		{"a\xffbc", false}, {"\xff", false}, {`\` + "\xff", false}, {`\\` + "\xff", false}, {`\ufffd` + "\xff", false}, {"\ufffd\xed\xa0\x80", false},
	} {
		kept1(fmt.Sprintf("%q", c.text), c.ok, func() (uint64, error) { return comesBack(t, c.text) })
		kept1(fmt.Sprintf("%q of a type of its own", c.text), c.ok, func() (uint64, error) { return comesBack(t, []text{"", text(c.text)}) })
		kept1(fmt.Sprintf("%q as a key", c.text), c.ok, func() (uint64, error) { return comesBack(t, map[text]int{text(c.text): 1}) })
		kept1(fmt.Sprintf("%q as a key of a Map", c.text), c.ok, func() (uint64, error) {
			return comesBack(t, projection.Map[string, int]{}.Set(c.text, 1))
		})
		kept1(fmt.Sprintf("%q in a Map", c.text), c.ok, func() (uint64, error) {
			return comesBack(t, projection.Map[int, string]{}.Set(1, c.text))
		})
		kept1(fmt.Sprintf("%q as bytes", c.text), true, func() (uint64, error) { return comesBack(t, []byte(c.text)) })
	}
}

// comesBack keeps a state in a checkpoint, and returns what came of that. The state
// that is restored is the same.
func comesBack[S any](t *testing.T, state S) (restored uint64, err error) {
	t.Helper()
	disk := newDisk()
	log := opened(t, disk, 0)
	appended(t, log, "s", "a")
	d := projection.Definition[S]{Name: "p", Apply: func(S, engine.Event) S { return state }}
	err = setOf(t, log, kept(disk, 1), made(t, d)).Once(t.Context())
	p := made(t, d)
	restored = setOf(t, log, kept(disk, 1), p).Status()[0].Restored
	if got, _ := p.State(); restored > 0 && !reflect.DeepEqual(got, state) {
		t.Errorf("%#v has become %#v", state, got)
	}
	return restored, err
}

func refused[S any](t *testing.T, log *engine.Log, _ S, want string) {
	t.Helper()
	d := projection.Definition[S]{Name: "p", Apply: func(s S, _ engine.Event) S { return s }}
	_, err := projection.Open(log, kept(newDisk(), 1), made(t, d))
	if want == "" && err == nil {
		if _, err := projection.Open(log, projection.Options{}, made(t, d)); err != nil {
			t.Error(err)
		}
		return
	}
	if want == "" || !errors.Is(err, engine.ErrInvalid) || !strings.Contains(err.Error(), want) {
		t.Errorf("%T: %v, want %q", *new(S), err, want)
	}
}

// FuzzParse: what is read would be written so, but for the end of a longer header.
func FuzzParse(f *testing.F) {
	disk := newDisk()
	log := opened(f, disk, 0)
	appended(f, log, "s", "a", "b", "c")
	check(f, setOf(f, log, kept(disk, 1), made(f, history("p", engine.Query{}))).Once(f.Context()))
	whole, err := afero.ReadFile(disk, "checkpoints/p.projection")
	check(f, err)
	f.Add(whole, false)
	f.Add(whole[:50], true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, b []byte, sum bool) {
		if size := 0; sum && len(b) >= 16 { // or nothing gets behind the first sum
			if size = int(binary.LittleEndian.Uint16(b[12:])); size >= 16 && size <= len(b) {
				binary.LittleEndian.PutUint32(b[8:], projection.HeaderSum(b[:size]))
			}
		}
		c, err := projection.Parse(b)
		if err != nil {
			if c != nil || err != projection.ErrDamaged && err != projection.ErrFormat {
				t.Fatal(c, err)
			}
			return
		}
		if binary.LittleEndian.Uint16(b[12:]) == 88 && !bytes.Equal(c.Bytes(), b) {
			t.Fatalf("read   %x\nwrites %x", b, c.Bytes())
		}
	})
}
