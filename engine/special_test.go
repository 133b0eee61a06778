//go:build linux || darwin

package engine_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/untorn-db/untorn/engine"
)

// TestWhatIsNoFileIsNotOpened: where a file of the log should be there is something
// at which Open would wait for ever, or that no log can be in. It says so, in a line.
func TestWhatIsNoFileIsNotOpened(t *testing.T) {
	kinds := map[string]func(name string) error{
		"pipe":      func(name string) error { return syscall.Mkfifo(name, 0o666) },
		"directory": func(name string) error { return os.Mkdir(name, 0o777) },
		"device":    func(name string) error { return syscall.Mknod(name, syscall.S_IFCHR|0o666, 1<<8|3) },
		"socket": func(name string) error {
			// The path of a socket is short, and that of the test's directory need not be.
			t.Chdir(filepath.Dir(name))
			l, err := net.Listen("unix", filepath.Base(name))
			if err == nil {
				l.(*net.UnixListener).SetUnlinkOnClose(false)
				err = l.Close()
			}
			return err
		},
	}
	for kind, make := range kinds {
		for _, name := range []string{"000000000001.seg", "000000000002.seg", "LOCK"} {
			for _, readOnly := range []bool{false, true} {
				if readOnly && name == "LOCK" {
					continue // which a reader leaves alone
				}
				t.Run(fmt.Sprintf("%s as %s, read-only %t", kind, name, readOnly), func(t *testing.T) {
					dir := t.TempDir()
					log := openDir(t, engine.Options{Dir: dir})
					appended(t, log, "a")
					closed(t, log)
					path := filepath.Join(dir, name)
					if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
						t.Fatal(err)
					}
					if err := make(path); errors.Is(err, syscall.EPERM) && kind == "device" {
						t.Skipf("only who may make devices can try this: %v", err)
					} else if err != nil {
						t.Fatal(err)
					}
					_, err := engine.Open(engine.Options{Dir: dir, ReadOnly: readOnly})
					text, want := fmt.Sprint(err), "not a regular file"
					if kind == "directory" {
						want = "is a directory"
					}
					if err == nil || !strings.Contains(text, want) || !strings.Contains(text, name) || strings.Contains(text, "\n") {
						t.Errorf("%s, want %s", text, want)
					}
				})
			}
		}
	}
}
