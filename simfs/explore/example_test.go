package explore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs/explore"
)

// A configuration file is replaced by writing a new one and renaming it, which
// many programs do. It is not enough.
func ExampleExplore() {
	save := func(fsys afero.Fs, text string) error {
		if err := afero.WriteFile(fsys, "config.new", []byte(text), 0o644); err != nil {
			return err
		}
		return fsys.Rename("config.new", "config")
	}
	program := explore.Func(
		func(fsys afero.Fs) error {
			return errors.Join(save(fsys, "colour = red"), save(fsys, "colour = blue"))
		},
		func(fsys afero.Fs) error {
			text, err := afero.ReadFile(fsys, "config")
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if string(text) != "colour = red" && string(text) != "colour = blue" {
				return fmt.Errorf("config holds %q", text)
			}
			return err
		},
	)
	config := explore.Config{Kinds: explore.Power}
	report, err := explore.Explore(context.Background(), config, program)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Violations[0])

	// The path is text that can be kept, and taken again after a repair.
	path, err := explore.ParseCrashPath(report.Violations[0].Path.String())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(explore.Reproduce(context.Background(), config, program, path))
	// Output:
	// config holds ""
	// 	after power op=6 notes=0 prefix=1 ~name:config#0=link@2
	// config holds ""
}
