//go:build unix && !solaris && !aix

package projection_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine/projection"
)

// TestAPipe in place of a checkpoint holds nobody up: to open one waits for whoever
// has the other end.
func TestAPipe(t *testing.T) {
	log, d, _ := saved(t)
	dir := t.TempDir()
	options := projection.Options{Checkpoints: projection.Checkpoints{FS: afero.NewOsFs(), Dir: filepath.ToSlash(dir)}}
	name := filepath.Join(dir, "p.projection")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Skip("no pipes here:", err)
	}
	set := setOf(t, log, options, made(t, d))
	if s := set.Status()[0]; !errors.Is(s.Rebuilt, projection.ErrDamaged) {
		t.Errorf("%+v", s)
	}
	check(t, set.Once(t.Context()))
	if s := setOf(t, log, options, made(t, d)).Status()[0]; s.Restored != 3 {
		t.Errorf("after a run: %+v", s)
	}
	check(t, os.Remove(name))
	check(t, syscall.Mkfifo(name+".tmp", 0o600))
	if err := setOf(t, log, options, made(t, d)).Once(t.Context()); err == nil {
		t.Error("a checkpoint was written by way of a pipe")
	}
}
