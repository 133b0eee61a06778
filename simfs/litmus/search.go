package litmus

import (
	"fmt"
	"io"
	"maps"
	"math/big"
	"os"
	"slices"
	"strings"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/naive"
)

// maxLeaves is how many leaves one search of a program may have.
const maxLeaves = 200_000

// Side is what one search found.
type Side struct {
	Outcomes []string // sorted
	Leaves   int      // ends of the tree of choices; of naive, the outcomes
}

// machine runs a program over a disk.
type machine struct {
	fs      *simfs.FS
	crashed bool // operations that cannot be done are left out
}

// do performs one operation that is no crash.
func (m *machine) do(op Op) error {
	err := perform(m.fs, op)
	if m.crashed {
		return nil
	}
	return err
}

// perform does an operation through the file system.
func perform(disk *simfs.FS, op Op) error {
	onFile := func(flag int, use func(f *simfs.File) error) error {
		f, err := disk.OpenFile(op.Path, flag, 0o644)
		if err != nil {
			return err
		}
		err = use(f.(*simfs.File))
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		return err
	}
	switch op.Kind {
	case "create":
		return onFile(os.O_RDWR|os.O_CREATE|os.O_EXCL, func(*simfs.File) error { return nil })
	case "write":
		return onFile(os.O_RDWR, func(f *simfs.File) error { _, err := f.WriteAt(op.Data, op.Offset); return err })
	case "truncate":
		return onFile(os.O_RDWR, func(f *simfs.File) error { return f.Truncate(op.Length) })
	case "otrunc":
		return onFile(os.O_RDWR|os.O_TRUNC, func(*simfs.File) error { return nil })
	case "preallocate":
		return onFile(os.O_RDWR, func(f *simfs.File) error { return f.Preallocate(op.Offset, op.Length) })
	case "sync":
		return onFile(os.O_RDWR, func(f *simfs.File) error { return f.Sync() })
	case "syncdata":
		return onFile(os.O_RDWR, func(f *simfs.File) error { return f.SyncData() })
	case "read":
		return onFile(os.O_RDONLY, func(f *simfs.File) error { _, err := io.Copy(io.Discard, f); return err })
	case "rename":
		return disk.Rename(op.Path, op.To)
	case "remove", "rmdir":
		return disk.Remove(op.Path)
	case "mkdir":
		return disk.Mkdir(op.Path, 0o755)
	case "syncdir":
		return disk.SyncDir(op.Path)
	case "fail":
		disk.FailSync(op.Path, false, op.Mode) // whether the caller is told is not what a crash leaves
		return nil
	}
	return fmt.Errorf("no operation %q", op.Kind)
}

// Lazy finds the outcomes by replay: one run of the whole program per leaf, over
// disks that ask when something is first read. weight is the sum over the leaves of
// Π 1/options, which is 1 if no way was left out or taken twice.
func Lazy(p Program, g simfs.Guarantees) (side Side, weight *big.Rat, err error) {
	found := map[string]bool{}
	weight = new(big.Rat)
	leaves, all := simfs.Walk(maxLeaves, func(a *simfs.Answers) {
		if err != nil {
			return
		}
		m := machine{fs: simfs.New(p.disk(g))}
		for i, op := range p.Ops {
			switch op.Kind {
			case "crash":
				m = machine{fs: m.fs.Crash(simfs.PowerLoss).Mount(a), crashed: true}
			case "kill":
				m = machine{fs: m.fs.Crash(simfs.ProcessKill).Mount(a), crashed: m.crashed}
			default:
				if e := m.do(op); e != nil {
					err = fmt.Errorf("litmus: %s: operation %d, %s: %w", p.Name, i, op, e)
					return
				}
			}
		}
		tree, e := Tree(m.fs.Crash(simfs.PowerLoss).Mount(a))
		if e != nil {
			err = fmt.Errorf("litmus: %s: reading what the choices %v left: %w", p.Name, a.Taken, e)
			return
		}
		found[tree] = true
		part := big.NewInt(1)
		for _, n := range a.Options {
			part.Mul(part, big.NewInt(int64(n)))
		}
		weight.Add(weight, new(big.Rat).SetFrac(big.NewInt(1), part))
	})
	if err == nil && !all {
		err = fmt.Errorf("litmus: %s: more than %d leaves: use fewer operations or larger cells", p.Name, maxLeaves)
	}
	return Side{slices.Sorted(maps.Keys(found)), leaves}, weight, err
}

