package xray

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios/weaken"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// notes is a small program: it saves a file as it should be done, but syncs the
// name twice, and has a way that nobody goes.
type notes struct{ disk afero.Fs }

func (n notes) save(text string) error {
	f, err := n.disk.Create("new")
	if err != nil {
		return err
	}
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := n.disk.Rename("new", "notes"); err != nil {
		return err
	}
	if err := n.names(); err != nil {
		return err
	}
	return n.names()
}

func (n notes) names() error { return n.disk.(interface{ SyncDir(string) error }).SyncDir(".") }

func program() explore.Program {
	return explore.Program{
		Workload: func(r *explore.Run) error {
			err := notes{r.FS}.save("hello")
			r.Note(explore.Note{Key: "saved"})
			return err
		},
		Recover: func(r *explore.Run) error {
			text, err := afero.ReadFile(r.FS, "notes")
			switch {
			case errors.Is(err, fs.ErrNotExist) && len(r.History) == 0:
				return nil
			case err != nil:
				return err
			case string(text) != "hello":
				return fmt.Errorf("half a note: %q", text)
			}
			return nil
		},
	}
}

func verdicts(r Report) string {
	var text strings.Builder
	for _, s := range r.Sites {
		fmt.Fprintf(&text, "%s %s:", s.Verdict, strings.ReplaceAll(s.Site, "scenarios/xray/xray_test.go:", ""))
		for _, f := range s.Findings {
			if f.Case != "" {
				fmt.Fprintf(&text, " %s", f.Mode)
			}
		}
		text.WriteString("\n")
	}
	return text.String()
}

