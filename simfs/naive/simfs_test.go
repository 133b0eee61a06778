package naive

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/simfs"
)

// replayer answers with a given list of choices, and then always with option 0.
type replayer struct {
	given  []int
	asked  []int // how many options each question had
	chosen []int
}

func (c *replayer) Choose(v simfs.Var) int {
	choice := 0
	if n := len(c.asked); n < len(c.given) {
		choice = c.given[n]
	}
	c.asked = append(c.asked, len(v.Options))
	c.chosen = append(c.chosen, choice)
	return choice
}

// simImages returns every image that simfs may leave: it mounts the crash image,
// reads the whole tree, and comes back for each choice not taken.
func simImages(p Program, opt Options) ([]string, error) {
	guarantees, err := simfs.PresetByName(opt.Preset)
	if err != nil {
		return nil, err
	}
	guarantees.Tear = opt.Tear
	disk := simfs.New(simfs.Options{Guarantees: guarantees, CellSize: opt.Cell})
	for i, op := range p {
		if err := do(disk, op); err != nil {
			return nil, fmt.Errorf("simfs: operation %d, %s: %w", i, op, err)
		}
	}
	image := disk.Crash(simfs.PowerLoss)
	found := map[string]bool{}
	todo := [][]int{nil}
	for leaves := 0; len(todo) > 0; leaves++ {
		if leaves > 200_000 {
			return nil, fmt.Errorf("more than %d leaves", leaves)
		}
		c := &replayer{given: todo[len(todo)-1]}
		todo = todo[:len(todo)-1]
		tree, err := readTree(image.Mount(c))
		if err != nil {
			return nil, fmt.Errorf("simfs: reading the image of choices %v: %w", c.chosen, err)
		}
		found[tree] = true
		for i := len(c.given); i < len(c.asked); i++ {
			for other := 1; other < c.asked[i]; other++ {
				todo = append(todo, append(slices.Clone(c.chosen[:i]), other))
			}
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// do performs an operation through the file system.
func do(disk *simfs.FS, op Op) (err error) {
	onFile := func(flag int, use func(f *simfs.File) error) error {
		f, err := disk.OpenFile(op.Path, flag, 0o666)
		if err != nil {
			return err
		}
		if err := use(f.(*simfs.File)); err != nil {
			return err
		}
		return f.Close()
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
	case "rename":
		return disk.Rename(op.Path, op.To)
	case "remove", "rmdir":
		return disk.Remove(op.Path)
	case "mkdir":
		return disk.Mkdir(op.Path, 0o777)
	case "syncdir":
		return disk.SyncDir(op.Path)
	}
	return fmt.Errorf("no operation %q", op.Kind)
}

// readTree prints a whole disk as Images does.
func readTree(disk *simfs.FS) (string, error) {
	var lines []string
	var walk func(dir, prefix string) error
	walk = func(dir, prefix string) error {
		d, err := disk.Open(dir)
		if err != nil {
			return err
		}
		defer d.Close()
		infos, err := d.Readdir(-1)
		if err != nil {
			return err
		}
		for _, info := range infos {
			path := prefix + info.Name()
			if info.IsDir() {
				lines = append(lines, path+"/")
				if err := walk("/"+path, path+"/"); err != nil {
					return err
				}
				continue
			}
			f, err := disk.Open("/" + path)
			if err != nil {
				return err
			}
			data, err := io.ReadAll(f)
			if err != nil {
				return err
			}
			lines = append(lines, path+"="+Runs(data))
			if err := f.Close(); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk("/", ""); err != nil {
		return "", err
	}
	if len(lines) == 0 {
		return "-", nil
	}
	slices.Sort(lines)
	return strings.Join(lines, " "), nil
}

// compare returns what is in one list alone.
func compare(p Program, opt Options) (onlyNaive, onlySim []string, err error) {
	mine, err := Images(p, opt)
	if err != nil {
		return nil, nil, err
	}
	theirs, err := simImages(p, opt)
	if err != nil {
		return nil, nil, err
	}
	for _, image := range mine {
		if !slices.Contains(theirs, image) {
			onlyNaive = append(onlyNaive, image)
		}
	}
	for _, image := range theirs {
		if !slices.Contains(mine, image) {
			onlySim = append(onlySim, image)
		}
	}
	return onlyNaive, onlySim, nil
}

// randomProgram draws a valid program, setup included.
func randomProgram(rng *rand.Rand, ops, cell int) Program {
	var p Program
	names := []string{"f", "g", "d/f", "d/g"}
	dirs := []string{"/", "/", "d"}
	name := func() string { return names[rng.IntN(len(names))] }
	for tries := 0; len(p) < ops && tries < 1000; tries++ {
		op := Op{Kind: Kinds()[rng.IntN(len(Kinds()))]}
		if rng.IntN(3) == 0 {
			op.Kind = "write"
		}
		size := func(most int) int64 { return int64(rng.IntN(2*most+1)) * int64(max(1, cell/2)) }
		switch op.Kind {
		case "write":
			op.Path = name()
			op.Offset = size(2)
			op.Data = bytes.Repeat([]byte{byte('a' + len(p))}, max(1, int(size(2))))
		case "truncate":
			op.Path, op.Length = name(), size(3)
		case "preallocate":
			op.Path, op.Offset, op.Length = name(), size(1), max(1, size(2))
		case "rename":
			op.Path, op.To = name(), name()
			if rng.IntN(8) == 0 {
				op.Path, op.To = "d", "e"
			}
		case "mkdir", "rmdir":
			op.Path = "d"
		case "syncdir":
			op.Path = dirs[rng.IntN(len(dirs))]
		default:
			op.Path = name()
		}
		next := append(slices.Clone(p), op)
		if _, err := perform(next, Options{Preset: "posix", Cell: cell}); err == nil {
			p = next
		}
	}
	return p
}

func TestSpot(t *testing.T) {
	for _, text := range []string{
		"create f; write f 0 x*1024; sync f; syncdir /; write f 0 a*512; write f 512 b*512",
		"create f; write f 0 x*1024; sync f; syncdir /; truncate f 100",
		"create f; write f 0 x*1024; sync f; syncdir /; truncate f 512",
		"create a; create f; truncate f 1024; syncdata f",
		"create f; write f 0 x*1024; sync f; syncdir /; truncate f 0",
	} {
		p, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, preset := range []string{"ext4", "btrfs"} {
			opt := Options{Preset: preset, Cell: 512}
			n, s, err := compare(p, opt)
			imgs, _ := Images(p, opt)
			t.Logf("%s\n%s: %q\n naive alone %q\n simfs alone %q %v", p, preset, imgs, n, s, err)
		}
	}
}

func TestScan(t *testing.T) {
	n := 0
	seen := map[string]int{}
	for seed := range uint64(4000) {
		rng := rand.New(rand.NewPCG(seed, 0))
		cell := []int{1, 512, 4096}[seed%3]
		p := randomProgram(rng, 3+rng.IntN(5), cell)
		for _, preset := range Presets() {
			opt := Options{Preset: preset, Cell: cell, Tear: rng.IntN(2) == 0}
			mine, theirs, err := compare(p, opt)
			n++
			if err != nil || len(mine)+len(theirs) > 0 {
				seen[preset]++
				if seen[preset] <= 4 {
					// shrink
					for again := true; again; {
						again = false
						for i := range p {
							q := slices.Delete(slices.Clone(p), i, i+1)
							if _, err := perform(q, opt); err != nil {
								continue
							}
							a, b, err2 := compare(q, opt)
							if (err2 != nil) == (err != nil) && (err != nil || len(a)+len(b) > 0) {
								p, mine, theirs, err, again = q, a, b, err2, true
								break
							}
						}
					}
					t.Logf("%s cell %d tear %v: %s\n naive alone %q\n simfs alone %q %v", preset, cell, opt.Tear, p, mine, theirs, err)
				}
			}
		}
	}
	t.Logf("%d compared, differ: %v", n, seen)
}
