package faults_test

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/simfs/fscheck"
)

func parse(t testing.TB, lines ...string) (list []faults.Fault) {
	t.Helper()
	for _, line := range lines {
		f, err := faults.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, f)
	}
	return list
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	fault, err := faults.Parse("step=1 write seg #2: short 3")
	if err != nil {
		fmt.Println(err)
		return
	}
	disk := faults.New(afero.NewBasePathFs(afero.NewOsFs(), dir), []faults.Fault{fault}, faults.Options{})
	file, _ := disk.Create("1.seg")
	defer file.Close()
	for step := range 3 {
		disk.SetStep(step)
		for range 2 {
			n, err := file.WriteString("hello")
			fmt.Println(step, n, err)
		}
	}
	fmt.Println(disk.Fired(), disk.NotFired())
	fmt.Println(disk.Budget())
	// Output:
	// 0 5 <nil>
	// 0 5 <nil>
	// 1 5 <nil>
	// 1 3 write /1.seg: input/output error
	// 2 5 <nil>
	// 2 5 <nil>
	// [step=1 write seg #2: short 3] []
	// may fail calls; must never serve wrong bytes
}

// Without faults, and with faults that never come up, it is the file system below.
func TestFSCheck(t *testing.T) {
	never := []faults.Fault{}
	for _, op := range faults.Ops() {
		for f := range faults.Every([]faults.Count{{Step: 99, Op: op, Class: "seg", N: 1}}) {
			never = append(never, f)
		}
	}
	for name, list := range map[string][]faults.Fault{"no faults": nil, "faults that never come up": never} {
		for base, newBase := range bases() {
			t.Run(name+" over "+base, func(t *testing.T) {
				fs, _ := newBase(t)
				below := fscheck.TestFS(fs)
				fs, _ = newBase(t)
				above := fscheck.TestFS(faults.New(fs, list, faults.Options{}))
				if fmt.Sprint(above) != fmt.Sprint(below) {
					t.Errorf("through faults:\n%v\nwithout:\n%v", above, below)
				}
				if base != "os" && below != nil { // whose optional methods are this test's own, and simple
					t.Errorf("the file system below fails by itself: %v", below)
				}
			})
		}
	}
}

