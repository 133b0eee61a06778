package real

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/litmus"
)

// system is how a file system is made and mounted. Nothing is committed by a
// timer: what is written back is drawn.
type system struct {
	kernel  string // its name in /proc/filesystems
	size    int64
	mkfs    []string
	options string
}

func systems() map[string]system {
	ext4 := []string{"mkfs.ext4", "-q", "-F", "-O", "^fast_commit"}
	return map[string]system{
		"ext4":           {"ext4", 32 << 20, ext4, "data=ordered,commit=300"},
		"ext4-writeback": {"ext4", 32 << 20, ext4, "data=writeback,commit=300"},
		"xfs":            {"xfs", 320 << 20, []string{"mkfs.xfs", "-q", "-f"}, "nouuid"},
		"btrfs":          {"btrfs", 128 << 20, []string{"mkfs.btrfs", "-q", "-f"}, "commit=300"},
	}
}

// machine is a directory with a fresh file system to start from.
type machine struct {
	sys      system
	dir      string
	template string // backing file
	mounted  bool
	images   int
}

// newMachine looks for what a replay needs, and makes a file system.
func newMachine(o Options) (*machine, error) {
	sys := systems()[o.System]
	if os.Getuid() != 0 {
		return nil, missing("%s: only root can mount", o.System)
	}
	if known, err := os.ReadFile("/proc/filesystems"); err != nil || !strings.Contains(string(known), "\t"+sys.kernel+"\n") {
		return nil, missing("%s: the kernel does not know it", o.System)
	}
	for _, tool := range []string{sys.mkfs[0], "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, missing("%s: there is no %s", o.System, tool)
		}
	}
	dir, err := os.MkdirTemp(o.Dir, "litmus-real-")
	if err != nil {
		return nil, err
	}
	m := &machine{sys: sys, dir: dir, template: filepath.Join(dir, "template")}
	if err := m.make(); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// make makes the template: a directory for programs, and a file whose sync
// commits.
func (m *machine) make() error {
	if err := os.Mkdir(m.at(""), 0o755); err != nil {
		return err
	}
	f, err := os.Create(m.template)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(m.sys.size); err != nil {
		return err
	}
	if err := command(append(m.sys.mkfs, m.template)...); err != nil {
		return err
	}
	if err := m.mount(m.template); err != nil {
		return missing("%s: no mount of a loop device: %v", m.sys.kernel, err)
	}
	if err := os.Mkdir(m.at("w"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(m.at("noise"), []byte{0}, 0o644); err != nil {
		return err
	}
	return m.unmount()
}

// at returns a path on the mounted file system.
func (m *machine) at(name string) string { return filepath.Join(m.dir, "mnt", name) }

func command(words ...string) error {
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(words, " "), err, strings.Join(strings.Fields(string(out)), " "))
	}
	return nil
}

func (m *machine) mount(backing string) error {
	if err := command("mount", "-t", m.sys.kernel, "-o", "loop,"+m.sys.options, backing, m.at("")); err != nil {
		return err
	}
	m.mounted = true
	return nil
}

func (m *machine) unmount() error {
	if !m.mounted {
		return nil
	}
	if err := command("umount", m.at("")); err != nil {
		return err
	}
	m.mounted = false
	return nil
}

func (m *machine) close() error {
	if err := m.unmount(); err != nil {
		return err
	}
	return os.RemoveAll(m.dir)
}

// copyOf copies a backing file, without its holes, and returns the copy.
func (m *machine) copyOf(backing string) (name string, err error) {
	m.images++
	name = filepath.Join(m.dir, fmt.Sprint("image", m.images))
	from, err := os.Open(backing)
	if err != nil {
		return "", err
	}
	defer from.Close()
	to, err := os.Create(name)
	if err != nil {
		return "", err
	}
	defer func() {
		if cerr := to.Close(); err == nil {
			err = cerr
		}
	}()
	if err := to.Truncate(m.sys.size); err != nil {
		return "", err
	}
	const seekData, seekHole = 3, 4
	for at := int64(0); ; {
		start, err := from.Seek(at, seekData)
		if errors.Is(err, syscall.ENXIO) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
		end, err := from.Seek(start, seekHole)
		if err != nil {
			return "", err
		}
		if _, err := to.Seek(start, io.SeekStart); err != nil {
			return "", err
		}
		if _, err := io.Copy(to, io.NewSectionReader(from, start, end-start)); err != nil {
			return "", err
		}
		at = end
	}
}

