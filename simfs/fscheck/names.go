package fscheck

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// The checks of names: renames, removals, directories, locks.

func (p *probe) rename(from, to string) error { return p.fs.Rename(p.path(from), p.path(to)) }
func (p *probe) remove(name string) error     { return p.fs.Remove(p.path(name)) }

func checkRename(p *probe) {
	source := p.mustMake("source", "new bytes")
	target := p.mustMake("target", "old")
	p.ok("Rename", p.rename("source", "target"), "onto an existing file")
	p.absent("Rename", "source", "onto an existing file")
	p.holds("Rename", "target", "new bytes", "onto an existing file (it replaces it)")

	buf := make([]byte, 3)
	if n, err := target.ReadAt(buf, 0); err != nil && err != io.EOF || string(buf[:n]) != "old" {
		p.wrong("Rename", "onto a file that is open: its handle reads %q and error %v, want its own bytes, %q", buf[:n], err, "old")
	}
	if info, err := target.Stat(); err != nil {
		p.wrong("Stat", "of a handle whose file was replaced by a rename: %v", err)
	} else if info.Size() != 3 {
		p.wrong("Stat", "of a handle whose file was replaced by a rename: size %d, want 3", info.Size())
	}
	_, err := target.WriteAt([]byte("lost"), 0)
	p.ok("WriteAt", err, "to a file that a rename replaced")
	p.holds("WriteAt", "target", "new bytes", "through the handle of the file that a rename replaced")
	_, err = source.Write([]byte("!"))
	p.ok("Write", err, "to a file that was renamed")
	p.holds("Write", "target", "new bytes!", "through the handle of the file that was renamed (it follows its file)")

	p.ok("Rename", p.rename("target", "fresh"), "to a new name")
	p.absent("Rename", "target", "to a new name")
	p.holds("Rename", "fresh", "new bytes!", "to a new name")
	p.ok("Rename", p.rename("fresh", "fresh"), "onto itself")
	p.holds("Rename", "fresh", "new bytes!", "onto itself")
	p.matches("Rename", p.rename("missing", "fresh"), fs.ErrNotExist, "of a missing file")
	p.holds("Rename", "fresh", "new bytes!", "of a missing file onto it")
	p.matches("Rename", p.rename("fresh", "nodir/fresh"), fs.ErrNotExist, "into a missing directory")
	p.holds("Rename", "fresh", "new bytes!", "into a missing directory")
	p.mustMake("source", "again")
	p.holds("OpenFile", "source", "again", "of a new file under a name that a rename freed")
}

func checkRenameDirs(p *probe) {
	for _, name := range []string{"dir", "dir/sub", "full", "other"} {
		p.mustOK("Mkdir", p.fs.Mkdir(p.path(name), 0o777), "of %s", name)
	}
	p.mustMake("file", "file")
	inside := p.mustMake("dir/sub/inside", "inside")
	p.mustMake("full/file", "full")

	p.ok("Rename", p.rename("file", "other/file"), "into another directory")
	p.holds("Rename", "other/file", "file", "into another directory")
	p.absent("Rename", "file", "into another directory")
	p.ok("Rename", p.rename("dir", "other/moved"), "of a directory")
	p.absent("Rename", "dir", "of a directory")
	p.holds("Rename", "other/moved/sub/inside", "inside", "of a directory (what is in it moves along)")
	_, err := inside.Write([]byte("!"))
	p.ok("Write", err, "to a file whose directory was renamed")
	p.holds("Write", "other/moved/sub/inside", "inside!", "to a file whose directory was renamed")

	p.fails("Rename", p.rename("other/file", "full"), "of a file onto a directory")
	p.holds("Rename", "other/file", "file", "of a file onto a directory")
	p.fails("Rename", p.rename("full", "other/file"), "of a directory onto a file")
	p.holds("Rename", "full/file", "full", "of a directory onto a file")
	p.holds("Rename", "other/file", "file", "of a directory onto a file")
	p.fails("Rename", p.rename("other/moved", "full"), "of a directory onto one that is not empty")
	p.holds("Rename", "full/file", "full", "of a directory onto one that is not empty")
	p.fails("Rename", p.rename("other", "other/moved/loop"), "of a directory into itself")
	p.holds("Rename", "other/file", "file", "of a directory into itself")
}