func TestInvalidFaultsAreNotFired(t *testing.T) {
	base, _ := osBase(t)
	list := []faults.Fault{{Op: faults.Open, Kind: faults.Lose}, {Op: faults.Open, Ordinal: 1}}
	disk := faults.New(base, list, faults.Options{})
	if _, err := disk.Open("."); err == nil {
		t.Error("the valid one did not hit")
	}
	want := []faults.NotFired{{Fault: list[0], Why: "not valid: lose does not happen to open"}}
	if got := disk.NotFired(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSlowNeedsAClock(t *testing.T) {
	base, _ := osBase(t)
	disk := faults.New(base, parse(t, "step=0 mkdir * #1: slow 1s"), faults.Options{})
	if err := disk.Mkdir("d", 0o755); err != nil {
		t.Fatal(err)
	}
	want := "[step=0 mkdir * #1: slow 1s: not fired: cannot happen here: Options.Slow is nil, so no simulated time can pass]"
	if got := fmt.Sprint(disk.NotFired()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOptionsAreAsked(t *testing.T) {
	base, _ := osBase(t)
	var slept time.Duration
	var hits []faults.Hit
	var disk *faults.FS
	disk = faults.New(base, parse(t, "step=2 write wal #1: zero 1", `step=* create "a b" #1: slow 3s`), faults.Options{
		Classify: func(path string) string {
			if path == "x" {
				return "wal"
			}
			return "a b"
		},
		Slow:   func(d time.Duration) { slept += d },
		Sector: 4,
		OnHit: func(h faults.Hit) {
			hits = append(hits, h)
			_ = disk.Fired() // no lock is held
		},
	})
	file := must[afero.File](t)(disk.Create("x"))
	disk.SetStep(2)
	must[afero.File](t)(disk.Create("y")).Close()
	must[int](t)(file.WriteString("abcdefghij"))
	file.Close()
	if got := string(must[[]byte](t)(afero.ReadFile(base, "x"))); got != "abcd\x00\x00\x00\x00ij" {
		t.Errorf("on disk: %q", got)
	}
	if slept != 3*time.Second {
		t.Errorf("slept %v", slept)
	}
	want := []faults.Hit{
		{Fault: parse(t, `step=* create "a b" #1: slow 3s`)[0], Step: 2, Path: "y"},
		{Fault: parse(t, "step=2 write wal #1: zero 1")[0], Step: 2, Path: "/x"},
	}
	if !reflect.DeepEqual(hits, want) {
		t.Errorf("hits %+v\nwant %+v", hits, want)
	}
}

func TestDefaultClass(t *testing.T) {
	for name, want := range map[string]string{
		"000000000001.seg": "seg", "a/b.c/2.seg": "seg", `a\2.new`: "new", "LOCK": "lock", "x/lock": "lock", "a.lock": "lock",
		"": "dir", ".": "dir", "/": "dir", "a/": "dir", "..": "dir", "seg": "other", "a.SEG": "other", "a.seg.tmp": "other", "data": "other",
	} {
		if got := faults.DefaultClass(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

// They are compared with what package os returns for the same mistakes.
func TestErrorsAreThoseOfTheSystem(t *testing.T) {
	base, root := osBase(t)
	disk := faults.New(base, parse(t,
		"step=0 open * #1: fail ENOENT", "step=0 create * #1: fail ENOENT", "step=0 mkdir * #1: fail EEXIST",
		"step=0 rename * #1: fail ENOENT", "step=0 remove * #1: fail ENOENT", "step=0 stat * #1: fail ENOENT"), faults.Options{})
	_, open := disk.Open("no")
	_, create := disk.Create("no/no")
	_, stat := disk.Stat("no")
	got := []error{open, create, disk.Mkdir(".", 0), disk.Rename("no", "yes"), disk.Remove("no"), stat}
	t.Chdir(root)
	_, open = os.Open("no")
	_, create = os.Create("no/no")
	_, stat = os.Lstat("no")
	if stat != nil {
		stat.(*os.PathError).Op = "stat"
	}
	want := []error{open, create, os.Mkdir(".", 0), os.Rename("no", "yes"), os.Remove("no"), stat}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("got %#v, want %#v", got[i], want[i])
		}
	}
}

func TestBudget(t *testing.T) {
	for _, test := range []struct {
		line string
		want faults.Budget
	}{
		{"step=0 write * #1: slow 1s", faults.Budget{MayBeSlow: true}},
		{"step=0 read * #1: short 1", faults.Budget{}},
		{"step=0 readat * #1: short 1", faults.Budget{MayFailCall: true}},
		{"step=0 write * #1: short 1", faults.Budget{MayFailCall: true}},
		{"step=0 sync * #1: fail EIO", faults.Budget{MayFailCall: true}},
		{"step=0 sync * #1: fail EIO sticky", faults.Budget{MayFailCall: true, MayRefuseOpen: true}},
		{"step=0 sync * #1: failsync ext4", faults.Budget{MayFailCall: true}},
		{"step=0 sync * #1: failsync keep-dirty", faults.Budget{MayFailCall: true}},
		{"step=0 sync * #1: failsync shutdown", faults.Budget{MayFailCall: true, MayRefuseOpen: true}},
		{"step=0 sync * #1: failsync ext4-data", faults.Budget{MayFailCall: true, MayRefuseOpen: true, MayReportDamage: true, MayLoseAcked: true}},
		{"step=0 sync * #1: failsync silent", faults.Budget{MayRefuseOpen: true, MayReportDamage: true, MayLoseAcked: true}},
		{"step=0 write * #1: enospc 0", faults.Budget{MayFailCall: true}},
		{"step=0 write * #1: enospc 0 delayed ext4", faults.Budget{MayFailCall: true}},
		{"step=0 write * #1: lose", faults.Budget{MayFailCall: true, MayRefuseOpen: true, MayReportDamage: true, MayLoseAcked: true}},
		{"step=0 read * #1: fail EIO here", faults.Budget{MayFailCall: true, MayRefuseOpen: true, MayReportDamage: true}},
		{"step=0 read * #1: flip 0", faults.Budget{MayFailCall: true, MayRefuseOpen: true, MayReportDamage: true, MayLoseAcked: true}},
		{"step=0 lock * #1: held", faults.Budget{MayFailCall: true}},
	} {
		if got := faults.BudgetOf(parse(t, test.line)); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.line, got, test.want)
		}
	}
	both := faults.BudgetOf(parse(t, "step=0 write * #1: slow 1s", "step=0 sync * #1: failsync silent"))
	if want := "may refuse to open, report damage, lose what was acknowledged, be slow; must never serve wrong bytes"; both.String() != want {
		t.Errorf("got %q, want %q", both, want)
	}
	if got, want := (faults.Budget{}).String(), "must keep every promise"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Every fault of every operation that a workload makes can be keyed from its
// counts: run once, then once for each, and each finds its operation.
func TestEveryFindsItsOperation(t *testing.T) {
	workload := func(list []faults.Fault) *faults.FS {
		base, _ := osBase(t)
		disk := faults.New(base, list, faults.Options{Slow: func(time.Duration) {}})
		fail := func(error) {} // a fault may make anything fail
		disk.SetStep(1)
		fail(disk.Mkdir("d", 0o755))
		file, err := disk.Create("d/1.new")
		if err != nil {
			return disk
		}
		defer file.Close()
		_, err = file.WriteString("some bytes that matter")
		fail(err)
		fail(file.Sync())
		disk.SetStep(2)
		fail(disk.Rename("d/1.new", "d/1.seg"))
		fail(disk.SyncDir("d"))
		_, err = file.WriteAt([]byte("more"), 600)
		fail(err)
		_, err = file.ReadAt(make([]byte, 10), 4)
		fail(err)
		fail(file.(interface{ SyncData() error }).SyncData())
		return disk
	}
	counts := workload(nil).Counts()
	fired := map[faults.Kind]bool{}
	for f := range faults.Every(counts) {
		disk := workload([]faults.Fault{f})
		if got := disk.Fired(); len(got) == 1 && got[0] == f {
			fired[f.Kind] = true
			continue
		}
		switch why := disk.NotFired()[0].Why; why {
		case "the bytes would go before the start of the file", "the bytes would come from before the start of the file",
			"there was room: 0 of 0 bytes are used", "the room was used up, but the file was not synced after that",
			"cannot happen here: the file system does not fail a sync as in mode btrfs":
		default:
			t.Errorf("%s did not fire: %s", f, why)
		}
	}
	for _, k := range faults.Kinds() {
		if k != faults.Held && !fired[k] {
			t.Errorf("no %s ever fired", k)
		}
	}
}

// For the race detector, and for counts that add up.
func TestConcurrentUse(t *testing.T) {
	base, _ := osBase(t)
	disk := faults.New(base, parse(t, "step=0 write seg #7: fail EIO", "step=0 read * #*: flip 1", "step=0 write seg #1: enospc 100000"), faults.Options{})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			name := fmt.Sprint(g, ".new")
			for range 20 {
				file, err := disk.Create(name)
				if err != nil {
					t.Error(err)
					return
				}
				disk.Rename(name, fmt.Sprint(g, ".seg"))
				file.Write([]byte("hello"))
				file.Seek(0, 0)
				file.Read(make([]byte, 3))
				file.Close()
				disk.Counts()
			}
		})
	}
	wg.Wait()
	want := []faults.Count{
		{Op: faults.Create, Class: "new", N: 80}, {Op: faults.Read, Class: "seg", N: 80}, {Op: faults.Write, Class: "seg", N: 80},
		{Op: faults.Rename, Class: "new", N: 80}, {Op: faults.Close, Class: "seg", N: 80},
	}
	if got := disk.Counts(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// nothing is a file that does nothing, to see what the way there costs.
type nothing struct{ afero.File }

func (nothing) Read(p []byte) (int, error)               { return len(p), nil }
func (nothing) ReadAt(p []byte, off int64) (int, error)  { return len(p), nil }
func (nothing) Write(p []byte) (int, error)              { return len(p), nil }
func (nothing) WriteAt(p []byte, off int64) (int, error) { return len(p), nil }
func (nothing) Sync() error                              { return nil }
func (nothing) SyncData() error                          { return nil }

type nothingFS struct{ afero.Fs }

func (nothingFS) Create(string) (afero.File, error) { return nothing{}, nil }

func idle(t testing.TB) (quiet, armed afero.File) {
	list := parse(t, "step=7 write seg #1: lose", "step=7 readat seg #1: flip 1", "step=7 syncdata seg #1: failsync ext4",
		"step=7 read seg #1: fail EIO here", "step=7 writeat seg #1: zero 1", "step=7 write * #1: enospc 7")
	quiet = must[afero.File](t)(faults.New(nothingFS{}, nil, faults.Options{}).Create("1.seg"))
	armed = must[afero.File](t)(faults.New(nothingFS{}, list, faults.Options{}).Create("1.seg"))
	return quiet, armed
}

func TestNoAllocationWhenNothingMatches(t *testing.T) {
	quiet, armed := idle(t)
	p := make([]byte, 16)
	for name, file := range map[string]afero.File{"no faults": quiet, "others": armed} {
		if n := testing.AllocsPerRun(100, func() {
			file.Read(p)
			file.ReadAt(p, 0)
			file.Write(p)
			file.WriteAt(p, 0)
			file.Sync()
			file.(interface{ SyncData() error }).SyncData()
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	quiet, armed := idle(b)
	p := make([]byte, 16)
	for _, c := range []struct {
		name string
		file afero.File
	}{{"below", nothing{}}, {"no faults", quiet}, {"faults of other steps", armed}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.file.Write(p)
			}
		})
	}
}
