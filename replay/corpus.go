package replay

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
)

// corpusFiles are the plans that have to pass. Nothing writes to it.
//
//go:embed testdata/corpus/*.plan
var corpusFiles embed.FS

// Kept is a plan of the corpus: one that failed once, or that somebody wrote
// because it might.
type Kept struct {
	File string // from the root of the module
	Plan *plan.Plan
}

// Corpus returns the plans in replay/testdata/corpus as this package was built
// with, by name.
func Corpus() ([]Kept, error) {
	names, err := fs.Glob(corpusFiles, "testdata/corpus/*.plan")
	if err != nil {
		return nil, err
	}
	var list []Kept
	for _, name := range names {
		data, err := corpusFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		p, err := plan.Parse(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path.Join("replay", name), err)
		}
		list = append(list, Kept{path.Join("replay", name), p})
	}
	return list, nil
}

// Run replays a plan of the corpus. What it names as its invariant failed once
// and has to hold now.
func (k Kept) Run(ctx context.Context, c scenarios.Config) (Outcome, error) {
	o, err := Replay(ctx, k.Plan, c)
	if err != nil {
		return o, fmt.Errorf("%s: %w", k.File, err)
	}
	for i := range o.Failures {
		o.Failures[i].File = k.File
	}
	return o, nil
}
