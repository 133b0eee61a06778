package crashtest_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/scenarios/crashtest"
)

// A listener is a test that fails without failing: it keeps what it is told.
type listener struct {
	testing.TB
	name   string
	errors []string
	logs   []string
	ended  string // Fatalf or Skipf
}

func (l *listener) Helper()      {}
func (l *listener) Name() string { return l.name }
func (l *listener) Errorf(format string, args ...any) {
	l.errors = append(l.errors, fmt.Sprintf(format, args...))
}
func (l *listener) Logf(format string, args ...any) {
	l.logs = append(l.logs, fmt.Sprintf(format, args...))
}
func (l *listener) Fatalf(format string, args ...any) {
	l.ended = fmt.Sprintf("fatal: "+format, args...)
	runtime.Goexit()
}
func (l *listener) Skipf(format string, args ...any) {
	l.ended = fmt.Sprintf("skip: "+format, args...)
	runtime.Goexit()
}

// listen runs the subject as the test TestStore, in the current folder.
func listen[S any](t *testing.T, s crashtest.Subject[S]) *listener {
	t.Helper()
	l := &listener{TB: t, name: "TestStore"}
	done := make(chan struct{})
	go func() {
		defer close(done)
		crashtest.Run(l, s)
	}()
	<-done
	return l
}

// elsewhere makes an empty module the current folder, and package store in it.
func elsewhere(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/m\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "store"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(dir, "store"))
	t.Setenv("UNTORN_PLAN", "")
	t.Setenv("UNTORN_BUDGET", "")
	t.Setenv("UNTORN_SEED", "")
}

// passes runs a subject in which nothing is wrong.
func passes[S any](t *testing.T, s crashtest.Subject[S]) {
	t.Helper()
	l := listen(t, s)
	if len(l.errors) > 0 || l.ended != "" {
		t.Errorf("a store in which nothing is wrong fails:\n%s\n%s", strings.Join(l.errors, "\n"), l.ended)
	}
	if len(l.logs) == 0 || !strings.Contains(strings.Join(l.logs, "\n"), "no failure") {
		t.Errorf("nothing says what was tried: %q", l.logs)
	}
}

// fails runs a subject in which something is wrong and returns the text.
func fails[S any](t *testing.T, s crashtest.Subject[S]) string {
	t.Helper()
	l := listen(t, s)
	if len(l.errors) != 1 || l.ended != "" {
		t.Fatalf("want one failure, got %q, %s", l.errors, l.ended)
	}
	return l.errors[0]
}

// has checks that each of the texts is there. A text may hold ‹f› for a source line
// of store_test.go.
func has(t *testing.T, text string, want ...string) {
	t.Helper()
	whole := regexp.MustCompile(`\n {12,}`).ReplaceAllString(text, " ") // lines that were broken, and lists
	for _, w := range want {
		e := regexp.MustCompile(strings.ReplaceAll(regexp.QuoteMeta(w), "‹f›", `store_test\.go:\d+`))
		if !e.MatchString(text) && !e.MatchString(whole) {
			t.Errorf("no %q in\n%s", w, text)
		}
	}
}

func TestGoodStoresPass(t *testing.T) {
	for _, size := range []int{5, 700} {
		t.Run(fmt.Sprint("files ", size), func(t *testing.T) { elsewhere(t); passes(t, fileStore(10, size, FileStore{})) })
		t.Run(fmt.Sprint("log ", size), func(t *testing.T) {
			elsewhere(t)
			s := logStore(10, size, LogStore{})
			// On ext4 a lost record may come back: a size that grows in a page waits for no bytes.
			s.Options = crashtest.Options{Disks: []string{"xfs", "btrfs"}, Depth: 1, Budget: 3000}
			s.Close = func(s *LogStore) error { return s.file.Close() }
			passes(t, s)
		})
	}
	t.Run("bytes that one cell holds may be overwritten in place", func(t *testing.T) {
		elsewhere(t)
		s := fileStore(4, 5, FileStore{inPlace: true})
		s.Steps = s.Steps[:0]
		for i := range 4 {
			value := fmt.Sprint("v", i)
			s.Steps = append(s.Steps, crashtest.Put("k", value, func(s *FileStore) error { return s.Put("k", value) }))
		}
		s.Options.Disks = []string{"ext4"}
		s.Options.DirtyReads = true // Get shows what no sync has covered
		passes(t, s)
	})
}

