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

	"pgregory.net/rapid"

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

// drawer makes random choices: rapid's, which shrink, or those of a seed.
type drawer interface {
	// below returns a number from 0 to n-1.
	below(n int, what string) int
}

type rapidDrawer struct{ t *rapid.T }

func (d rapidDrawer) below(n int, what string) int { return rapid.IntRange(0, n-1).Draw(d.t, what) }

type seedDrawer struct{ rng *rand.Rand }

func (d seedDrawer) below(n int, _ string) int { return d.rng.IntN(n) }

// drawProgram draws a program of at most so many operations; those that cannot
// be done where they stand are left out.
func drawProgram(d drawer, ops, cell int) Program {
	var p Program
	names := []string{"f", "g", "d/f", "d/g"}
	name := func() string { return names[d.below(len(names), "name")] }
	half := int64(max(1, cell/2))
	size := func(most int) int64 { return int64(d.below(2*most+1, "half cells")) * half }
	kinds := append(Kinds(), "write", "write", "write")
	for tries := 0; len(p) < ops && tries < 10*ops; tries++ {
		op := Op{Kind: kinds[d.below(len(kinds), "kind")]}
		switch op.Kind {
		case "write":
			op.Path, op.Offset = name(), size(2)
			op.Data = bytes.Repeat([]byte{byte('a' + len(p))}, max(1, int(size(2))))
			if d.below(8, "zeros") == 7 {
				clear(op.Data)
			}
		case "truncate":
			op.Path, op.Length = name(), size(3)
		case "preallocate":
			op.Path, op.Offset, op.Length = name(), size(1), max(1, size(2))
		case "rename":
			op.Path, op.To = name(), name()
			if d.below(8, "directory") == 7 {
				op.Path, op.To = "d", "e"
			}
		case "mkdir", "rmdir":
			op.Path = "d"
		case "syncdir":
			op.Path = []string{"/", "d"}[d.below(2, "which")]
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

func drawOptions(d drawer) (cell int, tear bool) {
	return []int{1, 512, 4096}[d.below(3, "cell")], d.below(2, "tear") == 1
}

// differences says in which presets simfs and brute force differ, or "".
func differences(p Program, cell int, tear bool) string {
	var all []string
	for _, preset := range Presets() {
		opt := Options{Preset: preset, Cell: cell, Tear: tear}
		mine, theirs, err := compare(p, opt)
		switch {
		case err != nil:
			all = append(all, fmt.Sprintf("%s: %v", preset, err))
		case len(mine)+len(theirs) > 0:
			all = append(all, fmt.Sprintf("%s: naive alone has %q, simfs alone has %q", preset, mine, theirs))
		}
	}
	return strings.Join(all, "\n")
}

// On every preset simfs leaves just the images that brute force finds.
func TestSimfsLeavesTheSameImages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapidDrawer{t}
		cell, tear := drawOptions(d)
		p := drawProgram(d, 6, cell)
		if diff := differences(p, cell, tear); diff != "" {
			t.Fatalf("cells of %d, tear %v: %s\n%s", cell, tear, p, diff)
		}
	})
}

// The same for longer programs that are the same every time.
func TestSimfsLeavesTheSameImagesOfLongPrograms(t *testing.T) {
	programs := uint64(500)
	if testing.Short() {
		programs = 50
	}
	for seed := range programs {
		d := seedDrawer{rand.New(rand.NewPCG(seed, 0))}
		cell, tear := drawOptions(d)
		p := drawProgram(d, 5+d.below(4, "operations"), cell)
		if diff := differences(p, cell, tear); diff != "" {
			t.Errorf("seed %d, cells of %d, tear %v: %s\n%s", seed, cell, tear, p, diff)
		}
	}
}

// The comparison can tell each kind of disk from every other.
func TestTheComparisonTellsPresetsApart(t *testing.T) {
	const programs = 2000
	apart := map[[2]string]bool{}
	pairs := len(Presets()) * (len(Presets()) - 1)
	for seed := uint64(0); seed < programs && len(apart) < pairs; seed++ {
		d := seedDrawer{rand.New(rand.NewPCG(seed, 1))}
		p := drawProgram(d, 7, 512)
		sim := map[string][]string{}
		for _, preset := range Presets() {
			found, err := simImages(p, Options{Preset: preset, Cell: 512})
			if err != nil {
				t.Fatal(err)
			}
			sim[preset] = found
		}
		for _, mine := range Presets() {
			found, err := Images(p, Options{Preset: mine, Cell: 512})
			if err != nil {
				t.Fatal(err)
			}
			for _, theirs := range Presets() {
				if mine != theirs && !slices.Equal(found, sim[theirs]) {
					apart[[2]string{mine, theirs}] = true
				}
			}
		}
	}
	for _, mine := range Presets() {
		for _, theirs := range Presets() {
			if mine != theirs && !apart[[2]string{mine, theirs}] {
				t.Errorf("%d programs do not tell %s by brute force from simfs as %s", programs, mine, theirs)
			}
		}
	}
}

