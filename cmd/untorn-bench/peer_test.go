package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// TestDurableIsThere gives every store events from many goroutines, alone and in
// batches; copies its files as they are after the last answer, while the store is
// open; and opens the copy: everything that was acknowledged is there, once, each
// writer's events in their order. A store that kept something in memory, or
// acknowledged it too early, would miss it. (That it is on the disk and not only
// in the page cache is what the rates say: a sync takes its time.)
func TestDurableIsThere(t *testing.T) {
	for _, p := range Peers() {
		for _, writers := range []int{1, 4} {
			t.Run(fmt.Sprintf("%s/%d", p.Name, writers), func(t *testing.T) {
				t.Parallel()
				reopen(t, p, writers)
			})
		}
	}
}

func reopen(t *testing.T, p Peer, writers int) {
	dir, copied := t.TempDir(), t.TempDir()
	setup := Setup{Dir: dir, Writers: writers}
	store, err := p.Open(setup)
	if err != nil {
		t.Fatal(err)
	}
	want := make([][]string, writers)
	errs := make([]error, writers)
	var group sync.WaitGroup
	for writer := range writers {
		var calls []func() error
		n := 0
		for _, size := range []int{1, 10, 1, 120} {
			var events []Event
			for range size {
				n++
				data := fmt.Sprintf("%d %d", writer, n)
				want[writer] = append(want[writer], data)
				number := writer*batchStreams + n%batchStreams
				events = append(events, Event{Stream: fmt.Sprintf("stream-%d", number), Number: number, Data: []byte(data)})
			}
			calls = append(calls, store.Writer(events))
		}
		group.Go(func() {
			for _, call := range calls {
				if err := call(); err != nil {
					errs[writer] = err
					return
				}
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(copied, dir); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	setup.Dir = copied
	again, err := p.Open(setup)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	got := make([][]string, writers)
	err = again.Read(func(data []byte) error {
		var writer, n int
		if _, err := fmt.Sscanf(string(data), "%d %d", &writer, &n); err != nil || writer >= writers {
			return fmt.Errorf("unexpected %q (%w)", data, err)
		}
		got[writer] = append(got[writer], string(data))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for writer := range writers {
		if !slices.Equal(got[writer], want[writer]) {
			t.Errorf("writer %d: %d events of %d, or in another order", writer, len(got[writer]), len(want[writer]))
		}
	}
	// And it takes more, in the right place.
	if err := again.Writer([]Event{{Stream: "stream-1", Number: 1, Data: []byte("0 0")}})(); err != nil && !p.Limit {
		t.Error(err)
	}
}

// copyTree copies a directory; holes stay holes.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		switch {
		case entry.IsDir():
			return os.MkdirAll(target, 0o700)
		case !entry.Type().IsRegular():
			return nil
		}
		return copyFile(target, path)
	})
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if err := out.Truncate(info.Size()); err != nil {
		return err
	}
	for _, span := range dataSpans(in, info.Size()) {
		if _, err := io.Copy(io.NewOffsetWriter(out, span[0]), io.NewSectionReader(in, span[0], span[1]-span[0])); err != nil {
			return err
		}
	}
	return out.Close()
}

// TestFailedGroup lets a call that fails share a group with others: all of them
// hear of it.
func TestFailedGroup(t *testing.T) {
	broken := errors.New("broken")
	store, err := inGroups(func(Setup) (serial, error) { return failing{broken}, nil })(Setup{})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		write := store.Writer([]Event{{}})
		group.Go(func() { errs[i] = write() })
	}
	group.Wait()
	for i, err := range errs {
		if !errors.Is(err, broken) {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

type failing struct{ err error }

func (f failing) append([][]Event) error        { return f.err }
func (f failing) Read(func([]byte) error) error { return nil }
func (f failing) Close() error                  { return nil }

// TestGroupsShareCommits counts how often a store is asked for many callers.
func TestGroupsShareCommits(t *testing.T) {
	counting := &counts{}
	store, err := inGroups(func(Setup) (serial, error) { return counting, nil })(Setup{})
	if err != nil {
		t.Fatal(err)
	}
	const writers, calls = 16, 200
	var group sync.WaitGroup
	for range writers {
		write := store.Writer(make([]Event, 3))
		group.Go(func() {
			for range calls {
				if err := write(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if counting.events != writers*calls*3 {
		t.Errorf("%d events arrived, want %d", counting.events, writers*calls*3)
	}
}

// counts is not safe for two callers at once: the race detector watches.
type counts struct{ commits, events int }

func (c *counts) append(calls [][]Event) error {
	c.commits++
	for _, events := range calls {
		c.events += len(events)
	}
	return nil
}
func (c *counts) Read(func([]byte) error) error { return nil }
func (c *counts) Close() error                  { return nil }