func TestMissingDirectorySyncIsNamed(t *testing.T) {
	elsewhere(t)
	text := fails(t, fileStore(20, 5, FileStore{noDirSync: true}))
	shown := regexp.MustCompile(`store_test\.go:\d+`).ReplaceAllString(text, "‹f›")
	shown = regexp.MustCompile(`-[0-9a-f]{8}\.plan`).ReplaceAllString(shown, "-‹hash›.plan")
	want := `crashtest: acked-present: the check fails after the crash
  promise   what a step was told to be durable, and what a store has shown, is there after a crash
  cause     after the power failed, the name "db/k0" is not there; missing: a sync of the directory "db" after that;
            none ever comes
  plan      1 of 20 steps suffice:
          > step 1, put k0
          ! the power failed after step 1, put k0, was acknowledged, after the last operation
  expected  "v00000" (step 1, put k0, acknowledged)
  found     nothing
  key       "k0"
  disks     posix fails
            ext4 fails too
  lost      the name "db/k0" is not there
              without operation 6, rename "db/k0.new" to "db/k0", at ‹f› < ‹f›
              missing: a sync of the directory "db" after that; none ever comes
  file      testdata/untorn/TestStore-posix-‹hash›.plan
  replay    UNTORN_PLAN=testdata/untorn/TestStore-posix-‹hash›.plan go test -run '^TestStore$' ./store
`
	if shown != want {
		t.Errorf("got\n%s\nwant\n%s", shown, want)
	}
	// The line is that of the rename in Put.
	source, err := os.ReadFile(filepath.Join(sourceDir(), "store_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`rename .* at store_test\.go:(\d+)`).FindStringSubmatch(text)
	if line == nil {
		t.Fatalf("no line of the rename in\n%s", text)
	}
	n, err := strconv.Atoi(line[1])
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(string(source), "\n")[n-1]; !strings.Contains(got, "s.fs.Rename(") {
		t.Errorf("line %d is %q", n, got)
	}
}

func sourceDir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}

func TestBrokenStoresAreCaught(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T) string
		want []string
	}{
		{"write without sync", func(t *testing.T) string { return fails(t, logStore(20, 5, LogStore{noSync: true})) },
			[]string{"acked-present", "found     nothing", "ext4 fails too", "missing: a sync of the directory \".\" after that; none ever comes"}},
		{"rename without a sync of the file", func(t *testing.T) string { return fails(t, fileStore(20, 5, FileStore{noFileSync: true})) },
			[]string{"nothing-else", "which nobody wrote", "ext4 fails too", `without operation 4, write "db/k0.new", 6 bytes at 0, at ‹f› < ‹f›`,
				`missing: a sync of the file "db/k0" while it was "db/k0.new" after that; none ever comes`}},
		{"overwrite in place", func(t *testing.T) string {
			s := fileStore(20, 700, FileStore{inPlace: true})
			s.Options.DirtyReads = true
			return fails(t, s)
		},
			[]string{"nothing-else", `which nobody wrote: its first`, "posix fails", "ext4 holds", "the power failed in step", `which was to become durable with operation 5, sync "db/k0", at ‹f›`}},
		{"recovery trusts the tail", func(t *testing.T) string { return fails(t, logStore(20, 700, LogStore{trustTail: true})) },
			[]string{"nothing-else", "posix fails", "ext4 holds", "1 of 20 steps suffice:", `cell 1 of "log"`, `write "log", 711 bytes at 0`}},
		{"acknowledged before the sync", func(t *testing.T) string { return fails(t, logStore(20, 5, LogStore{ackFirst: true})) },
			[]string{"acked-present", `expected  "v00000" (step 1, put k0, acknowledged)`, "ext4 fails too", `missing: a sync of the file "log"`}},
		{"recovery does not sync what it shows", func(t *testing.T) string { return fails(t, logStore(20, 5, LogStore{lazyOpen: true})) },
			[]string{"acked-present", "the process was killed in step 1", "the power failed after the recovered store showed step 1",
				`missing: a sync of the file "log" in the recovery`}},
		{"recovery takes a name for durable", func(t *testing.T) string {
			s := logStore(20, 5, LogStore{lazyName: true})
			s.Options.DirtyReads = true // what is lost was acknowledged after the recovery
			return fails(t, s)
		}, []string{"acked-present", "posix fails", "ext4 holds", "the process was killed before the first step, before operation 1, truncate",
			"the power failed after step 1, put k0, was acknowledged", `the name "log" is not there`, `without operation 0, create "log", at ‹f›`,
			`missing: a sync of the directory "." in the recovery, which takes what it reads for durable`}},
		{"fine on ext4, not on posix", func(t *testing.T) string { return fails(t, logStore(20, 5, LogStore{noDirSync: true})) },
			[]string{"acked-present", "posix fails", "ext4 holds (", "it promises more than POSIX does", `the name "log" is not there`, `without operation 0, create "log", at ‹f›`,
				`missing: a sync of the directory "."`}},
		{"a lost record comes back from a stale block", func(t *testing.T) string {
			s := logStore(4, 5, LogStore{})
			s.Options.Depth = 1
			return fails(t, s)
		}, []string{"nothing-else", "expected  nothing", "which an earlier recovery did not show (step ", "ext4 fails too"}},
		{"on ext4 it is the journal", func(t *testing.T) string {
			s := fileStore(20, 5, FileStore{noDirSync: true})
			s.Options.Disks = []string{"ext4", "posix"}
			return fails(t, s)
		}, []string{"acked-present", "ext4 fails\n", "posix fails too\n", "lost      the end of the file system's journal\n",
			`without operation 6, rename "db/k0.new" to "db/k0", at ‹f› < ‹f›`, "missing: a sync of any file or directory after that; none ever comes\n"}},
		{"a panic", func(t *testing.T) string { return fails(t, logStore(20, 700, LogStore{panicsTorn: true})) },
			[]string{"crashtest: panic: the store does not open after the crash: panic: torn at 0, at store_test.go:"}},
		{"t.Fatal in the check", func(t *testing.T) string {
			s := logStore(2, 5, LogStore{})
			s.Check = func(s *LogStore, h crashtest.History) error {
				if h.Crashes() > 0 && s.size == 0 {
					runtime.Goexit()
				}
				return nil
			}
			return fails(t, s)
		}, []string{"crashtest: returns: the run ended its goroutine instead of returning"}},
		{"a step that fails with no crash", func(t *testing.T) string {
			s := logStore(3, 5, LogStore{})
			s.Steps[1].Do = func(*LogStore) error { return errors.New("disk is on fire") }
			return fails(t, s)
		}, []string{"crashtest: step: step 2, put k1 failed though nothing has crashed: disk is on fire", "1 of 3 steps suffice:", "> step 2, put k1", "no crash is needed: it fails before any"}},
		{"half of a batch", func(t *testing.T) string {
			s := logStore(0, 0, LogStore{})
			a, b := crashtest.Write{Key: "a", Value: "1"}, crashtest.Write{Key: "b", Value: "1"}
			s.Steps = []crashtest.Step[*LogStore]{
				crashtest.Batch("both", []crashtest.Write{a, b}, func(s *LogStore) error { return s.PutBoth(a, b) }),
			}
			return fails(t, s)
		}, []string{"crashtest: all-or-nothing", `key       "a"`, `expected  nothing, or "1" (step 1, both, in flight)`, `found     "1", while another write of step 1, both is not there`}},
		{"a flush that does not sync", func(t *testing.T) string {
			s := buffered(3)
			s.Steps = append(s.Steps, crashtest.Flush("flush", func(*LogStore) error { return nil }))
			return fails(t, s)
		}, []string{"crashtest: acked-present", "step 3, put k2, acknowledged", "2 of 4 steps suffice:", "step 4, flush, was acknowledged", `missing: a sync of the file "log" after that; none ever comes`}},
		{"no file operation", func(t *testing.T) string {
			s := logStore(2, 5, LogStore{})
			s.Open = func(afero.Fs) (*LogStore, error) { return &LogStore{data: map[string]string{}}, nil }
			for i := range s.Steps {
				s.Steps[i] = crashtest.Do("nothing", func(*LogStore) error { return nil })
			}
			return fails(t, s)
		}, []string{"made no file operation"}},
		{"a key from nowhere", func(t *testing.T) string {
			s := logStore(2, 5, LogStore{})
			s.Check = func(s *LogStore, h crashtest.History) error {
				contents := maps.Clone(s.data)
				if h.Crashes() > 0 {
					contents["ghost"] = "boo"
				}
				return h.Holds(contents)
			}
			return fails(t, s)
		}, []string{"nothing-else", `key       "ghost"`, "expected  nothing: no step writes this key", `found     "boo"`, "none of the 2 steps is needed"}},
		{"different each time", func(t *testing.T) string {
			calls := 0
			s := logStore(2, 5, LogStore{})
			s.Options.Workers = 1
			s.Check = func(s *LogStore, h crashtest.History) error {
				if calls++; calls == 10 {
					return errors.New("unlucky")
				}
				return nil
			}
			return fails(t, s)
		}, []string{"crashtest: check: the check fails after the crash", "unlucky", "twice     the same crash, tried once more, gave: no failure", "no clock, no randomness"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			elsewhere(t)
			has(t, c.run(t), c.want...)
		})
	}
}

