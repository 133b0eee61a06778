package fscheck_test

import (
	"errors"
	"fmt"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/fscheck"
)

// unmoved is a file system whose files cannot be renamed.
type unmoved struct{ afero.Fs }

func (unmoved) Rename(string, string) error { return nil }

func ExampleTestFS() {
	fmt.Println(fscheck.TestFS(simfs.New(simfs.Options{})))

	err := fscheck.TestFS(unmoved{simfs.New(simfs.Options{})})
	var problem *fscheck.Problem
	fmt.Println(errors.As(err, &problem))
	// Output:
	// <nil>
	// true
}
