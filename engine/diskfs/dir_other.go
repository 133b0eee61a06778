//go:build !unix || aix

package diskfs

import (
	"errors"
	"io"
	"os"
)

func openDir(root *os.Root, name string) (*os.File, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	// The name must be a directory here as elsewhere.
	if _, err := f.Readdirnames(1); err != nil && err != io.EOF {
		return nil, closeAfter(f, err)
	}
	return f, nil
}

func syncDirHandle(*os.File) error { return errors.ErrUnsupported }

func mayMakeNames(string) bool { return true }