// checkRenameAtomic looks, while one file after another is renamed onto a name,
// whether that name is ever missing.
func checkRenameAtomic(p *probe) {
	const rounds = 200
	p.mustMake("target", "x")
	var missing bool
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if _, err := p.fs.Stat(p.path("target")); errors.Is(err, fs.ErrNotExist) {
				missing = true
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	var err error
	for i := 0; i < rounds && err == nil; i++ {
		f, e := p.fs.Create(p.path("source"))
		if err = e; err != nil {
			break
		}
		if err = f.Close(); err == nil {
			err = p.rename("source", "target")
		}
	}
	close(stop)
	wg.Wait()
	p.ok("Rename", err, "onto an existing file, time and again")
	if missing {
		p.wrong("Rename", "onto an existing file: the name was missing for a moment, want it replaced in one step")
	}
}

func checkRemove(p *probe) {
	f := p.mustMake("file", "bytes")
	p.ok("Remove", p.remove("file"), "of an open file")
	p.absent("Remove", "file", "of an open file")
	p.refused("file", os.O_RDWR, fs.ErrNotExist, "a removed file")
	buf := make([]byte, 5)
	if n, err := f.ReadAt(buf, 0); err != nil && err != io.EOF || string(buf[:n]) != "bytes" {
		p.wrong("Remove", "of an open file: its handle reads %q and error %v, want %q", buf[:n], err, "bytes")
	}
	_, err := f.Write([]byte(", more"))
	p.ok("Write", err, "to a removed file that is open")
	p.absent("Write", "file", "to a removed file that is open")
	p.mustMake("file", "another")
	p.holds("OpenFile", "file", "another", "of a new file under the name of a removed one")
	if info, err := f.Stat(); err != nil {
		p.wrong("Stat", "of a removed file that is open: %v", err)
	} else if info.Size() != 11 {
		p.wrong("Stat", "of a removed file that is open, size %d, want 11", info.Size())
	}

	p.matches("Remove", p.remove("missing"), fs.ErrNotExist, "of a missing file")
	p.matches("Remove", p.remove("nodir/missing"), fs.ErrNotExist, "of a file in a missing directory")
	p.mustOK("Mkdir", p.fs.Mkdir(p.path("dir"), 0o777), "of an ordinary directory")
	p.mustMake("dir/file", "kept")
	p.fails("Remove", p.remove("dir"), "of a directory that is not empty")
	p.holds("Remove", "dir/file", "kept", "of a directory that is not empty")
	p.ok("Remove", p.remove("dir/file"), "of a file in a directory")
	p.ok("Remove", p.remove("dir"), "of an empty directory")
	p.absent("Remove", "dir", "of an empty directory")
}

func checkRemoveAll(p *probe) {
	p.ok("RemoveAll", p.fs.RemoveAll(p.path("missing")), "of a missing name")
	p.mustOK("MkdirAll", p.fs.MkdirAll(p.path("tree/a/b"), 0o777), "of three directories")
	p.mustMake("tree/file", "x")
	p.mustMake("tree/a/file", "x")
	p.mustMake("tree/a/b/file", "x")
	p.mustMake("treetop", "kept")
	p.ok("RemoveAll", p.fs.RemoveAll(p.path("tree")), "of a tree")
	p.absent("RemoveAll", "tree", "of a tree")
	p.absent("RemoveAll", "tree/a/b/file", "of a tree")
	p.holds("RemoveAll", "treetop", "kept", "of a tree whose name begins its own")
	p.ok("RemoveAll", p.fs.RemoveAll(p.path("treetop")), "of a file")
	p.absent("RemoveAll", "treetop", "of a file")
}

func checkMkdir(p *probe) {
	p.matches("Mkdir", p.fs.Mkdir(p.path("no/dir"), 0o777), fs.ErrNotExist, "in a missing directory")
	p.absent("Mkdir", "no", "in a missing directory")
	p.ok("Mkdir", p.fs.Mkdir(p.path("dir"), 0o777), "of a new directory")
	if info, err := p.fs.Stat(p.path("dir")); err != nil {
		p.wrong("Stat", "of a new directory: %v", err)
	} else if !info.IsDir() {
		p.wrong("Stat", "of a new directory: IsDir is false")
	}
	p.matches("Mkdir", p.fs.Mkdir(p.path("dir"), 0o777), fs.ErrExist, "of a directory that exists")
	p.mustMake("file", "x")
	p.matches("Mkdir", p.fs.Mkdir(p.path("file"), 0o777), fs.ErrExist, "of a name that is a file")
	p.fails("Mkdir", p.fs.Mkdir(p.path("file/dir"), 0o777), "below a file")
	p.ok("MkdirAll", p.fs.MkdirAll(p.path("a/b/c"), 0o777), "of three directories")
	p.ok("MkdirAll", p.fs.MkdirAll(p.path("a/b/c"), 0o777), "of directories that exist")
	if info, err := p.fs.Stat(p.path("a/b/c")); err != nil {
		p.wrong("MkdirAll", "of three directories: then Stat says %v", err)
	} else if !info.IsDir() {
		p.wrong("MkdirAll", "of three directories: then IsDir is false")
	}
	p.fails("MkdirAll", p.fs.MkdirAll(p.path("file/dir"), 0o777), "below a file")
	p.holds("MkdirAll", "file", "x", "below a file")
}

// list returns the names in a directory, sorted.
func (p *probe) list(dir string, piece int) ([]string, error) {
	f, err := p.fs.Open(p.path(dir))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if piece <= 0 {
		names, err := f.Readdirnames(piece)
		slices.Sort(names)
		return names, err
	}
	var all []string
	for range 1000 {
		names, err := f.Readdirnames(piece)
		if len(names) > piece {
			return all, fmt.Errorf("%d names, asked for %d", len(names), piece)
		}
		all = append(all, names...)
		if err == io.EOF && len(names) == 0 {
			slices.Sort(all)
			return all, nil
		}
		if err != nil {
			return all, err
		}
		if len(names) == 0 {
			return all, errors.New("no names and no error, want io.EOF")
		}
	}
	return all, errors.New("it never ends")
}

func checkReaddirnames(p *probe) {
	expect := func(what string, want []string) {
		for _, piece := range []int{-1, 0, 1, 3} {
			got, err := p.list("dir", piece)
			if err != nil || !slices.Equal(got, want) {
				p.wrong("Readdirnames", "(%d) %s: got %q and error %v, want %q", piece, what, got, err, want)
			}
		}
	}
	p.mustOK("Mkdir", p.fs.Mkdir(p.path("dir"), 0o777), "of an ordinary directory")
	expect("of an empty directory", nil)
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("file-%d", i)
		p.mustMake("dir/"+name, strings.Repeat("x", i))
		want = append(want, name)
	}
	p.mustOK("Mkdir", p.fs.Mkdir(p.path("dir/sub"), 0o777), "of a directory in a directory")
	p.mustMake("dir/sub/below", "x")
	want = append(want, "sub")
	expect("of seven files and a directory", want)
	p.ok("Remove", p.remove("dir/file-3"), "of a file")
	p.ok("Rename", p.rename("dir/file-5", "dir/g"), "of a file")
	p.ok("Rename", p.rename("dir/file-6", "out"), "of a file into another directory")
	want = []string{"file-0", "file-1", "file-2", "file-4", "g", "sub"}
	expect("after a removal and two renames", want)

	f, err := p.fs.Open(p.path("dir"))
	p.mustOK("Open", err, "of a directory")
	p.opened = append(p.opened, f)
	infos, err := f.Readdir(-1)
	p.ok("Readdir", err, "of a directory")
	var got []string
	for _, info := range infos {
		got = append(got, fmt.Sprintf("%s %v", info.Name(), info.IsDir()))
		if !info.IsDir() {
			st, err := p.fs.Stat(p.path("dir/" + info.Name()))
			if err == nil && st.Size() != info.Size() {
				p.wrong("Readdir", "says that %s has size %d, Stat says %d", info.Name(), info.Size(), st.Size())
			}
		}
	}
	slices.Sort(got)
	if want := []string{"file-0 false", "file-1 false", "file-2 false", "file-4 false", "g false", "sub true"}; !slices.Equal(got, want) {
		p.wrong("Readdir", "of five files and a directory (name, IsDir): got %q, want %q", got, want)
	}
	if n, err := f.Read(make([]byte, 8)); err == nil || err == io.EOF || n > 0 {
		p.wrong("Read", "of a directory returned %d and error %v, want a refusal", n, err)
	}
	file, err := p.fs.Open(p.path("dir/g"))
	p.mustOK("Open", err, "of a file")
	p.opened = append(p.opened, file)
	names, err := file.Readdirnames(-1)
	p.fails("Readdirnames", err, "of a file (got %q)", names)
}

