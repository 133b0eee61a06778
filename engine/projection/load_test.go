package projection_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"slices"
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
	read   int // bytes
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
	n, err := f.File.Read(b)
	f.p.read += n
	return n, err
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

// TestAHeaderIsEnough to see that a checkpoint is no good: no more is read, however
// long the file is. It is then rebuilt.
func TestAHeaderIsEnough(t *testing.T) {
	log, d, whole := saved(t)
	header := func(at int, to ...byte) []byte {
		b := slices.Clone(whole)
		copy(b[at:], to)
		binary.LittleEndian.PutUint32(b[8:], projection.HeaderSum(b[:binary.LittleEndian.Uint16(b[12:])]))
		return b
	}
	long := func(n uint64) []byte { return header(24, binary.LittleEndian.AppendUint64(nil, n)...) }
	for _, c := range []struct {
		what string
		file []byte
		size int64 // as the disk says it, if not 0
		want error
	}{
		{what: "zeros", file: make([]byte, len(whole)), want: projection.ErrDamaged},
		{what: "text", file: bytes.Repeat([]byte("so what\n"), 1<<17), want: projection.ErrDamaged},
		{what: "one with more behind it", file: append(slices.Clone(whole), whole...), want: projection.ErrDamaged},
		{what: "one without its end", file: whole[:len(whole)-1], want: projection.ErrDamaged},
		{what: "another magic", file: header(0, 'x'), want: projection.ErrDamaged},
		{what: "another major version", file: header(14, 2), want: projection.ErrFormat},
		{what: "another version", file: header(32, 2), want: projection.ErrChanged},
		{what: "a longer identity", file: header(40, 99), want: projection.ErrChanged},
		{what: "another hash", file: header(56, whole[56]^1), want: projection.ErrOtherLog},
		{what: "a body too long for any", file: long(projection.MostBody + 1), size: 88 + projection.MostBody + 1, want: projection.ErrDamaged},
		{what: "a body of a tebibyte", file: long(1 << 40), size: 88 + 1<<40, want: projection.ErrDamaged},
		{what: "a body of all that 64 bits can say", file: long(math.MaxUint64), size: 87, want: projection.ErrDamaged},
	} {
		disk := &peculiar{Fs: newDisk(), name: checkpointOfP, size: c.size}
		check(t, disk.MkdirAll("checkpoints", 0o755))
		check(t, afero.WriteFile(disk.Fs, checkpointOfP, c.file, 0o644))
		p := made(t, d)
		set := setOf(t, log, kept(disk, 1), p)
		if s := set.Status()[0]; !errors.Is(s.Rebuilt, c.want) || s.Restored != 0 {
			t.Errorf("%s: %+v, want %v", c.what, s, c.want)
		}
		if disk.read == 0 || disk.read > 4096 {
			t.Errorf("%s: %d bytes were read", c.what, disk.read)
		}
		disk.size = 0
		check(t, set.Once(t.Context()))
		if s := setOf(t, log, kept(disk, 1), made(t, d)).Status()[0]; s.Restored != 3 || disk.read < len(whole) {
			t.Errorf("%s: after the next run %+v", c.what, s)
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