// A program of one's own: one sync is needed, and of two that do the same each is
// redundant.
func TestAProgramOfOnesOwn(t *testing.T) {
	var cases []Case
	for _, g := range []simfs.Guarantees{simfs.Posix(), simfs.XFS()} {
		cases = append(cases, Program("notes on "+g.Name, explore.Config{Guarantees: g, Points: explore.All}, program()))
	}
	r, err := Scan(context.Background(), Config{Cases: cases})
	if err != nil {
		t.Fatal(err)
	}
	const want = "needed Sync notes.save<program.func1: drop\n" +
		"redundant SyncDir notes.names<notes.save#1:\n" +
		"redundant SyncDir notes.names<notes.save#2:\n"
	if got := verdicts(r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, s := range r.Sites {
		if s.Verdict == Needed && (s.Text != "if err := f.Sync(); err != nil {" || s.Line == 0 || s.CallerLine == 0 || s.Findings[0].Case != "notes on posix") {
			t.Errorf("%+v", s)
		}
		if s.Verdict == Redundant && (s.Cases != 2 || s.Findings[0].Survived != 2) {
			t.Errorf("%+v", s)
		}
	}
	if r.Count(Needed) != 1 || r.Count(Redundant) != 2 || r.Cases != 2 || r.Recoveries == 0 || r.Seconds != 0 {
		t.Errorf("%+v", r)
	}
}

// On ext4 nobody needs the second sync of anything: the first covers all.
func TestTheDiskMatters(t *testing.T) {
	g := simfs.Ext4()
	r, err := Scan(context.Background(), Config{Cases: []Case{Program("notes", explore.Config{Guarantees: g}, program())},
		Sites: func(s string) bool { return strings.HasPrefix(s, "SyncDir") }})
	if err != nil {
		t.Fatal(err)
	}
	const want = "redundant SyncDir notes.names<notes.save#1:\nredundant SyncDir notes.names<notes.save#2:\n"
	if got := verdicts(r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestABrokenCaseEndsTheScan(t *testing.T) {
	broken := errors.New("broken anyway")
	for _, c := range []Case{
		Program("broken", explore.Config{}, explore.Func(func(afero.Fs) error { return nil }, func(afero.Fs) error { return broken })),
		{Name: "broken", Run: func(context.Context, func(afero.Fs) afero.Fs) (Outcome, error) { return Outcome{}, broken }},
	} {
		if _, err := Scan(context.Background(), Config{Cases: []Case{c}}); !errors.Is(err, broken) && (err == nil || !strings.Contains(err.Error(), "with every sync in place")) {
			t.Errorf("the scan goes on: %v", err)
		}
	}
}

// engineCases are the corners and one seed that rotates, on posix: enough to show
// that every sync of the log is needed.
func engineCases(t *testing.T) []Case {
	t.Helper()
	var cases []Case
	for _, corner := range Corners() {
		p, err := corner.Plan("posix")
		if err != nil {
			t.Fatal(err)
		}
		if corner.Settings != wide || corner.Scenario == "nospace" {
			cases = append(cases, Plan(corner.Name, p, 0))
		}
	}
	backups, err := Backups("posix", 0)
	if err != nil {
		t.Fatal(err)
	}
	cases = append(cases, backups)
	more, err := Scenarios(Selection{Scenarios: []string{"rotate"}, Disks: []string{"posix"}, Seeds: 1})
	if err != nil {
		t.Fatal(err)
	}
	return append(cases, more...)
}

// TestEverySyncOfTheLogIsNeeded is a small version of untorn-sim xray.
func TestEverySyncOfTheLogIsNeeded(t *testing.T) {
	r, err := Scan(context.Background(), Config{Cases: engineCases(t), More: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Sites {
		if s.Verdict != Needed {
			t.Errorf("%s: %s:%d %s: %s", s.Verdict, s.File, s.Line, s.Site, s.Text)
			continue
		}
		for _, f := range s.Findings {
			if f.Case == "" {
				continue
			}
			t.Logf("%s: %s: %s (%s)", s.Site, f.Mode, f.Invariant, f.Case)
			if f.Plan == nil { // of Backups
				continue
			}
			if p, err := plan.Parse(f.Plan.Format()); err != nil {
				t.Errorf("its plan: %v", err)
			} else if text, _ := p.Setting("sync"); text != string(f.Mode)+" "+s.Site {
				t.Errorf("its plan has sync = %s", text)
			}
		}
	}
	if len(r.Sites) < 14 || !strings.HasPrefix(r.Sites[0].File, "engine/") {
		t.Errorf("only %d sites: %s", len(r.Sites), verdicts(r))
	}
}

// What the case without optional methods does not reach is told from the sources, callers too.
func TestUncovered(t *testing.T) {
	corner := Corners()[len(Corners())-1]
	p, err := corner.Plan("posix")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Scan(context.Background(), Config{Cases: []Case{Plan(corner.Name, p, 0)}, Sites: func(s string) bool { return strings.Contains(s, "rotate.go") }})
	if err != nil {
		t.Fatal(err)
	}
	text := verdicts(r)
	for _, want := range []string{
		"needed Sync engine/rotate.go:(*Log).install<engine/rotate.go:(*Log).freshSegment:",
		"not covered Sync engine/rotate.go:(*Log).seal:",
		"not covered (*Log).prepare<engine/rotate.go:(*Log).nextSegment:",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s\nis not in\n%s", want, text)
		}
	}
}

func TestSelection(t *testing.T) {
	cases, err := Scenarios(Selection{Scenarios: []string{"batch", "retry"}, Disks: []string{"posix", "ext4+filesync=alone"}, Seeds: 2, Corners: true})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range cases {
		if !strings.HasPrefix(c.Name, "corner") {
			names = append(names, c.Name)
		}
	}
	const want = "batch seed 1 on posix, retry seed 1 on posix, batch seed 2 on posix, retry seed 2 on posix, " +
		"batch seed 1 on ext4+filesync=alone, retry seed 1 on ext4+filesync=alone, batch seed 2 on ext4+filesync=alone, retry seed 2 on ext4+filesync=alone"
	if got := strings.Join(names, ", "); got != want {
		t.Errorf("got %s", got)
	}
	for _, s := range []Selection{{Scenarios: []string{"x"}}, {Disks: []string{"x"}}} {
		if _, err := Scenarios(s); err == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
	if _, err := weaken.New(weaken.Weaken, weaken.Site{Op: "SyncData"}); err == nil {
		t.Error("a data-only sync can be weakened")
	}
}
