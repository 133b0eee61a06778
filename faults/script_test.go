package faults_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/simclock"
	"github.com/untorn-db/untorn/simfs"
)

var rewrite = flag.Bool("rewrite", false, "write what came out into testdata/*.txt")

// TestScripts runs each block of testdata/*.txt twice, with its faults and
// without, and shows both results where they differ. A block is
//
//	on BASE
//	fault TEXT         any number of them
//	COMMAND            any number of them
//	----
//	what comes out
//
// A fault that fired but made no difference fails the test, whatever the file
// says; so does one that is in neither list.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			for i, block := range strings.Split(strings.TrimRight(string(text), "\n"), "\n\n") {
				if strings.Count("\n"+block, "\n#") == strings.Count("\n"+block, "\n") { // comments only
					out.WriteString(block + "\n\n")
					continue
				}
				script, want, ok := strings.Cut(block, "\n----")
				if !ok && !*rewrite {
					t.Fatalf("block %d has no ----", i+1)
				}
				want = strings.TrimPrefix(want, "\n")
				got := runBlock(t, script)
				if again := runBlock(t, script); again != got {
					t.Errorf("block %d is not the same twice:\n%s\nand then\n%s", i+1, got, again)
				}
				if got != want && !*rewrite {
					t.Errorf("block %d:\n%s\n---- got\n%s\n---- want\n%s", i+1, script, got, want)
				}
				out.WriteString(script + "\n----\n" + got + "\n\n")
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(strings.TrimRight(out.String(), "\n")+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func runBlock(t *testing.T, script string) string {
	t.Helper()
	var list []faults.Fault
	var commands []string
	newBase := osBase
	for _, line := range strings.Split(script, "\n") {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "#":
		case "on":
			newBase = bases()[rest]
			if newBase == nil {
				t.Fatalf("no base %q", rest)
			}
		case "fault":
			f, err := faults.Parse(rest)
			if err != nil {
				t.Fatal(err)
			}
			if f.String() != rest {
				t.Errorf("%q prints as %q", rest, f)
			}
			list = append(list, f)
		default:
			commands = append(commands, line)
		}
	}
	base, root := newBase(t)
	green, _ := runCommands(t, base, root, nil, commands)
	base, root = newBase(t)
	red, disk := runCommands(t, base, root, list, commands)

	var out []string
	differs := false
	for i, command := range commands {
		if word, _, _ := strings.Cut(command, " "); word == "step" || command == "" {
			continue
		}
		line := command + " = " + red[i]
		if red[i] != green[i] {
			line += "   instead of " + green[i]
			differs = true
		}
		out = append(out, line)
	}
	for _, f := range disk.Fired() {
		out = append(out, "fired: "+f.String())
	}
	for _, n := range disk.NotFired() {
		out = append(out, n.String())
	}
	out = append(out, "budget: "+disk.Budget().String())
	text := strings.Join(out, "\n")
	if fired := len(disk.Fired()) > 0; fired != differs {
		t.Errorf("fired %v, but a difference made: %v\n%s\n----\n%s", fired, differs, script, text)
	}
	if len(disk.Fired())+len(disk.NotFired()) != len(list) {
		t.Errorf("%d faults, but %v fired and %v did not", len(list), disk.Fired(), disk.NotFired())
	}
	return text
}

// bases are the file systems that a script may run on. Each comes with its root,
// which its errors mention.
func bases() map[string]func(*testing.T) (base afero.Fs, root string) {
	all := map[string]func(*testing.T) (afero.Fs, string){"os": osBase, "bare": bareBase}
	for _, g := range simfs.Presets() {
		all["simfs "+g.Name] = func(*testing.T) (afero.Fs, string) {
			return simfs.New(simfs.Options{Guarantees: g}), "no root"
		}
	}
	return all
}

// bareBase is a real directory with no optional method.
func bareBase(t *testing.T) (base afero.Fs, root string) {
	root = t.TempDir()
	return struct{ afero.Fs }{afero.NewBasePathFs(afero.NewOsFs(), root)}, root
}

// osBase is a real directory with every optional method, and a FailSync that only
// says what it was asked.
func osBase(t *testing.T) (base afero.Fs, root string) {
	root = t.TempDir()
	return &fullFS{Fs: afero.NewBasePathFs(afero.NewOsFs(), root), locks: map[string]bool{}}, root
}