// checkNames makes a file under each of many odd names.
func checkNames(p *probe) {
	names := []string{
		"a b", " leading", "...", "..a", "a..b", ".hidden", "-dash", "#hash", "100%", "%s", "it's", "(a)[b]{c}", "a,b;c", "@$&!~^=+`",
		"über", "日本語", "🦉", strings.Repeat("long", 50),
	}
	if runtime.GOOS != "windows" { // not names there
		names = append(names, `back\slash`, "a:b", "a*b?", "new\nline", `"quoted"`, "a<b>c|d", "trailing ", "\x01")
	}
	for _, name := range names {
		if !p.makes(name, name) {
			continue
		}
		p.holds("OpenFile", name, name, "of a file named %q", name)
	}
	got, err := p.list("", -1)
	want := slices.Clone(names)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		p.wrong("Readdirnames", "of odd names: got %q and error %v, want %q", got, err, want)
	}
	for _, name := range names {
		p.ok("Rename", p.rename(name, "plain"), "of a file named %q", name)
		p.holds("Rename", "plain", name, "of a file named %q", name)
		p.ok("Remove", p.remove("plain"), "of a file")
	}
	p.mustMake("spelled", "one file")
	f, err := p.fs.Open(p.dir + "//./spelled")
	if p.ok("Open", err, "of a name spelled with // and /./") {
		p.opened = append(p.opened, f)
	}
}

