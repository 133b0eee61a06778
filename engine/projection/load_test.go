package projection_test

import (
	"errors"
	"io/fs"
	"math"
	"strings"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/projection"
)

// peculiar is a disk on which a checkpoint looks as it should not.
type peculiar struct {
	afero.Fs
	name   string
	mode   fs.FileMode // added to that of the file
	size   int64       // of the file, if not 0
	opened int
	fails  bool
}

type peculiarInfo struct {
	fs.FileInfo
	p *peculiar
}

func (i peculiarInfo) Mode() fs.FileMode { return i.p.mode | i.FileInfo.Mode() }
func (i peculiarInfo) Size() int64 {
	if i.p.size > 0 {
		return i.p.size
	}
	return i.FileInfo.Size()
}

func (p *peculiar) Stat(name string) (fs.FileInfo, error) {
	info, err := p.Fs.Stat(name)
	if err != nil || name != p.name {
		return info, err
	}
	return peculiarInfo{info, p}, nil
}

func (p *peculiar) Open(name string) (afero.File, error) {
	f, err := p.Fs.Open(name)
	if err != nil || name != p.name {
		return f, err
	}
	p.opened++
	return peculiarFile{f, p}, nil
}

func (p *peculiar) OpenFile(name string, flag int, mode fs.FileMode) (afero.File, error) {
	if name == p.name {
		p.opened++
	}
	return p.Fs.OpenFile(name, flag, mode)
}

type peculiarFile struct {
	afero.File
	p *peculiar
}

func (f peculiarFile) Read(b []byte) (int, error) {
	if f.p.fails {
		return 0, errRefused
	}
	return f.File.Read(b)
}

const checkpointOfP = "checkpoints/p.projection"

// saved returns a log with some events, and the bytes of a checkpoint behind them
// whose state is long.
func saved(t *testing.T) (log *engine.Log, d projection.Definition[string], whole []byte) {
	t.Helper()
	disk := newDisk()
	log = opened(t, disk, 0)
	appended(t, log, "s", "a", "b", "c")
	d = projection.Definition[string]{Name: "p", Version: 1, Apply: func(_ string, e engine.Event) string {
		return strings.Repeat(string(e.Data), 1<<20)
	}}
	check(t, setOf(t, log, kept(disk, 1), made(t, d)).Once(t.Context()))
	whole, err := afero.ReadFile(disk, checkpointOfP)
	check(t, err)
	return log, d, whole
}

// TestWhatIsTooLong for a checkpoint is not opened. It gives way to the next one.
func TestWhatIsTooLong(t *testing.T) {
	log, d, whole := saved(t)
	for _, size := range []int64{projection.MostFile, projection.MostFile + 1, 1 << 40, math.MaxInt64} {
		disk := &peculiar{Fs: newDisk(), name: checkpointOfP, size: size}
		check(t, disk.MkdirAll("checkpoints", 0o755))
		check(t, afero.WriteFile(disk.Fs, checkpointOfP, whole, 0o644))
		set := setOf(t, log, kept(disk, 1), made(t, d))
		if s := set.Status()[0]; size > projection.MostFile && (!errors.Is(s.Rebuilt, projection.ErrDamaged) || s.Restored != 0 || disk.opened > 0) ||
			size == projection.MostFile && s.Restored != 3 {
			t.Errorf("%d bytes: %+v, opened %d times", size, s, disk.opened)
		}
		disk.size = 0
		check(t, set.Once(t.Context()))
		if s := setOf(t, log, kept(disk, 1), made(t, d)).Status()[0]; s.Restored != 3 {
			t.Errorf("%d bytes: after the next run %+v", size, s)
		}
	}
}

// TestWhatIsNoFile is not opened. It is not trusted, and a pipe gives way to the
// next checkpoint.
func TestWhatIsNoFile(t *testing.T) {
	log, d, whole := saved(t)
	for _, mode := range []fs.FileMode{fs.ModeNamedPipe, fs.ModeDevice | fs.ModeCharDevice, fs.ModeSocket, fs.ModeIrregular} {
		for _, name := range []string{checkpointOfP, checkpointOfP + ".tmp"} {
			disk := &peculiar{Fs: newDisk(), name: name, mode: mode}
			check(t, disk.MkdirAll("checkpoints", 0o755))
			check(t, afero.WriteFile(disk.Fs, name, whole, 0o644))
			set := setOf(t, log, kept(disk, 1), made(t, d))
			rebuilt := set.Status()[0].Rebuilt
			err := set.Once(t.Context())
			if disk.opened > 0 {
				t.Errorf("%v in place of %s was opened", mode, name)
			}
			if name == checkpointOfP && (!errors.Is(rebuilt, projection.ErrDamaged) || err != nil) {
				t.Errorf("%v: rebuilt since %v, then %v", mode, rebuilt, err)
			}
			var pathError *fs.PathError
			if name != checkpointOfP && (rebuilt != nil || !errors.As(err, &pathError) || pathError.Path != name) {
				t.Errorf("%v: rebuilt since %v, then %v", mode, rebuilt, err)
			}
		}
	}

	disk := newDisk()
	check(t, disk.MkdirAll(checkpointOfP+"/within", 0o755))
	p := made(t, d)
	set := setOf(t, log, kept(disk, 1), p)
	if s := set.Status()[0]; !errors.Is(s.Rebuilt, projection.ErrDamaged) {
		t.Errorf("a directory: %+v", s)
	}
	if err := set.Once(t.Context()); err == nil || set.Status()[0].SaveErr == nil {
		t.Errorf("a checkpoint over a directory: %v", err)
	}
	if _, at := p.State(); at != 3 {
		t.Errorf("state at event %d", at)
	}
	if _, err := disk.Stat(checkpointOfP + "/within"); err != nil {
		t.Errorf("what was in the directory: %v", err)
	}
}

// TestACheckpointThatCannotBeRead is not called damaged.
func TestACheckpointThatCannotBeRead(t *testing.T) {
	log, d, whole := saved(t)
	disk := &peculiar{Fs: newDisk(), name: checkpointOfP, fails: true}
	check(t, disk.MkdirAll("checkpoints", 0o755))
	check(t, afero.WriteFile(disk.Fs, checkpointOfP, whole, 0o644))
	if s := setOf(t, log, kept(disk, 1), made(t, d)).Status()[0]; !errors.Is(s.Rebuilt, errRefused) || errors.Is(s.Rebuilt, projection.ErrDamaged) {
		t.Errorf("%+v", s)
	}
}
