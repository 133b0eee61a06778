package main

import (
	"maps"
	"testing"
	"testing/fstest"

	"github.com/untorn-db/untorn/replay/card"
)

// TestSourceLines: a card names a line of the source only where there is no doubt
// which file it is in.
func TestSourceLines(t *testing.T) {
	file := &fstest.MapFile{}
	found := sources(fstest.MapFS{
		"engine/commit.go": file, "engine/codec/json.go": file, "engine/doc.go": file, "engine/codec/doc.go": file,
		"engine/FORMAT.md": file, "simfs/fs.go": file,
	})
	if want := (map[string]string{"commit.go": "engine/commit.go", "json.go": "engine/codec/json.go", "doc.go": ""}); !maps.Equal(found, want) {
		t.Errorf("got %v, want %v", found, want)
	}
	if found := sources(fstest.MapFS{}); len(found) != 0 {
		t.Errorf("without the source: %v", found)
	}
	for source, want := range map[string]card.Card{
		"commit.go:12": {Source: "engine/commit.go", SourceLine: 12},
		"doc.go:3":     {},
		"fs.go:3":      {},
		"commit.go":    {},
		"":             {},
	} {
		f := form{lines: map[string]string{"commit.go": "engine/commit.go", "doc.go": ""}}
		if got := f.located(card.Card{Source: source}); got.Source != want.Source || got.SourceLine != want.SourceLine {
			t.Errorf("%s: %s:%d, want %s:%d", source, got.Source, got.SourceLine, want.Source, want.SourceLine)
		}
	}
}