// buffered puts n keys with no sync.
func buffered(n int) crashtest.Subject[*LogStore] {
	s := logStore(n, 5, LogStore{lazyPut: true})
	for i := range s.Steps {
		s.Steps[i].Buffered = true
	}
	return s
}

func TestBuffered(t *testing.T) {
	elsewhere(t)
	s := buffered(4)
	s.Steps = append(s.Steps, crashtest.Flush("flush", (*LogStore).Sync))
	s.Steps = append(s.Steps, buffered(2).Steps...)
	passes(t, s)
}

func TestDoubtAndDelete(t *testing.T) {
	elsewhere(t)
	s := logStore(3, 5, LogStore{})
	s.Steps = append(s.Steps,
		crashtest.Put("k0", "lost", func(*LogStore) error { return fmt.Errorf("the network: %w", crashtest.ErrInDoubt) }),
		crashtest.Put("k0", "done", func(s *LogStore) error {
			return errors.Join(s.Put("k0", "done"), crashtest.ErrInDoubt)
		}))
	passes(t, s)

	gone := fileStore(2, 5, FileStore{})
	gone.Steps = append(gone.Steps, crashtest.Delete("k0", func(s *FileStore) error {
		return errors.Join(s.remove("k0"), s.syncDir("db"))
	}))
	passes(t, gone)
	gone.Steps[2] = crashtest.Delete("k0", func(s *FileStore) error { return s.remove("k0") })
	has(t, fails(t, gone), "acked-present", "expected  nothing (step 3, delete k0, acknowledged)", `found     "v00000", an older value (step 1, put k0)`)
}

