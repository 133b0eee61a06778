package naive

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A litmus file is a program, and below a line of dashes what images presets must
// allow, must forbid, or have and no others:
//
//	# what it is about
//	option tear            a page may tear
//	option cell 4096       instead of 512
//	create f
//	----
//	allow posix ext4: f= | -
//	forbid all: f=a*512
//	only sequential: -
type litmus struct {
	program Program
	options Options
	rules   []rule
}

type rule struct {
	verb    string // allow, forbid or only
	presets []string
	images  []string
	line    string
}

func readLitmus(path string) (litmus, error) {
	l := litmus{options: Options{Cell: 512}}
	text, err := os.ReadFile(path)
	if err != nil {
		return l, err
	}
	program, rules, ok := strings.Cut(string(text), "----\n")
	if !ok {
		return l, fmt.Errorf("no line of dashes")
	}
	var operations []string
	for line := range strings.Lines(program) {
		words := strings.Fields(line)
		switch {
		case len(words) == 2 && words[0] == "option" && words[1] == "tear":
			l.options.Tear = true
		case len(words) == 3 && words[0] == "option" && words[1] == "cell":
			if l.options.Cell, err = strconv.Atoi(words[2]); err != nil {
				return l, err
			}
		default:
			operations = append(operations, line)
		}
	}
	if l.program, err = Parse(strings.Join(operations, "")); err != nil {
		return l, err
	}
	for line := range strings.Lines(rules) {
		line = strings.TrimSpace(line)
		head, images, ok := strings.Cut(line, ": ")
		words := strings.Fields(head)
		if !ok || len(words) < 2 || !slices.Contains([]string{"allow", "forbid", "only"}, words[0]) {
			return l, fmt.Errorf("%q is no rule", line)
		}
		r := rule{verb: words[0], presets: words[1:], line: line}
		if slices.Equal(r.presets, []string{"all"}) {
			r.presets = Presets()
		}
		for _, p := range r.presets {
			if !slices.Contains(Presets(), p) {
				return l, fmt.Errorf("%q: no preset %q", line, p)
			}
		}
		for image := range strings.SplitSeq(images, "|") {
			r.images = append(r.images, strings.TrimSpace(image))
		}
		slices.Sort(r.images)
		l.rules = append(l.rules, r)
	}
	if len(l.program) == 0 || len(l.rules) == 0 {
		return l, fmt.Errorf("no program, or no rule")
	}
	return l, nil
}

// broken says how a set of images breaks a rule, or "".
func (r rule) broken(images []string) string {
	switch r.verb {
	case "only":
		if !slices.Equal(images, r.images) {
			return fmt.Sprintf("the images are %q", images)
		}
	default:
		for _, image := range r.images {
			if slices.Contains(images, image) != (r.verb == "allow") {
				return fmt.Sprintf("%q: the images are %q", image, images)
			}
		}
	}
	return ""
}

// Every litmus program, by brute force and by simfs.
func TestLitmus(t *testing.T) {
	paths, err := filepath.Glob("testdata/litmus/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no litmus programs (%v)", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			l, err := readLitmus(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, preset := range Presets() {
				opt := l.options
				opt.Preset = preset
				for _, by := range []struct {
					name   string
					images func(Program, Options) ([]string, error)
				}{{"naive", Images}, {"simfs", simImages}} {
					got, err := by.images(l.program, opt)
					if err != nil {
						t.Fatal(err)
					}
					for _, r := range l.rules {
						if why := r.broken(got); slices.Contains(r.presets, preset) && why != "" {
							t.Errorf("%s, %s: %s\n%s", by.name, preset, r.line, why)
						}
					}
				}
			}
		})
	}
}
