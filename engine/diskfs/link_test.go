package diskfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/spf13/afero"
)

// A link is the same file under a second name, in another directory.
func TestLinkTo(t *testing.T) {
	switch runtime.GOOS {
	case "darwin", "dragonfly", "freebsd", "linux", "netbsd", "openbsd":
	default:
		t.Skip("there are no links here")
	}
	base := t.TempDir()
	from, to := open(t, filepath.Join(base, "from"), Options{}), open(t, filepath.Join(base, "to"), Options{})
	write(t, filepath.Join(base, "from/a"), "bytes")
	if err := from.Mkdir("sub", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b", "/c", "./d"} {
		if err := from.LinkTo("a", to, name); err != nil {
			t.Fatal(err)
		}
		one, err := os.Stat(filepath.Join(base, "from/a"))
		if err != nil {
			t.Fatal(err)
		}
		two, err := os.Stat(filepath.Join(base, "to", name))
		if err != nil || !os.SameFile(one, two) {
			t.Errorf("%s is not the same file: %v", name, err)
		}
	}
	if err := from.LinkTo("a", from, "sub/e"); err != nil {
		t.Errorf("into a directory below: %v", err)
	}
	if err := os.Symlink("a", filepath.Join(base, "from/symlink")); err != nil {
		t.Fatal(err)
	}
	readOnly := open(t, filepath.Join(base, "to"), Options{ReadOnly: true})
	for _, c := range []struct {
		name     string
		from, to string
		in       afero.Fs
		is       error
	}{
		{"a name that is there", "a", "b", to, fs.ErrExist},
		{"no file", "z", "y", to, fs.ErrNotExist},
		{"a directory", "sub", "y", to, errors.ErrUnsupported},
		{"a symbolic link", "symlink", "y", to, errors.ErrUnsupported},
		{"another kind of file system", "a", "y", afero.NewOsFs(), errors.ErrUnsupported},
		{"a directory that is open read-only", "a", "y", readOnly, fs.ErrPermission},
		{"no directory", "a", "none/y", to, fs.ErrNotExist},
		{"out of it", "a", "../y", to, nil},
		{"from out of it", "../to/b", "y", to, nil},
		{"the directory above", "a", "..", to, nil},
	} {
		err := from.LinkTo(c.from, c.in, c.to)
		if err == nil || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v, want %v", c.name, err, c.is)
		}
	}
	if _, err := os.Lstat(filepath.Join(base, "y")); err == nil {
		t.Error("a link leads out of the directory")
	}
}
