package replay

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/untorn-db/untorn/replay/plan"
)

// FileName is the name of the file that a plan is saved under. It says the
// scenario, the disk, the seed and what is expected to fail:
// "batch-posix-42-I1.plan". A plan that comes from no seed is named after what it
// comes from, a file or a word: "mine-posix-I1.plan" from "plans/mine.plan". Where
// nobody knows, from is "", and the plan is called edited.
func FileName(p *plan.Plan, from string) string {
	parts := []string{p.Scenario, orPosix(p.Disk), "edited"}
	if o, ok := originOf(p); ok {
		parts = []string{o.scenario, orPosix(p.Disk), fmt.Sprint(o.seed)} // not o.disk: it may run on another one now
	} else if from != "" {
		from = strings.TrimSuffix(filepath.Base(from), ".plan")
		if p.Invariant != "" { // what was saved once keeps its name
			from = strings.TrimSuffix(from, "-"+p.Invariant)
		}
		parts = []string{strings.TrimSuffix(from, "-"+orPosix(p.Disk)), orPosix(p.Disk)}
	}
	if p.Invariant != "" {
		parts = append(parts, p.Invariant)
	}
	for i, part := range parts {
		parts[i] = strings.Map(fileRune, part)
	}
	return strings.Join(parts, "-") + ".plan"
}

// fileRune keeps what is safe in a file name on every system, and in a shell.
func fileRune(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
		return r
	}
	return '_'
}

func orPosix(disk string) string {
	if disk == "" {
		return "posix"
	}
	return disk
}

// Save writes a plan into a directory, which it makes, and returns the path. A
// file of that name is replaced; see FileName for it and from.
func Save(dir, from string, p *plan.Plan) (string, error) {
	return SaveAs(dir, FileName(p, from), p)
}

// SaveAs is Save under another name.
func SaveAs(dir, name string, p *plan.Plan) (string, error) {
	path := filepath.Join(dir, name)
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = Write(path, p)
	}
	if err != nil {
		return "", fmt.Errorf("save a plan: %w", err)
	}
	return path, nil
}

// Write writes a plan to a file, whole or not at all: a disk that is full leaves
// what was there.
func Write(path string, p *plan.Plan) error {
	return WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(p.Format())
		return err
	})
}

// WriteFile writes a file, whole or not at all. What is there and is no file, such as a
// pipe or a device, keeps its name.
func WriteFile(path string, content func(w io.Writer) error) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".untorn-*")
	if err != nil {
		return err
	}
	err = errors.Join(content(f), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// Load reads a plan from a file. What is wrong with its text is an error with
// the file's name and a *plan.Error; a file that cannot be read is an
// *fs.PathError.
func Load(path string) (*plan.Plan, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load a plan: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, plan.MaxSize+1)) // Parse says that it is too long
	if err != nil {
		return nil, fmt.Errorf("load a plan: %w", err)
	}
	p, err := plan.Parse(data)
	var wrong *plan.Error
	if errors.As(err, &wrong) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, err
}
