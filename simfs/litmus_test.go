package simfs

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A litmus program is a file of testdata/litmus:
//
//	# what it shows
//	option tear|split|unsafe|garbage|stale|noshrink|cell=N
//	create a; write a 0 x*512; append a y*3; truncate a 10; empty a; preallocate a 0 4096
//	mkdir d; rename a b; remove a; sync a; syncdata a; syncdir d; fail a mode; read a; crash; kill
//	allow posix ext4: a=x*512 b=- c=empty d=/ e=x*3,zero*4
//	forbid sequential: a=-
//	tell xfs: a=-             prints what is possible, for a person who edits the file
//
// A power loss follows the last command. allow: some image matches; forbid: none
// does. A name that is not mentioned may be anything. "all" is every preset, "all -x
// -y" every other one. Commands after a crash may fail, since the image decides.
type litmus struct {
	commands []string
	options  []string
	verdicts []verdict
}

type verdict struct {
	allow   bool
	presets []string
	want    map[string]string
	line    string
}

func parseLitmus(t *testing.T, file string) litmus {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var l litmus
	for _, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "", "#":
		case "option":
			l.options = append(l.options, strings.Fields(rest)...)
		case "allow", "forbid":
			who, what, ok := strings.Cut(rest, ":")
			if !ok {
				t.Fatalf("%s: no colon in %q", file, line)
			}
			v := verdict{allow: word == "allow", want: map[string]string{}, line: line}
			not := map[string]bool{}
			for _, p := range strings.Fields(who) {
				if p, ok := strings.CutPrefix(p, "-"); ok {
					not[p] = true
				}
			}
			for _, g := range Presets() {
				for _, p := range strings.Fields(who) {
					if (p == g.Name || p == "all") && !not[g.Name] {
						v.presets = append(v.presets, g.Name)
					}
				}
			}
			if len(v.presets) == 0 {
				t.Fatalf("%s: no preset in %q", file, line)
			}
			for _, w := range strings.Fields(what) {
				name, is, ok := strings.Cut(w, "=")
				if !ok {
					t.Fatalf("%s: no = in %q", file, line)
				}
				v.want[name] = is
			}
			l.verdicts = append(l.verdicts, v)
		default:
			for _, c := range strings.Split(line, ";") {
				l.commands = append(l.commands, strings.TrimSpace(c))
			}
		}
	}
	return l
}

// fill parses x*3,zero*4.
func fill(t *testing.T, s string) []byte {
	var out []byte
	if s == "empty" {
		return out
	}
	for _, part := range strings.Split(s, ",") {
		what, count, _ := strings.Cut(part, "*")
		n, err := strconv.Atoi(count)
		if err != nil {
			t.Fatalf("bad bytes %q", s)
		}
		c := what[0]
		if what == "zero" {
			c = 0
		}
		out = append(out, bytes.Repeat([]byte{c}, n)...)
	}
	return out
}

// run executes the program with the choices of c and returns the disk as it is
// after the last power loss.
func (l litmus) run(t *testing.T, g Guarantees, c Chooser) *FS {
	o := Options{Guarantees: g}
	for _, opt := range l.options {
		name, arg, _ := strings.Cut(opt, "=")
		switch name {
		case "tear":
			o.Guarantees.Tear = true
		case "split":
			o.Guarantees.SplitRename = true
		case "unsafe":
			o.Guarantees.Powersafe = false
		case "garbage":
			o.Garbage.Block = true
		case "stale":
			o.Garbage.Stale = true
		case "noshrink":
			o.Guarantees.DataSyncShrinks = false
		case "cell":
			o.CellSize, _ = strconv.Atoi(arg)
		default:
			t.Fatalf("no option %q", opt)
		}
	}
	f := New(o)
	handles := map[string]*File{}
	crashed := false
	handle := func(name string) *File {
		if handles[name] == nil {
			h, err := f.OpenFile(name, os.O_RDWR, 0)
			if err != nil {
				if !crashed {
					t.Fatal(err)
				}
				return nil
			}
			handles[name] = h.(*File)
		}
		return handles[name]
	}
	for _, command := range l.commands {
		w := strings.Fields(command)
		num := func(i int) int64 {
			n, err := strconv.ParseInt(w[i], 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", command, err)
			}
			return n
		}
		var err error
		var h *File
		switch w[0] {
		case "write", "append", "truncate", "preallocate", "sync", "syncdata", "read":
			if h = handle(w[1]); h == nil {
				continue
			}
		}
		switch w[0] {
		case "create":
			var made *File
			if m, cerr := f.OpenFile(w[1], os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644); cerr == nil {
				made = m.(*File)
			} else {
				err = cerr
			}
			handles[w[1]] = made
		case "write":
			_, err = h.WriteAt(fill(t, w[3]), num(2))
		case "append":
			var at int64
			if at, err = h.Seek(0, io.SeekEnd); err == nil {
				_, err = h.WriteAt(fill(t, w[2]), at)
			}
		case "truncate":
			err = h.Truncate(num(2))
		case "empty":
			_, err = f.OpenFile(w[1], os.O_RDWR|os.O_TRUNC, 0)
		case "preallocate":
			err = h.Preallocate(num(2), num(3))
		case "mkdir":
			err = f.Mkdir(w[1], 0o755)
		case "rename":
			err = f.Rename(w[1], w[2])
			handles[w[2]] = handles[w[1]]
			delete(handles, w[1])
		case "remove":
			err = f.Remove(w[1])
			delete(handles, w[1])
		case "sync":
			err = h.Sync()
		case "syncdata":
			err = h.SyncData()
		case "syncdir":
			err = f.SyncDir(w[1])
		case "fail":
			f.FailSync(w[1], false, w[2]) // what the caller is told is for TestFailSync
		case "read":
			_, err = io.ReadAll(h)
		case "crash":
			f = f.Crash(PowerLoss).Mount(c)
			handles, crashed = map[string]*File{}, true
		case "kill":
			f = f.Crash(ProcessKill).Mount(c)
			handles, crashed = map[string]*File{}, true
		default:
			t.Fatalf("no command %q", command)
		}
		if err != nil && !crashed {
			t.Fatalf("%s: %v", command, err)
		}
	}
	return f.Crash(PowerLoss).Mount(c)
}

