package naive_test

import (
	"bytes"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/litmus"
	"github.com/untorn-db/untorn/simfs/naive"
)

// simImages returns every image that simfs may leave.
func simImages(p naive.Program, opt naive.Options) ([]string, error) {
	g, err := simfs.PresetByName(opt.Preset)
	if err != nil {
		return nil, err
	}
	program := litmus.Program{Name: "drawn", Cell: opt.Cell}
	for _, op := range p {
		program.Ops = append(program.Ops, litmus.Op{Op: op})
	}
	if opt.Tear {
		program.Options = []string{"tear"}
	}
	side, weight, err := litmus.Lazy(program, g)
	if err == nil && weight.Cmp(big.NewRat(1, 1)) != 0 {
		err = fmt.Errorf("the leaves of the search weigh %s, want 1", weight.RatString())
	}
	return side.Outcomes, err
}

// compare returns what is in one list alone.
func compare(p naive.Program, opt naive.Options) (onlyNaive, onlySim []string, err error) {
	mine, err := naive.Images(p, opt)
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
func drawProgram(d drawer, ops, cell int) naive.Program {
	var p naive.Program
	names := []string{"f", "g", "d/f", "d/g"}
	name := func() string { return names[d.below(len(names), "name")] }
	half := int64(max(1, cell/2))
	size := func(most int) int64 { return int64(d.below(2*most+1, "half cells")) * half }
	kinds := append(naive.Kinds(), "write", "write", "write")
	for tries := 0; len(p) < ops && tries < 10*ops; tries++ {
		op := naive.Op{Kind: kinds[d.below(len(kinds), "kind")]}
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
		if next.Check() == nil {
			p = next
		}
	}
	return p
}

func drawOptions(d drawer) (cell int, tear bool) {
	return []int{1, 512, 4096}[d.below(3, "cell")], d.below(2, "tear") == 1
}

// differences says in which presets simfs and brute force differ, or "".
func differences(p naive.Program, cell int, tear bool) string {
	var all []string
	for _, preset := range naive.Presets() {
		opt := naive.Options{Preset: preset, Cell: cell, Tear: tear}
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
	pairs := len(naive.Presets()) * (len(naive.Presets()) - 1)
	for seed := uint64(0); seed < programs && len(apart) < pairs; seed++ {
		d := seedDrawer{rand.New(rand.NewPCG(seed, 1))}
		p := drawProgram(d, 7, 512)
		sim := map[string][]string{}
		for _, preset := range naive.Presets() {
			found, err := simImages(p, naive.Options{Preset: preset, Cell: 512})
			if err != nil {
				t.Fatal(err)
			}
			sim[preset] = found
		}
		for _, mine := range naive.Presets() {
			found, err := naive.Images(p, naive.Options{Preset: mine, Cell: 512})
			if err != nil {
				t.Fatal(err)
			}
			for _, theirs := range naive.Presets() {
				if mine != theirs && !slices.Equal(found, sim[theirs]) {
					apart[[2]string{mine, theirs}] = true
				}
			}
		}
	}
	for _, mine := range naive.Presets() {
		for _, theirs := range naive.Presets() {
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
	for _, p := range naive.Presets() {
		pairs = append(pairs, pair{"sequential", p}, pair{p, "posix"})
	}
	pairs = append(pairs, pair{"ext4", "ext4-writeback"})
	rapid.Check(t, func(t *rapid.T) {
		d := rapidDrawer{t}
		cell, tear := drawOptions(d)
		p := drawProgram(d, 6, cell)
		images := map[string][]string{}
		for _, preset := range naive.Presets() {
			found, err := naive.Images(p, naive.Options{Preset: preset, Cell: cell, Tear: tear})
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
		synced := append(slices.Clone(p), naive.Op{Kind: "syncdir", Path: "/"})
		whole, err := naive.Images(synced, naive.Options{Preset: "sequential", Cell: cell})
		if err != nil {
			t.Fatal(err)
		}
		for _, preset := range naive.Presets() {
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
		q, err := naive.Parse(p.String())
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
		if _, err := naive.Parse(c.text); err == nil || !strings.Contains(err.Error(), c.says) {
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
		p, err := naive.Parse(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := naive.Images(p, naive.Options{Preset: "posix", Cell: 512}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: error %v, want one that says %q", c.text, err, c.says)
		}
	}
	for _, opt := range []naive.Options{{Preset: "fat", Cell: 512}, {Preset: "posix", Cell: 0}, {Preset: "posix", Cell: 3}} {
		if _, err := naive.Images(nil, opt); err == nil {
			t.Errorf("%+v: accepted, want an error", opt)
		}
	}
}

func ExampleImages() {
	p, err := naive.Parse("create f; write f 0 a*512")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, preset := range []string{"posix", "ext4"} {
		images, err := naive.Images(p, naive.Options{Preset: preset, Cell: 512})
		fmt.Println(preset, images, err)
	}
	// Output:
	// posix [- f= f=0*512 f=a*512] <nil>
	// ext4 [- f= f=a*512] <nil>
}