// What a recovered store has shown is a promise, unless the test says that it
// is not.
func TestDirtyReads(t *testing.T) {
	elsewhere(t)
	s := logStore(5, 5, LogStore{lazyOpen: true})
	s.Options.DirtyReads = true
	passes(t, s)
}

func TestTextIsTheSame(t *testing.T) {
	text := func(workers int) string {
		elsewhere(t)
		s := logStore(12, 700, LogStore{trustTail: true})
		s.Options.Workers = workers
		return fails(t, s)
	}
	first := text(1)
	for _, workers := range []int{1, 4} {
		if again := text(workers); again != first {
			t.Errorf("with %d workers:\n%s\nfirst it was:\n%s", workers, again, first)
		}
	}
	// From the saved plan, too.
	s := logStore(12, 700, LogStore{trustTail: true})
	if again := fails(t, s); again != first {
		t.Errorf("from the saved plan:\n%s\nfirst it was:\n%s", again, first)
	}
}

// Of many steps few stay, also where the first that matter are late.
func TestFewestSteps(t *testing.T) {
	elsewhere(t)
	s := logStore(100, 5, LogStore{})
	for i := range s.Steps {
		do := s.Steps[i].Do
		s.Steps[i].Do = func(s *LogStore) error {
			s.lazyPut = i == 60
			return do(s)
		}
	}
	has(t, fails(t, s), "acked-present", "1 of 100 steps suffice:", "> step 61, put k0")

	elsewhere(t)
	has(t, fails(t, logStore(100, 5, LogStore{noSync: true})), "1 of 100 steps suffice:", "> step 1, put k0")
}

