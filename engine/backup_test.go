package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/simfs"
)

// filesOf is every file of a directory with its bytes; nothing if it is not there.
func filesOf(t *testing.T, fsys afero.Fs, dir string) map[string]string {
	t.Helper()
	infos, err := afero.ReadDir(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, info := range infos {
		b, err := afero.ReadFile(fsys, dir+"/"+info.Name())
		if err != nil {
			t.Fatal(err)
		}
		files[info.Name()] = string(b)
	}
	return files
}

func names(files map[string]string) []string { return slices.Sorted(maps.Keys(files)) }

// backedUp backs a log up on its machine, and checks that the backup is the log.
func (m *machine) backedUp(log *engine.Log, dir string) engine.Backup {
	m.t.Helper()
	b, err := log.Backup(m.t.Context(), engine.BackupTarget{FS: m.disk, Dir: dir})
	if err != nil {
		m.t.Fatal(err)
	}
	if b.Head != log.LogHead() {
		m.t.Fatalf("the backup's head is %+v, the log's %+v", b.Head, log.LogHead())
	}
	m.isBackup(dir, b.Head, payloads(all(m.t, log, engine.Query{})))
	return b
}

// isBackup checks that a closed log lies in a directory, with a head and these events,
// and that opening it for writing writes no byte.
func (m *machine) isBackup(dir string, head engine.LogHead, want []string) {
	m.t.Helper()
	before := filesOf(m.t, m.disk, dir)
	o := m.seams()
	o.Dir, o.Signing = dir, nil
	log, err := engine.Open(o)
	if err != nil {
		m.t.Fatal(err)
	}
	if r := log.Recovery(); r.Torn || r.Fresh > 0 || len(r.Removed) > 0 {
		m.t.Errorf("opening the backup did something: %+v", r)
	}
	if got := log.LogHead(); got != head {
		m.t.Errorf("%s has the head %+v, want %+v", dir, got, head)
	}
	if got := payloads(all(m.t, log, engine.Query{})); !slices.Equal(got, want) {
		m.t.Errorf("%s has %.300q, want %.300q", dir, got, want)
	}
	verified(m.t, log)
	closed(m.t, log)
	if after := filesOf(m.t, m.disk, dir); !maps.Equal(before, after) {
		m.t.Errorf("opening %s has changed its files: %q, before %q", dir, names(after), names(before))
	}
}

// TestBackup of an open log, at every length, with groups of any alignment.
func TestBackup(t *testing.T) {
	for _, align := range []int{0, 4096} {
		for _, preallocate := range []int64{-1, 16 << 10} {
			m := newMachine(t, engine.Options{Align: align, Preallocate: preallocate})
			log := m.open()
			if _, err := log.Backup(t.Context(), engine.BackupTarget{FS: m.disk, Dir: "none"}); !errors.Is(err, engine.ErrNothingDurable) {
				t.Errorf("of nothing: %v", err)
			}
			buffered(t, log, "b")
			if _, err := log.Backup(t.Context(), engine.BackupTarget{FS: m.disk, Dir: "none"}); !errors.Is(err, engine.ErrNothingDurable) {
				t.Errorf("of nothing that is durable: %v", err)
			}
			if files := filesOf(t, m.disk, "none"); files != nil {
				t.Errorf("left behind: %q", files)
			}
			for i := range 9 {
				appended(t, log, big(fmt.Sprint(i), 20_000), "small")
				m.backedUp(log, fmt.Sprint("backups/", i))
			}
			buffered(t, log, "not yet", "durable")
			buffered(t, log, "either")
			b := m.backedUp(log, "last")
			if segments := len(log.Stats().Segments); segments < 3 || b.Copied != segments || b.Linked+b.Kept != 0 || b.NotDurable != 2 || b.Bytes != b.CopiedBytes {
				t.Errorf("%+v, of %d segments", b, segments)
			}
			closed(t, log)
			log = m.open()
			m.backedUp(log, "reopened")
			appended(t, log, "more")
			m.backedUp(log, "behind an END")
			closed(t, log)
		}
	}
}

// TestBackupAtTheEndOfASegment: where the segment behind holds nothing durable, the
// backup ends in the one before, whose END says that there is a next one.
func TestBackupAtTheEndOfASegment(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	for len(log.Stats().Segments) < 2 {
		buffered(t, log, big("b", 20_000))
	}
	// The next group was written to the new segment; leaving the old one has synced that.
	b := m.backedUp(log, "backup")
	if b.Head.Batch == 0 || b.NotDurable == 0 || b.Copied != 1 {
		t.Fatalf("%+v", b)
	}
	closed(t, log)
}

// TestBackupOfAFollowedLog is made from another process, and has what the log says is
// durable.
func TestBackupOfAFollowedLog(t *testing.T) {
	m := newMachine(t, engine.Options{})
	writer := m.open()
	o := m.seams()
	o.ReadOnly = true
	follower, err := engine.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		appended(t, writer, big(fmt.Sprint(i), 20_000))
		b, err := follower.Backup(t.Context(), engine.BackupTarget{FS: m.disk, Dir: fmt.Sprint("backups/", i)})
		if i == 0 {
			if !errors.Is(err, engine.ErrNothingDurable) {
				t.Errorf("%+v, %v", b, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if int(b.Head.Batch) < i || b.Head.Batch+b.NotDurable != uint64(i)+1 {
			t.Fatalf("after %d batches: %+v", i+1, b)
		}
		m.isBackup(fmt.Sprint("backups/", i), b.Head, payloads(all(t, writer, engine.Query{ToSequence: b.Head.Sequence})))
	}
	closed(t, writer)
	b, err := follower.Backup(t.Context(), engine.BackupTarget{FS: m.disk, Dir: "last"})
	if err != nil || b.Head.Batch != 9 || b.NotDurable != 0 {
		t.Fatalf("%+v, %v", b, err)
	}
	closed(t, follower)
	if _, err := follower.Backup(t.Context(), engine.BackupTarget{FS: m.disk, Dir: "closed"}); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("of a closed log: %v", err)
	}
	// Without a writer, and with a log that was not closed.
	writer = m.open()
	appended(t, writer, "proven")
	appended(t, writer, "unproven")
	m.crash(simfs.ProcessKill, simfs.Latest())
	o = m.seams()
	o.ReadOnly = true
	if follower, err = engine.Open(o); err != nil {
		t.Fatal(err)
	}
	if b, err := follower.Backup(t.Context(), engine.BackupTarget{FS: m.disk, Dir: "killed"}); err != nil || b.Head.Batch != 10 || b.NotDurable != 1 {
		t.Fatalf("%+v, %v", b, err)
	}
	if _, err := engine.Restore(t.Context(), o, engine.BackupTarget{FS: m.disk, Dir: "restored"}, nil); !errors.Is(err, engine.ErrNotClosed) {
		t.Errorf("restored from a log that was not closed: %v", err)
	}
	closed(t, follower)
}

// TestBackupOfAFailedLog has what was durable before.
func TestBackupOfAFailedLog(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open("step=1 syncdata seg #1: failsync ext4")
	appended(t, log, "there")
	m.happen()
	if _, err := log.Append(t.Context(), draft("in doubt")); !errors.Is(err, engine.ErrInDoubt) {
		t.Fatal(err)
	}
	m.happened()
	if b := m.backedUp(log, "backup"); b.Head.Batch != 1 || b.NotDurable != 1 {
		t.Errorf("%+v", b)
	}
	_ = log.Close()
}

// TestBackupContinues: into a backup of the same log only what is new is copied,
// whatever became of the log in between.
func TestBackupContinues(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	appended(t, log, "first")
	m.backedUp(log, "backup")
	if b := m.backedUp(log, "backup"); b.Copied != 0 || b.Kept != 1 || b.CopiedBytes != 0 {
		t.Errorf("nothing was new: %+v", b)
	}
	kept := 0
	for i := range 12 {
		appended(t, log, big(fmt.Sprint(i), 15_000))
		b := m.backedUp(log, "backup")
		if segments := len(log.Stats().Segments); b.Copied+b.Kept != segments || b.Copied > 2 {
			t.Errorf("%+v, of %d segments", b, segments)
		}
		kept = max(kept, b.Kept)
		switch i % 4 {
		case 0:
			closed(t, log)
			log = m.open()
		case 1: // recovery carries what nothing proves into a fresh segment
			m.crash(simfs.ProcessKill, simfs.Latest())
			log = m.open()
		case 2: // and so does a rollback
			closed(t, log)
			log = m.open("step=1 writeat seg #1: short 100")
			m.happen()
			if _, err := log.Append(t.Context(), draft("failed")); !errors.Is(err, engine.ErrFailed) {
				t.Fatal(err)
			}
			m.happened()
		}
		m.backedUp(log, "backup")
	}
	if kept < 5 {
		t.Errorf("%d segments were kept at most", kept)
	}
	// What a backup that was cut off has left is no hindrance.
	put(t, m.disk, "backup/000000000001.copy", "x")
	put(t, m.disk, "backup/000000000099.copy", "x")
	appended(t, log, "last")
	m.backedUp(log, "backup")
	for _, name := range names(filesOf(t, m.disk, "backup")) {
		if strings.HasSuffix(name, ".copy") {
			t.Errorf("%s is still there", name)
		}
	}
	closed(t, log)
}

// TestBackupOfALogThatBeganAnew: recovery gives the first segment another seed, and
// keeps what was durable.
func TestBackupOfALogThatBeganAnew(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	appended(t, log, "only")
	m.backedUp(log, "backup")
	m.crash(simfs.ProcessKill, simfs.Latest())
	log = m.open()
	if r := log.Recovery(); r.Fresh != 1 || r.Carried != 1 {
		t.Fatalf("%+v", r)
	}
	appended(t, log, "more")
	m.backedUp(log, "backup")
	closed(t, log)
}

func put(t *testing.T, fsys afero.Fs, name, text string) {
	t.Helper()
	if err := fsys.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := afero.WriteFile(fsys, name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestBackupRefuses a directory with anything else in it, and changes nothing there.
func TestBackupRefuses(t *testing.T) {
	m := newMachine(t, engine.Options{})
	fresh := func(dir string, payloads ...string) *engine.Log {
		o := m.seams()
		o.Dir = dir
		log, err := engine.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range payloads {
			appended(t, log, p)
		}
		return log
	}
	log := fresh("log", "a", "b")
	backupTo := func(dir string) error {
		_, err := log.Backup(t.Context(), engine.BackupTarget{FS: m.disk, Dir: dir})
		return err
	}
	for _, c := range []struct {
		name string
		make func(dir string)
		is   error
		says string
	}{
		{"a file", func(dir string) { put(t, m.disk, dir+"/notes.txt", "x") }, engine.ErrTarget, "notes.txt"},
		{"a file in an unfinished backup", func(dir string) {
			put(t, m.disk, dir+"/UNFINISHED-BACKUP", "x")
			put(t, m.disk, dir+"/000000000001.seg", "x")
			put(t, m.disk, dir+"/notes.txt", "x")
		}, engine.ErrTarget, "notes.txt"},
		{"a directory", func(dir string) { _ = m.disk.MkdirAll(dir+"/sub", 0o755) }, engine.ErrTarget, "sub"},
		{"another log", func(dir string) { closed(t, fresh(dir, "a", "b")) }, engine.ErrTarget, "another log"},
		{"an empty log", func(dir string) { closed(t, fresh(dir)) }, engine.ErrTarget, "without a batch"},
		{"a log that is open", func(dir string) { fresh(dir, "a") }, engine.ErrLocked, "open elsewhere"},
		{"a damaged log", func(dir string) {
			put(t, m.disk, dir+"/000000000001.seg", big("x", 8192))
			put(t, m.disk, dir+"/000000000002.seg", "x")
		}, engine.ErrTarget, ""},
		{"a backup that went on", func(dir string) {
			if err := backupTo(dir); err != nil {
				t.Fatal(err)
			}
			closed(t, fresh(dir, "fork", "fork", "fork"))
		}, engine.ErrTarget, "up to batch"},
		{"a backup that went on, and the log did, too", func(dir string) {
			if err := backupTo(dir); err != nil {
				t.Fatal(err)
			}
			closed(t, fresh(dir, "fork"))
			appended(t, log, "c", "d")
			appended(t, log, "e")
		}, engine.ErrTarget, "another way"},
		{"a backup that was written to and not closed", func(dir string) {
			if err := backupTo(dir); err != nil {
				t.Fatal(err)
			}
			fresh(dir, "fork")
			if err := m.disk.Remove(dir + "/LOCK"); err != nil {
				t.Fatal(err)
			}
		}, engine.ErrTarget, "not closed"},
		{"a damaged backup", func(dir string) {
			if err := backupTo(dir); err != nil {
				t.Fatal(err)
			}
			edit(t, m.disk, dir+"/000000000001.seg", func(b []byte) []byte { b[8192+200] ^= 1; return b })
		}, engine.ErrTarget, "damaged"},
		{"a file instead of a directory", func(dir string) { put(t, m.disk, dir, "x") }, nil, "is a file"},
		{"the log itself", func(dir string) { _ = m.disk.Mkdir(dir, 0o755) }, engine.ErrLocked, "open elsewhere"},
	} {
		dir := "targets " + c.name + "/target"
		if err := m.disk.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
			t.Fatal(err)
		}
		c.make(dir)
		if c.name == "the log itself" {
			dir = "log"
		}
		before := map[string]string{}
		if info, err := m.disk.Stat(dir); err == nil && info.IsDir() && c.name != "a directory" {
			before = filesOf(t, m.disk, dir)
		}
		err := backupTo(dir)
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(fmt.Sprint(err), c.says) || strings.Contains(fmt.Sprint(err), "\n") {
			t.Errorf("%s: %v, want %v, %q", c.name, err, c.is, c.says)
		}
		var target *engine.TargetError
		if c.is == engine.ErrTarget && (!errors.As(err, &target) || target.Dir != dir) {
			t.Errorf("%s: %v has no directory", c.name, err)
		}
		if len(before) > 0 {
			after := filesOf(t, m.disk, dir)
			delete(after, "LOCK")
			delete(before, "LOCK")
			if !maps.Equal(before, after) {
				t.Errorf("%s: there is %q, before %q", c.name, names(after), names(before))
			}
		}
	}
	for _, to := range []engine.BackupTarget{{}, {FS: afero.NewMemMapFs(), Dir: "x"}} {
		if _, err := log.Backup(t.Context(), to); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%+v: %v", to, err)
		}
	}
}

// TestBackupIntoTheLogItself is refused without a lock, too.
func TestBackupIntoTheLogItself(t *testing.T) {
	m := newMachine(t, engine.Options{})
	o := m.seams()
	o.FS = unlocked{m.disk}
	log, err := engine.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	appended(t, log, "a")
	closed(t, log)
	o.ReadOnly = true
	follower, err := engine.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	o.ReadOnly = false
	if log, err = engine.Open(o); err != nil {
		t.Fatal(err)
	}
	appended(t, log, "b")
	appended(t, log, "c")
	before := tree(t, m.disk)
	if _, err := log.Backup(t.Context(), engine.BackupTarget{FS: o.FS, Dir: "./log/"}); !errors.Is(err, engine.ErrTarget) {
		t.Error(err)
	}
	if after := tree(t, m.disk); !maps.Equal(before, after) {
		t.Errorf("it has changed: %q", names(after))
	}
	closed(t, log)
	closed(t, follower)
}

// unlocked is a file system without locks.
type unlocked struct{ afero.Fs }

func (u unlocked) SyncDir(name string) error { return u.Fs.(*simfs.FS).SyncDir(name) }

// TestUnfinishedBackup is no log to anybody, and says what it is.
func TestUnfinishedBackup(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	appended(t, log, "a")
	b := m.backedUp(log, "backup")
	put(t, m.disk, "backup/UNFINISHED-BACKUP", "")
	for _, readOnly := range []bool{false, true} {
		o := m.seams()
		o.Dir, o.ReadOnly = "backup", readOnly
		if _, err := engine.Open(o); !errors.Is(err, engine.ErrUnfinished) || !strings.Contains(err.Error(), "not finished: make it again") {
			t.Errorf("open: %v", err)
		}
		if _, err := engine.Restore(t.Context(), o, engine.BackupTarget{FS: m.disk, Dir: "restored"}, nil); !errors.Is(err, engine.ErrUnfinished) {
			t.Errorf("restore: %v", err)
		}
	}
	put(t, m.disk, "backup/000000000007.seg", "rest")
	m.backedUp(log, "backup")
	if got := names(filesOf(t, m.disk, "backup")); !slices.Equal(got, []string{"000000000001.seg", "LOCK"}) {
		t.Errorf("there is %q", got)
	}
	m.isBackup("backup", b.Head, []string{"a"})
	closed(t, log)
}

// TestBackupEndsWithItsContext, at any moment, and leaves nothing behind.
func TestBackupEndsWithItsContext(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	for i := range 6 {
		appended(t, log, big(fmt.Sprint(i), 20_000))
	}
	for n := 1; ; n++ {
		ctx, cancel := context.WithCancel(t.Context())
		told, last := 0, int64(0)
		_, err := log.Backup(ctx, engine.BackupTarget{FS: m.disk, Dir: fmt.Sprint("backups/", n), Progress: func(done, total int64) {
			if told++; told == n {
				cancel()
			}
			if done <= last || done > total {
				t.Errorf("told of %d of %d bytes after %d", done, total, last)
			}
			last = done
			if ctx.Err() == nil {
				appended(t, log, "from within") // nobody is stopped meanwhile
			}
		}})
		cancel()
		if err == nil {
			if n < 5 {
				t.Errorf("%d steps only", n)
			}
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if files := filesOf(t, m.disk, "backups"); files != nil {
			t.Fatalf("step %d leaves %q", n, names(files))
		}
	}
	closed(t, log)
}

// TestRestore copies a backup, and believes nothing.
func TestRestore(t *testing.T) {
	m := newMachine(t, engine.Options{})
	log := m.open()
	for i := range 6 {
		appended(t, log, big(fmt.Sprint(i), 20_000))
	}
	early := log.LogHead()
	appended(t, log, "last")
	b := m.backedUp(log, "backup")
	want := payloads(all(t, log, engine.Query{}))
	closed(t, log)
	from := m.seams()
	from.Dir = "backup"
	ctx := t.Context()
	to := func(dir string) engine.BackupTarget {
		total := int64(0)
		t.Cleanup(func() {
			if total == 0 {
				t.Errorf("%s: nothing was told", dir)
			}
		})
		return engine.BackupTarget{FS: m.disk, Dir: dir, Progress: func(_, all int64) { total = all }}
	}
	before := filesOf(t, m.disk, "backup")
	r, err := engine.Restore(ctx, from, to("a/b/restored"), nil, early, b.Head)
	if err != nil || r.Head != b.Head || r.LogID != b.LogID || r.Copied != 3 || r.Linked+r.Kept != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	m.isBackup("a/b/restored", b.Head, want)
	keys := trusted(t, public("ops", testKey(1)))
	if _, err := engine.Restore(ctx, from, engine.BackupTarget{FS: m.disk, Dir: "c"}, &keys); !errors.Is(err, engine.ErrNotSigned) {
		t.Errorf("without a signature: %v", err)
	}
	// Once more changes nothing.
	if r, err := engine.Restore(ctx, from, to("a/b/restored"), nil); err != nil || r.Kept != 3 || r.Copied != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	wrong := early
	wrong.Hash[0] ^= 1
	none := func(what string, err error, is error) {
		t.Helper()
		if !errors.Is(err, is) || strings.Contains(fmt.Sprint(err), "\n") {
			t.Errorf("%s: %v, want %v", what, err, is)
		}
		if files := filesOf(t, m.disk, "c"); files != nil {
			t.Errorf("%s: left behind: %q", what, names(files))
		}
	}
	_, err = engine.Restore(ctx, from, to("c"), nil, wrong)
	none("a head that it does not have", err, engine.ErrNotFound)
	o := from
	o.Dir = "nowhere"
	_, err = engine.Restore(ctx, o, engine.BackupTarget{FS: m.disk, Dir: "c"}, nil)
	none("no backup", err, fs.ErrNotExist)
	if err := m.disk.Mkdir("empty", 0o755); err != nil {
		t.Fatal(err)
	}
	o.Dir = "empty"
	_, err = engine.Restore(ctx, o, engine.BackupTarget{FS: m.disk, Dir: "c"}, nil)
	none("an empty directory", err, engine.ErrNothingDurable)
	for _, name := range names(before) {
		if !strings.HasSuffix(name, ".seg") {
			continue
		}
		for _, at := range []int{100, 4200, 8192 + 100, 8192 + 3000} {
			edit(t, m.disk, "backup/"+name, func(b []byte) []byte { b[at] ^= 1; return b })
			_, err := engine.Restore(ctx, from, engine.BackupTarget{FS: m.disk, Dir: "c"}, nil)
			var damage *engine.CorruptError
			none(fmt.Sprint("damage at byte ", at, " of ", name), err, engine.ErrCorrupt)
			if errors.As(err, &damage) && fmt.Sprintf("%012d.seg", damage.Segment) != name {
				t.Errorf("damage in %s is told of segment %d", name, damage.Segment)
			}
			edit(t, m.disk, "backup/"+name, func(b []byte) []byte { b[at] ^= 1; return b })
		}
	}
	// A log that is longer than what is restored is not gone back on.
	o = m.seams()
	o.Dir = "a/b/restored"
	if log, err = engine.Open(o); err != nil {
		t.Fatal(err)
	}
	appended(t, log, "another way")
	closed(t, log)
	if _, err := engine.Restore(ctx, from, to("a/b/restored"), nil); !errors.Is(err, engine.ErrTarget) {
		t.Errorf("over a log that went on: %v", err)
	}
	// Nor is a shorter one continued.
	longer := o
	if r, err := engine.Restore(ctx, longer, to("longer"), nil, b.Head); err != nil || r.Head.Batch != b.Head.Batch+1 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := engine.Restore(ctx, longer, to("backup"), nil); !errors.Is(err, engine.ErrTarget) {
		t.Errorf("over a log that is shorter: %v", err)
	}
	if after := filesOf(t, m.disk, "backup"); !maps.Equal(before, after) {
		t.Error("the backup has changed")
	}
}

// TestBackupOfSignedHeads: the signatures are in it, and hold.
func TestBackupOfSignedHeads(t *testing.T) {
	m := newMachine(t, engine.Options{Signing: signing(engine.SignEachGroup, testKey(1))})
	log := m.open()
	for i := range 6 {
		appended(t, log, big(fmt.Sprint(i), 20_000))
	}
	m.backedUp(log, "backup")
	closed(t, log)
	from := m.seams()
	from.Dir, from.Signing = "backup", nil
	keys := trusted(t, public("ops-1", testKey(1)))
	if r, err := engine.Restore(t.Context(), from, engine.BackupTarget{FS: m.disk, Dir: "restored"}, &keys); err != nil || r.Signed.KeyID != "ops-1" {
		t.Errorf("%+v, %v", r, err)
	}
	others := trusted(t, public("others", testKey(2)))
	if _, err := engine.Restore(t.Context(), from, engine.BackupTarget{FS: m.disk, Dir: "c"}, &others); !errors.Is(err, proof.UnknownKey) {
		t.Error(err)
	}
}

// TestBackupOnARealDisk links what nobody writes to any more, and only that.
func TestBackupOnARealDisk(t *testing.T) {
	base := t.TempDir()
	log, err := engine.Open(engine.Options{Dir: filepath.Join(base, "log"), SegmentSize: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		appended(t, log, big(fmt.Sprint(i), 20_000))
	}
	same := func(dir string) (linked int) {
		for _, s := range log.Stats().Segments {
			name := fmt.Sprintf("%012d.seg", s.Number)
			one, err := os.Stat(filepath.Join(base, "log", name))
			if err != nil {
				t.Fatal(err)
			}
			two, err := os.Stat(filepath.Join(base, dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if os.SameFile(one, two) {
				linked++
			}
		}
		return linked
	}
	segments := len(log.Stats().Segments)
	wantLinked := segments - 1
	switch runtime.GOOS {
	case "darwin", "dragonfly", "freebsd", "linux", "netbsd", "openbsd":
	default:
		wantLinked = 0
	}
	b, err := log.Backup(t.Context(), engine.BackupTarget{Dir: filepath.Join(base, "new/linked")})
	if err != nil || b.Linked != wantLinked || same("new/linked") != wantLinked || b.Copied != segments-wantLinked {
		t.Errorf("%+v, %v", b, err)
	}
	b, err = log.Backup(t.Context(), engine.BackupTarget{Dir: filepath.Join(base, "copied"), Copy: true})
	if err != nil || b.Linked != 0 || same("copied") != 0 || b.Copied != segments {
		t.Errorf("%+v, %v", b, err)
	}
	appended(t, log, big("more", 30_000))
	appended(t, log, big("more", 30_000))
	want := payloads(all(t, log, engine.Query{}))
	for _, dir := range []string{"new/linked", "copied"} {
		b, err = log.Backup(t.Context(), engine.BackupTarget{Dir: filepath.Join(base, dir)})
		if err != nil || b.Kept == 0 || b.Head != log.LogHead() {
			t.Errorf("%+v, %v", b, err)
		}
	}
	if b, err := log.Backup(t.Context(), engine.BackupTarget{Dir: filepath.Join(base, "log")}); !errors.Is(err, engine.ErrLocked) {
		t.Errorf("into itself: %+v, %v", b, err)
	}
	closed(t, log)
	for _, dir := range []string{"new/linked", "copied"} {
		to := filepath.Join(base, "restored/of", dir)
		if _, err := engine.Restore(t.Context(), engine.Options{Dir: filepath.Join(base, dir)}, engine.BackupTarget{Dir: to}, nil, b.Head); err != nil {
			t.Fatal(err)
		}
		restored := openDir(t, engine.Options{Dir: to})
		if got := payloads(all(t, restored, engine.Query{})); !slices.Equal(got, want) {
			t.Errorf("%s has %.100q", dir, got)
		}
		verified(t, restored)
	}
	// Nothing is left of one that fails.
	ctx, cancel := context.WithCancel(t.Context())
	to := engine.BackupTarget{Dir: filepath.Join(base, "x/y/z"), Progress: func(done, total int64) { cancel() }}
	if _, err := engine.Restore(ctx, engine.Options{Dir: filepath.Join(base, "copied")}, to, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(base, "x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}