// makes makes a file with the given bytes and closes it.
func (p *probe) makes(name, data string) bool {
	f, err := p.fs.OpenFile(p.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if !p.ok("OpenFile", err, "of a new file named %q", name) {
		return false
	}
	_, err = f.Write([]byte(data))
	return p.ok("Write", err, "to a file named %q", name) && p.ok("Close", f.Close(), "of a file named %q", name)
}

func checkStat(p *probe) {
	f := p.mustMake("file", "12345")
	see := func(what string, size int64) {
		byName, err := p.fs.Stat(p.path("file"))
		if !p.ok("Stat", err, "%s", what) {
			return
		}
		byHandle, err := f.Stat()
		if !p.ok("Stat", err, "of a handle, %s", what) {
			return
		}
		for _, info := range []fs.FileInfo{byName, byHandle} {
			if info.Name() != "file" || info.Size() != size || info.IsDir() || !info.Mode().IsRegular() {
				p.wrong("Stat", "%s: name %q, size %d, IsDir %v, regular %v; want name %q, size %d, a regular file",
					what, info.Name(), info.Size(), info.IsDir(), info.Mode().IsRegular(), "file", size)
			}
		}
	}
	see("of a file of 5 bytes", 5)
	_, err := f.WriteAt([]byte("x"), 8999)
	p.ok("WriteAt", err, "beyond the end")
	see("of a file grown to 9000 bytes, not synced", 9000)
	p.ok("Truncate", f.Truncate(7), "to 7")
	see("of a file cut to 7 bytes", 7)

	_, err = p.fs.Stat(p.path("missing"))
	p.matches("Stat", err, fs.ErrNotExist, "of a missing file")
	_, err = p.fs.Stat(p.path("missing/file"))
	p.matches("Stat", err, fs.ErrNotExist, "of a file in a missing directory")
	_, err = p.fs.Stat(p.path("file/below"))
	p.fails("Stat", err, "of a name below a file")
	dir, err := p.fs.Open(p.dir)
	p.mustOK("Open", err, "of a directory")
	p.opened = append(p.opened, dir)
	if info, err := dir.Stat(); err != nil {
		p.wrong("Stat", "of the handle of a directory: %v", err)
	} else if !info.IsDir() {
		p.wrong("Stat", "of the handle of a directory: IsDir is false")
	}
}

// dirSyncer and locker are the optional methods of a file system.
type (
	dirSyncer interface{ SyncDir(name string) error }
	locker    interface {
		TryLock(name string) (unlock func() error, ok bool, err error)
	}
)

func checkSyncDir(p *probe) {
	p.mustMake("file", "x")
	if d, ok := p.fs.(dirSyncer); ok {
		err := d.SyncDir(p.dir)
		if !errors.Is(err, errors.ErrUnsupported) {
			p.ok("SyncDir", err, "with a new name")
			p.ok("SyncDir", d.SyncDir(p.dir), "with nothing new")
			p.ok("Remove", p.remove("file"), "of a file")
			p.ok("SyncDir", d.SyncDir(p.dir), "after a removal")
			p.matches("SyncDir", d.SyncDir(p.path("missing")), fs.ErrNotExist, "of a missing directory")
			return
		}
	}
	// Without the method a plain handle has to do it.
	f, err := p.fs.Open(p.dir)
	p.mustOK("Open", err, "of a directory")
	p.opened = append(p.opened, f)
	if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		p.wrong("Sync", "of the handle of a directory: %v", err)
	}
}

