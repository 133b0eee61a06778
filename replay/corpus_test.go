package replay

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/scenarios"
)

// lines is a text without its blank lines.
func lines(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }), "\n")
}

// TestCorpus runs the plans that have to pass.
func TestCorpus(t *testing.T) {
	corpus, err := Corpus()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/corpus/*")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, k := range corpus {
		names = append(names, filepath.Base(k.File))
		t.Run(filepath.Base(k.File), func(t *testing.T) {
			o, err := k.Run(context.Background(), scenarios.Config{})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range o.Failures {
				t.Error(f)
			}
			if o.Twice != nil {
				t.Errorf("two runs differ: %s", o.Twice)
			}
			if o.Result.Recoveries == 0 {
				t.Error("nothing crashed")
			}
			// A digest is of one state of the code; these plans are for all to come.
			if len(k.Plan.Digests) > 0 {
				t.Errorf("%s holds digests: delete these lines", k.File)
			}
			onDisk, err := os.ReadFile(filepath.Join("testdata", "corpus", filepath.Base(k.File)))
			if err != nil {
				t.Fatal(err)
			}
			if lines(string(onDisk)) != lines(string(k.Plan.Format())) {
				t.Errorf("not as Format prints it; write\n%s", k.Plan.Format())
			}
		})
	}
	var want []string
	for _, file := range files {
		want = append(want, filepath.Base(file))
	}
	if !slices.Equal(names, want) {
		t.Errorf("the corpus is %q, the directory has %q", names, want)
	}
}