type fullFS struct {
	afero.Fs
	locks map[string]bool
	asked []string
}

func (f *fullFS) wrap(file afero.File, err error) (afero.File, error) {
	if err != nil {
		return nil, err
	}
	return fullFile{file}, nil
}
func (f *fullFS) Create(name string) (afero.File, error) { return f.wrap(f.Fs.Create(name)) }
func (f *fullFS) Open(name string) (afero.File, error)   { return f.wrap(f.Fs.Open(name)) }
func (f *fullFS) OpenFile(name string, flag int, perm os.FileMode) (afero.File, error) {
	return f.wrap(f.Fs.OpenFile(name, flag, perm))
}
func (f *fullFS) SyncDir(name string) error { return nil }
func (f *fullFS) TryLock(name string) (func() error, bool, error) {
	if f.locks[name] {
		return nil, false, nil
	}
	f.locks[name] = true
	return func() error { delete(f.locks, name); return nil }, true, nil
}
func (f *fullFS) FailSync(name string, dataOnly bool, mode string) error {
	if mode == "btrfs" {
		return errors.ErrUnsupported
	}
	f.asked = append(f.asked, fmt.Sprint(name, " dataOnly=", dataOnly, " ", mode))
	if mode == "silent" || mode == "ext4-data" {
		return nil
	}
	return &fs.PathError{Op: "sync", Path: name, Err: syscall.EIO}
}

type fullFile struct{ afero.File }

func (f fullFile) SyncData() error { return f.File.Sync() }
func (f fullFile) Preallocate(offset, length int64) error {
	info, err := f.Stat()
	if err == nil && info.Size() < offset+length {
		err = f.Truncate(offset + length)
	}
	return err
}

// runCommands returns the result of each command as text.
func runCommands(t *testing.T, base afero.Fs, root string, list []faults.Fault, commands []string) (results []string, disk *faults.FS) {
	t.Helper()
	clock := simclock.New(simclock.Epoch())
	disk = faults.New(base, list, faults.Options{Slow: clock.Pass})
	files := map[string]afero.File{}
	unlocks := map[string]func() error{}
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for _, command := range commands {
		w := strings.Fields(command)
		num := func(i int) int64 {
			n, err := strconv.ParseInt(w[i], 10, 64)
			if err != nil {
				t.Fatalf("%q: %v", command, err)
			}
			return n
		}
		open := func(f afero.File, err error) string {
			if err == nil {
				files[w[1]] = f
			}
			return result(err)
		}
		var r string
		switch word := append(w, "")[0]; word {
		case "":
		case "step":
			disk.SetStep(int(num(1)))
		case "create":
			r = open(disk.Create(w[2]))
		case "append":
			r = open(disk.OpenFile(w[2], os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644))
		case "update":
			r = open(disk.OpenFile(w[2], os.O_RDWR, 0))
		case "open":
			r = open(disk.Open(w[2]))
		case "read":
			p := make([]byte, num(2))
			n, err := files[w[1]].Read(p)
			r = showBytes(p[:n]) + also(err)
		case "readat":
			p := make([]byte, num(3))
			n, err := files[w[1]].ReadAt(p, num(2))
			r = showBytes(p[:n]) + also(err)
		case "write":
			n, err := files[w[1]].Write(data(t, w[2:]))
			r = strconv.Itoa(n) + also(err)
		case "writestring":
			n, err := files[w[1]].WriteString(string(data(t, w[2:])))
			r = strconv.Itoa(n) + also(err)
		case "writeat":
			n, err := files[w[1]].WriteAt(data(t, w[3:]), num(2))
			r = strconv.Itoa(n) + also(err)
		case "seek":
			n, err := files[w[1]].Seek(num(2), io.SeekStart)
			r = strconv.FormatInt(n, 10) + also(err)
		case "offset":
			n, err := files[w[1]].Seek(0, io.SeekCurrent)
			r = strconv.FormatInt(n, 10) + also(err)
		case "sync":
			r = result(files[w[1]].Sync())
		case "syncdata":
			r = result(files[w[1]].(interface{ SyncData() error }).SyncData())
		case "preallocate":
			r = result(files[w[1]].(interface{ Preallocate(o, l int64) error }).Preallocate(num(2), num(3)))
		case "truncate":
			r = result(files[w[1]].Truncate(num(2)))
		case "fstat":
			info, err := files[w[1]].Stat()
			if r = result(err); err == nil {
				r = fmt.Sprint(info.Size(), " bytes")
			}
		case "readdir":
			infos, err := files[w[1]].Readdir(-1)
			names := []string{}
			for _, info := range infos {
				names = append(names, info.Name())
			}
			slices.Sort(names)
			r = fmt.Sprint(names) + also(err)
		case "readdirnames":
			names, err := files[w[1]].Readdirnames(-1)
			slices.Sort(names)
			r = fmt.Sprint(names) + also(err)
		case "close":
			r = result(files[w[1]].Close())
		case "syncdir":
			r = result(disk.SyncDir(w[1]))
		case "mkdir":
			r = result(disk.Mkdir(w[1], 0o755))
		case "mkdirall":
			r = result(disk.MkdirAll(w[1], 0o755))
		case "rename":
			r = result(disk.Rename(w[1], w[2]))
		case "remove":
			r = result(disk.Remove(w[1]))
		case "removeall":
			r = result(disk.RemoveAll(w[1]))
		case "stat":
			_, err := disk.Stat(w[1])
			r = result(err)
		case "lstat":
			_, _, err := disk.LstatIfPossible(w[1])
			r = result(err)
		case "lock":
			unlock, ok, err := disk.TryLock(w[1])
			if r = fmt.Sprint(ok) + also(err); ok {
				unlocks[w[1]] = unlock
			}
		case "unlock":
			r = result(unlocks[w[1]]())
		case "disk": // below the faults
			p, err := afero.ReadFile(base, w[1])
			r = showBytes(p) + also(err)
		case "crash": // the power goes: what may be in the file, at worst and at best
			image := base.(*simfs.FS).Crash(simfs.PowerLoss)
			for _, c := range []simfs.Chooser{simfs.Oldest(), simfs.Latest()} {
				p, err := afero.ReadFile(image.Mount(c), w[1])
				r += showBytes(p) + also(err) + " … "
			}
			r = strings.TrimSuffix(r, " … ")
		case "asked":
			r = fmt.Sprintf("%q", base.(*fullFS).asked)
		case "elapsed":
			r = clock.Elapsed().Round(time.Nanosecond).String()
		case "counts":
			for _, c := range disk.Counts() {
				r += fmt.Sprintf("\n  step=%d %s %s: %d", c.Step, c.Op, c.Class, c.N)
			}
		default:
			t.Fatalf("no command %q", word)
		}
		results = append(results, strings.ReplaceAll(r, root, ""))
	}
	return results, disk
}