// What must hold of any right enumerator: nothing lost is always possible, and a
// disk that promises more has no image that one which promises less has not.
func TestPresetsContainOneAnother(t *testing.T) {
	type pair struct{ more, less string }
	var pairs []pair
	for _, p := range Presets() {
		pairs = append(pairs, pair{"sequential", p}, pair{p, "posix"})
	}
	pairs = append(pairs, pair{"ext4", "ext4-writeback"})
	rapid.Check(t, func(t *rapid.T) {
		d := rapidDrawer{t}
		cell, tear := drawOptions(d)
		p := drawProgram(d, 6, cell)
		images := map[string][]string{}
		for _, preset := range Presets() {
			found, err := Images(p, Options{Preset: preset, Cell: cell, Tear: tear})
			if err != nil {
				t.Fatal(err)
			}
			images[preset] = found
		}
		var wrong []string
		for _, pr := range pairs {
			for _, image := range images[pr.more] {
				if !slices.Contains(images[pr.less], image) {
					wrong = append(wrong, fmt.Sprintf("%s has %q, %s has not", pr.more, image, pr.less))
				}
			}
		}
		synced := append(slices.Clone(p), Op{Kind: "syncdir", Path: "/"})
		whole, err := Images(synced, Options{Preset: "sequential", Cell: cell})
		if err != nil {
			t.Fatal(err)
		}
		for _, preset := range Presets() {
			for _, image := range whole { // the one where nothing is lost
				if !slices.Contains(images[preset], image) {
					wrong = append(wrong, fmt.Sprintf("%s does not have %q, where nothing is lost", preset, image))
				}
			}
		}
		if len(wrong) > 0 {
			t.Fatalf("cells of %d, tear %v: %s\n%s", cell, tear, p, strings.Join(wrong, "\n"))
		}
	})
}

// A program reads back as it prints.
func TestProgramsPrintAndParse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawProgram(rapidDrawer{t}, 8, 512)
		q, err := Parse(p.String())
		if err != nil || q.String() != p.String() {
			t.Fatalf("%q reads back as %q, error %v", p, q, err)
		}
	})
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"fly f", "no such operation"},
		{"create", "1 words, want 2"},
		{"write f 0", "3 words, want 4"},
		{"write f x a", "not a number of bytes"},
		{"write f 0 a*0", "not a number of times"},
		{"write f 0 ab", "not one letter"},
		{"truncate f -1", "not a number of bytes"},
	} {
		if _, err := Parse(c.text); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: error %v, want one that says %q", c.text, err, c.says)
		}
	}
	for _, c := range []struct{ text, says string }{
		{"remove f", "not there"},
		{"create f; create f", "is there"},
		{"create d/f", "no directory"},
		{"mkdir d; create d/f; rmdir d", "not empty"},
		{"mkdir d; rename d d/e", "into itself"},
		{"create f; syncdir f", "of the other kind"},
	} {
		p, err := Parse(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Images(p, Options{Preset: "posix", Cell: 512}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: error %v, want one that says %q", c.text, err, c.says)
		}
	}
	for _, opt := range []Options{{Preset: "fat", Cell: 512}, {Preset: "posix", Cell: 0}, {Preset: "posix", Cell: 3}} {
		if _, err := Images(nil, opt); err == nil {
			t.Errorf("%+v: accepted, want an error", opt)
		}
	}
}

func ExampleImages() {
	p, err := Parse("create f; write f 0 a*512")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, preset := range []string{"posix", "ext4"} {
		images, err := Images(p, Options{Preset: preset, Cell: 512})
		fmt.Println(preset, images, err)
	}
	// Output:
	// posix [- f= f=0*512 f=a*512] <nil>
	// ext4 [- f= f=a*512] <nil>
}