// round runs a program once, copies the device on the way, and mounts the copies.
func (m *machine) round(p litmus.Program, rng *rand.Rand) ([]image, error) {
	live, err := m.copyOf(m.template)
	if err != nil {
		return nil, err
	}
	if err := m.mount(live); err != nil {
		return nil, err
	}
	var all []image
	var copies []string
	var story []string
	snap := func(after int) error {
		c, err := m.copyOf(live)
		copies = append(copies, c)
		all = append(all, image{after: after, story: strings.Join(story, ", ")})
		return err
	}
	crashed := false
	for i, op := range p.Ops {
		switch op.Kind {
		case "crash":
			next, err := m.copyOf(live)
			if err != nil {
				return nil, err
			}
			if err := m.unmount(); err != nil {
				return nil, err
			}
			if err := os.Remove(live); err != nil {
				return nil, err
			}
			if err := m.mount(next); err != nil {
				return nil, err
			}
			live, crashed = next, true
			story = append(story, fmt.Sprintf("crash %d", i))
		default:
			if err := m.do(op); err != nil && !crashed {
				return nil, fmt.Errorf("operation %d, %s: %w", i, op, err)
			}
		}
		times := 1
		if i == len(p.Ops)-1 {
			times = 3
		}
		for range times {
			what, err := m.stir(rng)
			if err != nil {
				return nil, err
			}
			if what != "" {
				story = append(story, fmt.Sprintf("%s after %d", what, i))
			}
			if times > 1 || rng.IntN(3) == 0 {
				if err := snap(i + 1); err != nil {
					return nil, err
				}
			}
		}
	}
	// One after the other: they all say they are the same file system.
	if err := m.unmount(); err != nil {
		return nil, err
	}
	if err := os.Remove(live); err != nil {
		return nil, err
	}
	for i, c := range copies {
		if err := m.mount(c); err != nil {
			return nil, fmt.Errorf("what a power loss left cannot be mounted (%s): %w", all[i].story, err)
		}
		all[i].tree, err = litmus.Tree(afero.NewBasePathFs(afero.NewOsFs(), m.at("w")))
		if err != nil {
			return nil, err
		}
		if err := m.unmount(); err != nil {
			return nil, err
		}
		if err := os.Remove(c); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// stir does what the system may do at any moment, and says what.
func (m *machine) stir(rng *rand.Rand) (string, error) {
	switch rng.IntN(6) {
	case 0, 1, 2: // write some data back, which commits nothing
		var files []string
		err := filepath.Walk(m.at("w"), func(name string, info os.FileInfo, err error) error {
			if err == nil && info.Mode().IsRegular() {
				files = append(files, name)
			}
			return err
		})
		if err != nil || len(files) == 0 {
			return "", err
		}
		name := files[rng.IntN(len(files))]
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return "", err
		}
		from, n := int64(0), int64(0) // 0: to the end
		if pages := info.Size()/simfs.PageSize + 1; rng.IntN(4) > 0 {
			from, n = rng.Int64N(pages)*simfs.PageSize, simfs.PageSize
		}
		const all = 1 | 2 | 4 // wait for what is under way, write, wait
		rel, err := filepath.Rel(m.at("w"), name)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("write-back of %s %d+%d", rel, from, n), syscall.SyncFileRange(int(f.Fd()), from, n, all)
	case 3: // commit, by a sync of another file
		f, err := os.OpenFile(m.at("noise"), os.O_WRONLY, 0)
		if err != nil {
			return "", err
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte{byte(rng.IntN(256))}, 0); err != nil {
			return "", err
		}
		return "commit", f.Sync()
	}
	return "", nil
}

// do performs one operation that is no crash.
func (m *machine) do(op litmus.Op) error {
	name := filepath.Join(m.at("w"), op.Path)
	onFile := func(flag int, use func(f *os.File) error) error {
		f, err := os.OpenFile(name, flag, 0o644)
		if err != nil {
			return err
		}
		err = use(f)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		return err
	}
	switch op.Kind {
	case "create":
		return onFile(os.O_RDWR|os.O_CREATE|os.O_EXCL, func(*os.File) error { return nil })
	case "write":
		return onFile(os.O_RDWR, func(f *os.File) error { _, err := f.WriteAt(op.Data, op.Offset); return err })
	case "truncate":
		return onFile(os.O_RDWR, func(f *os.File) error { return f.Truncate(op.Length) })
	case "otrunc":
		return onFile(os.O_RDWR|os.O_TRUNC, func(*os.File) error { return nil })
	case "preallocate":
		return onFile(os.O_RDWR, func(f *os.File) error { return syscall.Fallocate(int(f.Fd()), 0, op.Offset, op.Length) })
	case "sync", "syncdir":
		flag := os.O_RDWR
		if op.Kind == "syncdir" {
			flag = os.O_RDONLY
		}
		return onFile(flag, func(f *os.File) error { return f.Sync() })
	case "syncdata":
		return onFile(os.O_RDWR, func(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) })
	case "read":
		return onFile(os.O_RDONLY, func(f *os.File) error { _, err := io.Copy(io.Discard, f); return err })
	case "rename":
		return os.Rename(name, filepath.Join(m.at("w"), op.To))
	case "remove", "rmdir":
		return os.Remove(name)
	case "mkdir":
		return os.Mkdir(name, 0o755)
	case "kill":
		return nil // no file is open between operations
	}
	return fmt.Errorf("no operation %q", op.Kind)
}
