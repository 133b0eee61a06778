package fscheck

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/spf13/afero"
)

// Problem is one way in which a file system does not do what it must.
type Problem struct {
	Op   string // the operation that went wrong: "ReadAt", "Rename", "TryLock", …
	What string // the situation, what was expected and what was found
}

func (p *Problem) Error() string { return p.Op + ": " + p.What }

// A check looks at one operation, in a directory of its own.
type check struct {
	name string
	op   string // blamed when the file system panics
	run  func(*probe)
}

func checks() []check {
	return []check{
		{"create", "Create", checkCreate},
		{"append", "Write", checkAppend},
		{"write", "Write", checkWrite},
		{"writeat", "WriteAt", checkWriteAt},
		{"read", "Read", checkRead},
		{"readat", "ReadAt", checkReadAt},
		{"seek", "Seek", checkSeek},
		{"truncate", "Truncate", checkTruncate},
		{"access", "OpenFile", checkAccess},
		{"handles", "OpenFile", checkHandles},
		{"closed", "Close", checkClosed},
		{"random", "WriteAt", checkRandom},
		{"concurrent", "ReadAt", checkConcurrentReadAt},
		{"rename", "Rename", checkRename},
		{"rename-dirs", "Rename", checkRenameDirs},
		{"rename-atomic", "Rename", checkRenameAtomic},
		{"remove", "Remove", checkRemove},
		{"removeall", "RemoveAll", checkRemoveAll},
		{"mkdir", "Mkdir", checkMkdir},
		{"readdirnames", "Readdirnames", checkReaddirnames},
		{"names", "OpenFile", checkNames},
		{"stat", "Stat", checkStat},
		{"sync", "Sync", checkSync},
		{"syncdata", "SyncData", checkSyncData},
		{"syncdir", "SyncDir", checkSyncDir},
		{"preallocate", "Preallocate", checkPreallocate},
		{"trylock", "TryLock", checkTryLock},
	}
}

// TestFS returns nil when fsys does all that storage code relies on, and
// otherwise every problem found, joined; each is a *Problem. It leaves the file
// system as it found it.
func TestFS(fsys afero.Fs) error {
	root, err := freshDir(fsys)
	if err != nil {
		return err
	}
	var problems []error
	for _, c := range checks() {
		p := &probe{fs: fsys, dir: path.Join(root, c.name)}
		p.perform(c)
		problems = append(problems, p.problems...)
	}
	if err := fsys.RemoveAll(root); err != nil {
		problems = append(problems, &Problem{"RemoveAll", fmt.Sprintf("of the directory of these checks: %v", err)})
	}
	if _, err := fsys.Stat(root); !errors.Is(err, fs.ErrNotExist) {
		problems = append(problems, &Problem{"RemoveAll", fmt.Sprintf("of the directory of these checks: Stat then says %v, want fs.ErrNotExist", err)})
	}
	return errors.Join(problems...)
}

// freshDir makes a directory whose name nobody uses.
func freshDir(fsys afero.Fs) (string, error) {
	const most = 1000
	for n := range most {
		name := fmt.Sprintf("fscheck-%d", n)
		err := fsys.Mkdir(name, 0o777)
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", &Problem{"Mkdir", fmt.Sprintf("of %s: %v", name, err)}
		}
	}
	return "", &Problem{"Mkdir", fmt.Sprintf("says fs.ErrExist for each of fscheck-0 to fscheck-%d: remove them", most-1)}
}

// probe is what a check works with. Its methods note what is wrong and go on,
// save for those named must…, which end the check.
type probe struct {
	fs       afero.Fs
	dir      string
	opened   []afero.File
	problems []error
}

// giveUp ends a check that cannot go on; perform catches it.
type giveUp struct{}

// perform runs one check in a fresh directory and closes what it left open. A
// file system that panics has a problem, and the other checks go on.
func (p *probe) perform(c check) {
	defer func() {
		r := recover()
		if _, ours := r.(giveUp); r != nil && !ours {
			p.wrong(c.op, "panicked: %v", r)
		}
		for _, f := range p.opened {
			_ = f.Close() // often closed already
		}
	}()
	p.mustOK("Mkdir", p.fs.Mkdir(p.dir, 0o777), "of an ordinary directory")
	c.run(p)
}

func (p *probe) path(name string) string { return path.Join(p.dir, name) }

func (p *probe) wrong(op, format string, args ...any) {
	p.problems = append(p.problems, &Problem{op, fmt.Sprintf(format, args...)})
}

// ok notes an error that should not be, and reports whether there was none.
func (p *probe) ok(op string, err error, format string, args ...any) bool {
	if err != nil {
		p.wrong(op, "%s: %v", fmt.Sprintf(format, args...), err)
	}
	return err == nil
}

