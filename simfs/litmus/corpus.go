package litmus

import (
	"embed"
	"path"
	"strings"
)

//go:embed testdata/*.txt
var corpus embed.FS

// All returns every program of the corpus, by name.
func All() ([]Program, error) {
	files, err := corpus.ReadDir("testdata")
	if err != nil {
		return nil, err
	}
	var all []Program
	for _, file := range files {
		text, err := corpus.ReadFile(path.Join("testdata", file.Name()))
		if err != nil {
			return nil, err
		}
		p, err := Parse(strings.TrimSuffix(file.Name(), ".txt"), string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}
