package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/simfs"
)

// copyCase is a backup or a restore to which something happens.
type copyCase struct {
	name  string
	there bool // there is an earlier backup, of the first batch
	do    func(ctx context.Context, log *engine.Log, o engine.Options) (engine.Backup, error)
}

func copyCases() []copyCase {
	backup := func(ctx context.Context, log *engine.Log, o engine.Options) (engine.Backup, error) {
		return log.Backup(ctx, engine.BackupTarget{FS: o.FS, Dir: "backups/new"})
	}
	return []copyCase{
		{"a first backup", false, backup},
		{"one more", true, backup},
		{"restore", false, func(ctx context.Context, log *engine.Log, o engine.Options) (engine.Backup, error) {
			from := o
			from.Dir = "old"
			return engine.Restore(ctx, from, engine.BackupTarget{FS: o.FS, Dir: "backups/new"}, nil)
		}},
	}
}

// copied is a machine with a log of three segments that is open, of which there is a
// backup in old, and perhaps an earlier one in backups/new.
func copied(t *testing.T, there bool, list ...faults.Fault) (m *machine, log *engine.Log, o engine.Options) {
	t.Helper()
	m = newMachine(t, engine.Options{Preallocate: -1})
	o = m.seams()
	f := faults.New(m.disk, list, faults.Options{Slow: m.clock.Pass, Classify: func(name string) string {
		if strings.HasSuffix(name, ".copy") {
			return "new"
		}
		return faults.DefaultClass(name)
	}})
	o.FS = f
	log, err := engine.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		appended(t, log, big(fmt.Sprint(i), 25_000))
		if i == 0 && there {
			m.backedUp(log, "backups/new")
		}
	}
	m.backedUp(log, "old")
	o = m.seamsAgain(o)
	m.faults = f
	return m, log, o
}

// seamsAgain is o with randomness of its own.
func (m *machine) seamsAgain(o engine.Options) engine.Options {
	m.lives++
	o.Rand = rand.NewChaCha8([32]byte{byte(m.lives), 'a'})
	return o
}

// TestEveryOperationOfABackupFails, in every way: the log is never harmed, what is
// called a backup is one, and afterwards the same call succeeds.
func TestEveryOperationOfABackupFails(t *testing.T) {
	for _, c := range copyCases() {
		t.Run(c.name, func(t *testing.T) {
			m, log, o := copied(t, c.there)
			m.happen()
			b, err := c.do(t.Context(), log, o)
			if err != nil {
				t.Fatal(err)
			}
			var counts []faults.Count
			for _, count := range m.faults.Counts() {
				if count.Step == 1 {
					counts = append(counts, count)
				}
			}
			want := payloads(all(t, log, engine.Query{}))
			m.isBackup("backups/new", b.Head, want)
			tried, hit, failed := 0, 0, 0
			for fault := range faults.Every(counts) {
				read := fault.Op == faults.Read || fault.Op == faults.ReadAt
				if tried++; read && (fault.Lasting != faults.Once || fault.Kind == faults.Short || tried%3 != 0) || testing.Short() && tried%7 != 0 {
					continue // of reads there are many
				}
				m, log, o := copied(t, c.there, fault)
				before := tree(t, m.disk)
				m.happen()
				b, err := c.do(t.Context(), log, o)
				m.faults.SetStep(0)
				if len(m.faults.Fired()) > 0 {
					hit++
				}
				at := func() string { return fmt.Sprintf("%v: %v", fault, err) }
				if fault.Mode == faults.Shutdown {
					continue // nothing goes on there
				}
				lies := fault.Mode == faults.Silent || fault.Mode == faults.Ext4Data
				if err != nil && strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: not one line", at())
				}
				if err == nil {
					m.isBackup("backups/new", b.Head, want)
					if !lies {
						m.powerLossLeaves(b.Head, want)
					}
				} else {
					failed++
					if fault.Lasting == faults.Once && fault.Op != faults.SyncDir && fault.Op != faults.Remove {
						if infos, err := afero.ReadDir(m.disk, "backups"); !c.there && err == nil {
							t.Errorf("%s: left behind: %v", at(), infos)
						}
					}
					if c.there {
						m.isLater("backups/new", want)
					}
				}
				if after := tree(t, m.disk); !maps.Equal(before, after) {
					t.Fatalf("%s: the log has changed", at())
				}
				// The disk is sound again.
				o.FS = m.disk
				b, again := c.do(t.Context(), log, o)
				if again != nil {
					t.Fatalf("%s, and then: %v", at(), again)
				}
				m.isBackup("backups/new", b.Head, want)
				if !lies {
					m.powerLossLeaves(b.Head, want)
				}
			}
			t.Logf("%d faults happened, the call has failed %d times", hit, failed)
			if failed == 0 || hit == 0 {
				t.Error("nothing was tried")
			}
		})
	}
}

// powerLossLeaves checks a backup on the disk that a power loss leaves of this one, at
// worst.
func (m *machine) powerLossLeaves(head engine.LogHead, want []string) {
	m.t.Helper()
	n := *m
	n.disk = m.disk.Crash(simfs.PowerLoss).Mount(simfs.Oldest())
	n.isBackup("backups/new", head, want)
}

// isLater checks that a closed log lies in a directory, with one of the events at least.
func (m *machine) isLater(dir string, want []string) {
	m.t.Helper()
	o := m.seams()
	o.Dir, o.ReadOnly = dir, true
	log, err := engine.Open(o)
	if err != nil {
		m.t.Fatal(err)
	}
	got := payloads(all(m.t, log, engine.Query{}))
	if len(got) == 0 || len(got) > len(want) || !slices.Equal(got, want[:len(got)]) || log.Recovery().Torn || log.Recovery().Unproven > 0 {
		m.t.Errorf("%s has %.200q", dir, got)
	}
	verified(m.t, log)
	closed(m.t, log)
}

// TestBackupOntoAFullDisk leaves nothing behind, however much room there is.
func TestBackupOntoAFullDisk(t *testing.T) {
	for _, c := range copyCases() {
		for room := int64(0); ; room += 7000 {
			fault, err := faults.Parse(fmt.Sprintf("step=1 writeat * #1: enospc %d sticky", room))
			if err != nil {
				t.Fatal(err)
			}
			m, log, o := copied(t, c.there, fault)
			m.happen()
			_, err = c.do(t.Context(), log, o)
			if err == nil {
				if room == 0 {
					t.Errorf("%s: there is room where there is none", c.name)
				}
				break
			}
			if !errors.Is(err, engine.ErrNoSpace) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v", c.name, err)
			}
			if _, err := m.disk.Stat("backups"); !c.there && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: left behind: %v", c.name, err)
			}
			if c.there {
				if got := names(filesOf(t, m.disk, "backups/new")); !slices.Equal(got, []string{"000000000001.seg", "LOCK"}) {
					t.Errorf("%s: there is %q", c.name, got)
				}
			}
		}
	}
}