func checkTryLock(p *probe) {
	l, ok := p.fs.(locker)
	if !ok {
		return
	}
	first, ok, err := l.TryLock(p.path("lock"))
	if errors.Is(err, errors.ErrUnsupported) {
		return
	}
	p.mustOK("TryLock", err, "of a new name")
	if !ok || first == nil {
		p.wrong("TryLock", "of a new name: not given, and nobody holds it")
		return
	}
	held := func(what string) {
		unlock, ok, err := l.TryLock(p.path("lock"))
		p.ok("TryLock", err, "%s (ok must be false, without an error)", what)
		if ok {
			p.wrong("TryLock", "%s: given to two at once", what)
			if unlock != nil {
				_ = unlock()
			}
		}
	}
	held("of a lock that is held")
	held("of a lock that is held, once more")
	other, ok, err := l.TryLock(p.path("other"))
	p.ok("TryLock", err, "of another name")
	if ok {
		p.ok("TryLock", other(), "unlock of another name")
	} else {
		p.wrong("TryLock", "of another name: not given, and nobody holds it")
	}
	held("of a lock that is held, after another was given back")
	p.ok("TryLock", first(), "unlock")

	second, ok, err := l.TryLock(p.path("lock"))
	p.ok("TryLock", err, "of a lock that was given back")
	if !ok {
		p.wrong("TryLock", "of a lock that was given back: not given, and nobody holds it")
		return
	}
	_ = first() // an error or not, it must not take the lock from its new holder
	held("after the former holder unlocked twice")
	p.ok("TryLock", second(), "unlock")

	unlock, ok, err := l.TryLock(p.path("nodir/lock"))
	if ok {
		_ = unlock()
	}
	p.matches("TryLock", err, fs.ErrNotExist, "in a missing directory")
}
