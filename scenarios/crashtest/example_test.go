package crashtest_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/scenarios/crashtest"
)

// Counter is a number in a file.
type Counter struct {
	fs afero.Fs
	n  int
}

// OpenCounter reads the number, 0 if there is none.
func OpenCounter(disk afero.Fs) (*Counter, error) {
	c := &Counter{fs: disk}
	b, err := afero.ReadFile(disk, "count")
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Sscan(string(b), &c.n); err != nil {
		return nil, err
	}
	return c, c.syncDir() // what was read may not be durable yet
}

// Add writes a new file and renames it: after a crash there is the old or the new.
func (c *Counter) Add() error {
	f, err := c.fs.OpenFile("new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, c.n+1)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	c.n++
	return errors.Join(c.fs.Rename("new", "count"), c.syncDir())
}

func (c *Counter) syncDir() error {
	d, err := c.fs.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// A model of one's own: the number is at least that of the acknowledged steps,
// and at most that of the started ones.
func ExampleHistory_Steps() {
	var adds []crashtest.Step[*Counter]
	for range 5 {
		adds = append(adds, crashtest.Do("add", (*Counter).Add))
	}
	crashtest.Run(theTest(), crashtest.Subject[*Counter]{
		Open:  OpenCounter,
		Steps: adds,
		Check: func(c *Counter, h crashtest.History) error {
			least, most := 0, 0
			for _, step := range h.Steps() {
				switch step.State {
				case crashtest.Acked:
					least++
					most++
				case crashtest.InFlight:
					most++
				}
			}
			if c.n < least || c.n > most {
				return fmt.Errorf("the counter is %d, want %d to %d", c.n, least, most)
			}
			for _, step := range h.Steps() { // from now on it must stay so
				h.Decide(step.Number, c.n == most)
			}
			return nil
		},
	})
	fmt.Println("done")
	// Output: done
}

// printer stands for a test's *testing.T, and prints what fails.
type printer struct{ testing.TB }

func theTest() testing.TB                         { return printer{} }
func (printer) Helper()                           {}
func (printer) Name() string                      { return "TestCounter" }
func (printer) Logf(format string, args ...any)   {}
func (printer) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
func (printer) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
