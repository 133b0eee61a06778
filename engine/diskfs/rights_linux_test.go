package diskfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func allocated(info os.FileInfo) int64 { return info.Sys().(*syscall.Stat_t).Blocks * 512 }

// asNobody runs f without the right to do everything, which root has. The
// thread that gave it up ends with f.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread goes with the goroutine
		if os.Geteuid() == 0 {
			if err := unix.Setfsuid(65534); err != nil {
				t.Logf("setfsuid: %v", err)
			}
		}
		f()
	}()
	<-done
}

func TestMissingRights(t *testing.T) {
	base := t.TempDir()
	for _, dir := range []string{filepath.Dir(base), base} { // so that nobody gets here at all
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []struct {
		name string
		mode os.FileMode
	}{{"closed", 0o700}, {"listed", 0o755}, {"passed", 0o711}, {"passed/open", 0o777}} {
		path := filepath.Join(base, d.name)
		if err := os.Mkdir(path, d.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, d.mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
	}
	if os.Geteuid() != 0 {
		for dir, mode := range map[string]os.FileMode{"closed": 0, "listed": 0o555, "passed": 0o111} {
			if err := os.Chmod(filepath.Join(base, dir), mode); err != nil {
				t.Fatal(err)
			}
			defer os.Chmod(filepath.Join(base, dir), 0o755)
		}
	}
	unable := ""
	asNobody(t, func() {
		if _, err := os.ReadDir(filepath.Join(base, "closed")); !errors.Is(err, fs.ErrPermission) {
			unable = fmt.Sprintf("root cannot give up its rights here: a closed directory was read (%v)", err)
			return
		}
		for _, c := range []struct {
			dir  string
			opts Options
			says string
		}{
			{"closed", Options{}, "read and write in " + filepath.Join(base, "closed")},
			{"closed", Options{ReadOnly: true}, "read and write in " + filepath.Join(base, "closed")},
			{"closed/below", Options{}, "read and write in " + filepath.Join(base, "closed")},
			{"listed/new", Options{}, "read and write in " + filepath.Join(base, "listed")},
		} {
			d, err := Open(filepath.Join(base, c.dir), c.opts)
			if err == nil {
				d.Close()
				t.Errorf("%s: opened, want an error", c.dir)
				continue
			}
			if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), c.says) || strings.Count(err.Error(), "diskfs: ") != 1 {
				t.Errorf("%s: error %q, want one that matches fs.ErrPermission and says %q", c.dir, err, c.says)
			}
		}

		// A directory that others made above ours, and that may not be listed,
		// does not keep us from opening.
		d, err := Open(filepath.Join(base, "passed/open/mine"), Options{})
		if err != nil {
			t.Errorf("below a directory that may not be listed: %v", err)
			return
		}
		defer d.Close()
		if err := d.SyncAncestors(); err != nil {
			t.Errorf("SyncAncestors: %v", err)
		}
	})
	if unable != "" {
		t.Skip(unable)
	}
}