func result(err error) string {
	if err == nil {
		return "ok"
	}
	if err == errors.ErrUnsupported {
		return "unsupported"
	}
	text := err.Error()
	for e := faults.EIO; e <= faults.ENOTSUP; e++ { // systems word them differently
		text = strings.ReplaceAll(text, e.Err().Error(), e.String())
	}
	return text
}

func also(err error) string {
	if err == nil {
		return ""
	}
	return ", " + result(err)
}

// data reads words such as 100*a (a hundred times the letter) or abc.
func data(t *testing.T, words []string) (p []byte) {
	for _, word := range words {
		n, c, ok := strings.Cut(word, "*")
		if !ok {
			p = append(p, word...)
			continue
		}
		times, err := strconv.Atoi(n)
		if err != nil {
			t.Fatalf("%q: %v", word, err)
		}
		p = append(p, bytes.Repeat([]byte(c), times)...)
	}
	return p
}

// showBytes writes what data reads; a zero byte is a 0.
func showBytes(p []byte) string {
	var words []string
	plain := ""
	for i := 0; i < len(p); {
		n := i
		for n < len(p) && p[n] == p[i] {
			n++
		}
		c := string(rune(p[i]))
		switch {
		case p[i] == 0:
			c = "0"
		case p[i] < ' ' || p[i] > '~':
			c = fmt.Sprintf("\\x%02x", p[i])
		}
		if n-i > 3 {
			if plain != "" {
				words, plain = append(words, plain), ""
			}
			words = append(words, fmt.Sprint(n-i, "*", c))
		} else {
			plain += strings.Repeat(c, n-i)
		}
		i = n
	}
	if plain != "" {
		words = append(words, plain)
	}
	if words == nil {
		return "nothing"
	}
	return strings.Join(words, " ")
}