// state prints what the names of a verdict are on a disk, in its own words.
func (l litmus) state(t *testing.T, f *FS) map[string]string {
	out := map[string]string{}
	for _, v := range l.verdicts {
		for name := range v.want {
			out[name] = ""
		}
	}
	var visit func(dir string)
	visit = func(dir string) {
		h, err := f.Open("/" + dir)
		if err != nil {
			t.Fatal(err)
		}
		names, err := h.Readdirnames(-1)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			p := filepath.ToSlash(filepath.Join(dir, name))
			st, err := f.Stat(p)
			if err != nil {
				t.Fatal(err)
			}
			if st.IsDir() {
				out[p] = "/"
				visit(p)
				continue
			}
			h, err := f.Open(p)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(h)
			if err != nil {
				t.Fatal(err)
			}
			out[p] = runLengths(b)
		}
	}
	visit("")
	for name, is := range out {
		if is == "" {
			out[name] = "-"
		}
	}
	return out
}

func runLengths(b []byte) string {
	if len(b) == 0 {
		return "empty"
	}
	var parts []string
	noise := 0
	flush := func() {
		if noise > 0 {
			parts = append(parts, fmt.Sprintf("?*%d", noise))
			noise = 0
		}
	}
	for i := 0; i < len(b); {
		k := i
		for k < len(b) && b[k] == b[i] {
			k++
		}
		switch {
		case b[i] == 0 && (k-i > 2 || noise == 0):
			flush()
			parts = append(parts, fmt.Sprintf("zero*%d", k-i))
		case b[i] >= 'a' && b[i] <= 'z' && (k-i > 2 || noise == 0):
			flush()
			parts = append(parts, fmt.Sprintf("%c*%d", b[i], k-i))
		default:
			noise += k - i
		}
		i = k
	}
	flush()
	return strings.Join(parts, ",")
}

func TestLitmus(t *testing.T) {
	files, err := filepath.Glob("testdata/litmus/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no programs", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			l := parseLitmus(t, file)
			if len(l.verdicts) == 0 {
				t.Fatal("no verdict")
			}
			for _, g := range Presets() {
				var states []map[string]string
				_, ok := outcomes(20000, func(c Chooser) string {
					s := l.state(t, l.run(t, g, c))
					states = append(states, s)
					return ""
				})
				if !ok {
					t.Fatalf("%s: too many images", g.Name)
				}
				for _, v := range l.verdicts {
					here := false
					for _, p := range v.presets {
						here = here || p == g.Name
					}
					if !here {
						continue
					}
					found := false
					for _, s := range states {
						match := true
						for name, is := range v.want {
							match = match && s[name] == is
						}
						found = found || match
					}
					if found != v.allow {
						seen := map[string]bool{}
						for _, s := range states {
							seen[fmt.Sprintln(s)] = true
						}
						t.Errorf("%s: %s\npossible:\n%s", g.Name, v.line, keys(seen))
					}
				}
			}
		})
	}
}