// Eager finds the outcomes by deciding every variable of every crash before the
// program goes on. It fails where Count does not tell the number of decisions.
func Eager(p Program, g simfs.Guarantees) (Side, error) {
	e := eager{p: p, found: map[string]bool{}}
	if err := e.run(machine{fs: simfs.New(p.disk(g))}, 0); err != nil {
		return Side{}, fmt.Errorf("litmus: %s: %w", p.Name, err)
	}
	return Side{slices.Sorted(maps.Keys(e.found)), e.leaves}, nil
}

type eager struct {
	p      Program
	found  map[string]bool
	leaves int
}

// run performs the operations from i on.
func (e *eager) run(m machine, i int) error {
	for ; i < len(e.p.Ops); i++ {
		op := e.p.Ops[i]
		switch op.Kind {
		case "kill":
			return e.each(m.fs.Crash(simfs.ProcessKill), func(fs *simfs.FS) error {
				return e.run(machine{fs: fs, crashed: m.crashed}, i+1)
			})
		case "crash":
			return e.each(m.fs.Crash(simfs.PowerLoss), func(fs *simfs.FS) error {
				return e.run(machine{fs: fs, crashed: true}, i+1)
			})
		default:
			if err := m.do(op); err != nil {
				return fmt.Errorf("operation %d, %s: %w", i, op, err)
			}
		}
	}
	return e.each(m.fs.Crash(simfs.PowerLoss), func(fs *simfs.FS) error {
		tree, err := Tree(fs)
		e.found[tree] = true
		e.leaves++
		return err
	})
}

// each calls next with every disk that an image stands for. Nothing of it is left
// to ask.
func (e *eager) each(image *simfs.Image, next func(fs *simfs.FS) error) error {
	var err error
	leaves, all := simfs.Walk(maxLeaves, func(a *simfs.Answers) {
		if err == nil {
			err = next(image.Resolve(a).Mount(nil))
		}
	})
	if err != nil {
		return err
	}
	if !all || e.leaves > maxLeaves {
		return fmt.Errorf("more than %d leaves: use fewer operations or larger cells", maxLeaves)
	}
	if n, exact := image.Count(); !exact || n.Cmp(big.NewInt(int64(leaves))) != 0 {
		return fmt.Errorf("an image counts as %v disks (exact: %v), and there are %d ways to resolve it", n, exact, leaves)
	}
	return nil
}

// Naive finds the outcomes by brute force. What a crash in the middle leaves
// becomes the durable start of the rest; a process kill changes nothing.
func Naive(p Program, preset string) (Side, error) {
	opt := naive.Options{Preset: preset, Cell: p.Cell, Tear: slices.Contains(p.Options, "tear")}
	found, err := brute(nil, p.Ops, opt, false)
	if err != nil {
		return Side{}, fmt.Errorf("litmus: %s: %w", p.Name, err)
	}
	outcomes := slices.Sorted(maps.Keys(found))
	return Side{outcomes, len(outcomes)}, nil
}

// brute runs operations on what a program made.
func brute(start naive.Program, ops []Op, opt naive.Options, crashed bool) (map[string]bool, error) {
	program := slices.Clone(start)
	for i, op := range ops {
		switch op.Kind {
		case "kill", "read":
		case "crash":
			images, err := naive.Images(program, opt)
			if err != nil {
				return nil, err
			}
			found := map[string]bool{}
			for _, image := range images {
				rebuilt, err := rebuild(image)
				if err != nil {
					return nil, err
				}
				more, err := brute(rebuilt, ops[i+1:], opt, true)
				if err != nil {
					return nil, err
				}
				maps.Copy(found, more)
			}
			return found, nil
		default:
			next := append(slices.Clip(program), op.Op)
			if err := next.Check(); err != nil {
				if crashed {
					continue
				}
				return nil, err
			}
			program = next
		}
	}
	images, err := naive.Images(program, opt)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, image := range images {
		found[image] = true
	}
	return found, nil
}

// rebuild returns a program that makes an image and leaves nothing pending.
func rebuild(image string) (naive.Program, error) {
	lines := []string{}
	dirs := []string{"/"}
	for word := range strings.FieldsSeq(image) {
		name, data, isFile := strings.Cut(word, "=")
		switch {
		case word == "-":
		case !isFile:
			dir := strings.TrimSuffix(word, "/")
			dirs = append(dirs, dir)
			lines = append(lines, "mkdir "+dir)
		default:
			lines = append(lines, "create "+name)
			if data != "" {
				lines = append(lines, "write "+name+" 0 "+data)
			}
			lines = append(lines, "sync "+name)
		}
	}
	for _, dir := range dirs {
		lines = append(lines, "syncdir "+dir)
	}
	return naive.Parse(strings.Join(lines, "\n"))
}