func TestPlan(t *testing.T) {
	elsewhere(t)
	broken, fixed := fileStore(6, 5, FileStore{noDirSync: true}), fileStore(6, 5, FileStore{})
	text := fails(t, broken)
	file := regexp.MustCompile(`UNTORN_PLAN=(\S+)`).FindStringSubmatch(text)[1]
	plan, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	has(t, string(plan), "scenario crashtest\n", "disk posix\n", "set test = TestStore\n", "step 1 do name=\"put k0\"\n", "\ncrash power op=", "invariant acked-present\n")

	t.Run("reproduces alone", func(t *testing.T) {
		t.Setenv("UNTORN_PLAN", file)
		if again := fails(t, broken); again != text {
			t.Errorf("got\n%s\nwant\n%s", again, text)
		}
	})
	t.Run("passes once the store is fixed", func(t *testing.T) {
		t.Setenv("UNTORN_PLAN", file)
		l := listen(t, fixed)
		if len(l.errors) > 0 || l.ended != "" {
			t.Errorf("fails: %q %s", l.errors, l.ended)
		}
		has(t, strings.Join(l.logs, "\n"), file, " recoveries from all crashes of its steps, no failure")
	})
	t.Run("runs first", func(t *testing.T) {
		l := listen(t, fixed)
		if len(l.errors) > 0 || len(l.logs) != 2 {
			t.Fatalf("got %q, %q", l.errors, l.logs)
		}
		has(t, l.logs[0], file)
		has(t, l.logs[1], "posix: ", "no failure")
	})
	t.Run("of another test", func(t *testing.T) {
		t.Setenv("UNTORN_PLAN", file)
		other := strings.Replace(string(plan), "TestStore", "TestOther", 1)
		if err := os.WriteFile("other.plan", []byte(other), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Setenv("UNTORN_PLAN", "other.plan")
		if l := listen(t, broken); l.ended != "skip: crashtest: UNTORN_PLAN=other.plan is a plan of another test" {
			t.Errorf("got %q, %q", l.ended, l.errors)
		}
	})
	t.Run("without its crash", func(t *testing.T) {
		lines := regexp.MustCompile(`(?m)^crash .*\n`).ReplaceAllString(string(plan), "")
		if err := os.WriteFile("steps.plan", []byte(lines), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Setenv("UNTORN_PLAN", "steps.plan")
		if again := fails(t, broken); again != text {
			t.Errorf("got\n%s\nwant\n%s", again, text)
		}
	})
	t.Run("stale", func(t *testing.T) {
		s := broken
		s.Steps = s.Steps[1:]
		if got, want := fails(t, s), "crashtest: "+file+": the plan is stale: step 1 is \"put k0\", but in the test this is \"put k1\"; delete the plan, or bring the step back"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
	t.Run("not there", func(t *testing.T) {
		t.Setenv("UNTORN_PLAN", "nowhere.plan")
		has(t, listen(t, broken).ended, "fatal: crashtest: UNTORN_PLAN: open nowhere.plan", "counts from the folder of the package")
	})
}

func TestUsage(t *testing.T) {
	elsewhere(t)
	t.Setenv("UNTORN_BUDGET", "many")
	l := listen(t, crashtest.Subject[*LogStore]{
		Steps:   []crashtest.Step[*LogStore]{{}},
		Options: crashtest.Options{Disks: []string{"fat"}, CellSize: 3, Depth: 9},
	})
	has(t, l.ended, "fatal: crashtest: ", "Subject.Open is nil", "Subject.Check is nil", "step 1 () has no Do", "step 1 needs a name", "UNTORN_BUDGET=many",
		`no preset "fat"`, "CellSize is 3", "Depth is 9")
	t.Setenv("UNTORN_BUDGET", "100")
	passes(t, logStore(10, 700, LogStore{}))
	t.Setenv("UNTORN_SEED", "x")
	has(t, listen(t, logStore(1, 5, LogStore{})).ended, "UNTORN_SEED=x: want a number")
}