func (p *probe) mustOK(op string, err error, format string, args ...any) {
	if !p.ok(op, err, format, args...) {
		panic(giveUp{})
	}
}

// fails notes that an error is missing.
func (p *probe) fails(op string, err error, format string, args ...any) {
	if err == nil {
		p.wrong(op, "%s: succeeded, want an error", fmt.Sprintf(format, args...))
	}
}

// matches notes an error that is not the wanted one.
func (p *probe) matches(op string, err, want error, format string, args ...any) {
	if !errors.Is(err, want) {
		p.wrong(op, "%s: error %v, want one that matches %q", fmt.Sprintf(format, args...), err, want)
	}
}

func (p *probe) mustOpen(name string, flag int) afero.File {
	f, err := p.fs.OpenFile(p.path(name), flag, 0o666)
	p.mustOK("OpenFile", err, "%s with %s", name, flagNames(flag))
	p.opened = append(p.opened, f)
	return f
}

// mustMake makes a file with the given bytes and leaves it open.
func (p *probe) mustMake(name, data string) afero.File {
	f := p.mustOpen(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if data != "" {
		n, err := f.Write([]byte(data))
		p.mustOK("Write", err, "of %d bytes to a new file", len(data))
		if n != len(data) {
			p.wrong("Write", "of %d bytes returned %d and no error", len(data), n)
			panic(giveUp{})
		}
	}
	return f
}

// refused tries an OpenFile that should fail with want (nil: with any error).
func (p *probe) refused(name string, flag int, want error, format string, args ...any) {
	f, err := p.fs.OpenFile(p.path(name), flag, 0o666)
	if err == nil {
		p.opened = append(p.opened, f)
	}
	what := fmt.Sprintf(format, args...) + " with " + flagNames(flag)
	if want == nil {
		p.fails("OpenFile", err, "%s", what)
		return
	}
	p.matches("OpenFile", err, want, "%s", what)
}

// holds compares a file's bytes, read through a new handle, with want.
func (p *probe) holds(op, name, want, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	f, err := p.fs.Open(p.path(name))
	if err != nil {
		p.wrong(op, "%s: then %s cannot be opened: %v", what, name, err)
		return
	}
	defer f.Close()
	got, err := readAll(f)
	if err != nil {
		p.wrong(op, "%s: then %s cannot be read: %v", what, name, err)
		return
	}
	if string(got) != want {
		p.wrong(op, "%s: then %s holds %s, want %s", what, name, short(got), short([]byte(want)))
	}
	info, err := p.fs.Stat(p.path(name))
	if err != nil {
		p.wrong("Stat", "after %s, %s: %v", op, what, err)
		return
	}
	if info.Size() != int64(len(want)) {
		p.wrong("Stat", "after %s, %s: size %d, want %d", op, what, info.Size(), len(want))
	}
}

// absent notes a name that should not be there.
func (p *probe) absent(op, name, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	_, err := p.fs.Stat(p.path(name))
	if !errors.Is(err, fs.ErrNotExist) {
		p.wrong(op, "%s: then Stat of %s says %v, want fs.ErrNotExist", what, name, err)
	}
}

// at compares the handle's offset with want.
func (p *probe) at(f afero.File, want int64, op, what string) {
	got, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		p.wrong("Seek", "to the current offset, after %s %s: %v", op, what, err)
		return
	}
	if got != want {
		p.wrong(op, "%s: then the offset is %d, want %d", what, got, want)
	}
}

// readAll is io.ReadAll that gives up on a reader that returns nothing for
// ever, which is a fault that checkRead names.
func readAll(f io.Reader) ([]byte, error) {
	var all []byte
	buf := make([]byte, 4096)
	for idle := 0; idle < 100; {
		n, err := f.Read(buf)
		all = append(all, buf[:n]...)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		if n == 0 {
			idle++
		}
	}
	return all, io.ErrNoProgress
}

// short prints bytes so that a line stays a line.
func short(b []byte) string {
	const most = 40
	if len(b) <= most {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%q… (%d bytes)", b[:most], len(b))
}

func flagNames(flag int) string {
	var s string
	switch flag & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR) {
	case os.O_WRONLY:
		s = "O_WRONLY"
	case os.O_RDWR:
		s = "O_RDWR"
	default:
		s = "O_RDONLY"
	}
	for _, f := range []struct {
		bit  int
		name string
	}{{os.O_APPEND, "O_APPEND"}, {os.O_CREATE, "O_CREATE"}, {os.O_EXCL, "O_EXCL"}, {os.O_TRUNC, "O_TRUNC"}} {
		if flag&f.bit != 0 {
			s += "|" + f.name
		}
	}
	return s
}
