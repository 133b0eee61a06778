package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// outcome is what became of a mutant. Its JSON is one line of mutants --json.
type outcome struct {
	Name      string  `json:"name"`
	Invariant string  `json:"invariant"`  // that must kill it
	Equal     bool    `json:"equivalent"` // nothing must; see mutant.equivalent
	Killed    bool    `json:"killed"`
	By        string  `json:"by"`      // the invariant that did; "panic", or "an answer" where the workload was told something wrong
	Luck      bool    `json:"luck"`    // it is another one
	Seconds   float64 `json:"seconds"` // of one processor, until then
	Seeds     int     `json:"seeds"`   // run until then
	Scenario  string  `json:"scenario"`
	Disk      string  `json:"disk"`
	Seed      uint64  `json:"seed"`
	Found     string  `json:"found"`
	Problem   string  `json:"problem"` // why it was not hunted, or ""
}

// finding is what package hunt prints, a line each.
type finding struct {
	Invariant string  `json:"invariant"`
	Scenario  string  `json:"scenario"`
	Disk      string  `json:"disk"`
	Seed      uint64  `json:"seed"`
	Seeds     int     `json:"seeds"`
	Seconds   float64 `json:"seconds"`
	Found     string  `json:"found"`
	End       bool    `json:"end"`
}

// builder builds and runs mutants.
type builder struct {
	root, tmp string
	limit     time.Duration
	sound     string // the binary of the engine as it is
}

// control builds the engine as it is, and runs a little of each hunt: what kills
// it, too, kills nothing.
func (b *builder) control(ctx context.Context, mutants []*mutant) error {
	binary, err := b.build(ctx, "control", nil)
	if err != nil {
		return fmt.Errorf("the source as it is: %w", err)
	}
	b.sound = binary
	done := map[string]bool{}
	for _, m := range mutants {
		h := m.hunt
		h.invariant = ""
		key := h.plan + strings.Join(h.scenarios, ",") + strings.Join(h.disks, ",")
		if done[key] {
			continue
		}
		done[key] = true
		findings, _, err := b.hunt(ctx, binary, h, "-seeds", "1")
		if err != nil {
			return fmt.Errorf("the source as it is: %w", err)
		}
		if len(findings) > 0 {
			return fmt.Errorf("the source as it is breaks a promise, so it is no measure: %s", findings[0].Found)
		}
	}
	return nil
}

// all builds and hunts every mutant, and tells each in its order. The error says
// that ctx ended; what was done before is told.
func (b *builder) all(ctx context.Context, mutants []*mutant, jobs int, tell func(outcome)) error {
	outcomes := make([]chan outcome, len(mutants))
	for i := range outcomes {
		outcomes[i] = make(chan outcome, 1)
	}
	next := make(chan int)
	var workers sync.WaitGroup
	defer workers.Wait()
	for range min(jobs, len(mutants)) {
		workers.Go(func() {
			for i := range next {
				if o := b.one(ctx, mutants[i]); ctx.Err() == nil {
					outcomes[i] <- o // else it was cut short
				}
			}
		})
	}
	workers.Go(func() {
		defer close(next)
		for i := range mutants {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	})
	for i := range mutants {
		select {
		case o := <-outcomes[i]:
			tell(o)
		case <-ctx.Done():
			select {
			case o := <-outcomes[i]: // done before
				tell(o)
			default:
			}
		}
	}
	return ctx.Err()
}

// one builds and hunts a mutant.
func (b *builder) one(ctx context.Context, m *mutant) outcome {
	o := outcome{Name: m.name, Invariant: m.hunt.invariant, Equal: m.equivalent()}
	changed, err := m.mutate(b.root)
	if err != nil {
		o.Problem = err.Error()
		return o
	}
	binary, err := b.build(ctx, m.name, changed)
	if err != nil {
		o.Problem = err.Error()
		return o
	}
	defer os.Remove(binary)
	findings, end, err := b.hunt(ctx, binary, m.hunt)
	o.Seconds, o.Seeds, o.Found = end.Seconds, end.Seeds, end.Found
	var crashed *crashError
	if errors.As(err, &crashed) {
		findings = append(findings, finding{Invariant: "panic", Seconds: crashed.seconds, Found: crashed.text})
	} else if err != nil {
		o.Problem = err.Error()
		return o
	}
	if len(findings) == 0 {
		return o
	}
	// The last is the one that was looked for, if it was found.
	f := findings[len(findings)-1]
	if f.Invariant != m.hunt.invariant {
		f = findings[0]
	}
	if f.Scenario != "" && m.hunt.plan == "" {
		same := hunt{scenarios: []string{f.Scenario}, disks: []string{f.Disk}}
		if broken, _, err := b.hunt(ctx, b.sound, same, "-seeds", strconv.FormatUint(f.Seed, 10)); err != nil || len(broken) > 0 {
			o.Problem = fmt.Sprintf("the source as it is breaks a promise on %s, %s, seeds 1-%d, too: it is no measure", f.Scenario, f.Disk, f.Seed)
			return o
		}
	}
	o.Killed, o.By, o.Luck = true, f.Invariant, f.Invariant != m.hunt.invariant && !o.Equal
	if o.By == "" {
		o.By = "an answer"
	}
	o.Seconds, o.Seeds, o.Scenario, o.Disk, o.Seed, o.Found = f.Seconds, f.Seeds, f.Scenario, f.Disk, f.Seed, f.Found
	return o
}

// build builds package hunt with changed files laid over the source.
func (b *builder) build(ctx context.Context, name string, changed map[string]string) (binary string, err error) {
	dir := filepath.Join(b.tmp, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for path, text := range changed {
		file := filepath.Join(dir, strings.ReplaceAll(path, "/", "-"))
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return "", err
		}
		overlay.Replace[filepath.Join(b.root, filepath.FromSlash(path))] = file
	}
	bytes, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, bytes, 0o644); err != nil {
		return "", err
	}
	binary = filepath.Join(b.tmp, "hunt-"+name+".exe") // as one system wants it, and no other minds
	build := exec.CommandContext(ctx, "go", "build", "-overlay", file, "-buildvcs=false", "-ldflags=-s -w", "-o", binary, "./scenarios/mutants/hunt")
	build.Dir = b.root
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("it does not compile: %s", strings.Join(strings.Fields(string(output)), " "))
	}
	return binary, nil
}

// crashError says that a mutant panicked, or would not end.
type crashError struct {
	text    string
	seconds float64
}

func (e *crashError) Error() string { return e.text }

// hunt runs a mutant on one processor. The findings are without the last line,
// which is end.
func (b *builder) hunt(ctx context.Context, binary string, h hunt, more ...string) (findings []finding, end finding, err error) {
	args := []string{"-invariant", h.invariant, "-limit", b.limit.String()}
	if h.plan != "" {
		args = append(args, "-plan", h.plan)
	} else {
		args = append(args, "-scenarios", strings.Join(h.scenarios, ","), "-disks", strings.Join(h.disks, ","))
	}
	// On a machine with much else to do a second of a processor takes longer; a
	// mutant that never ends is told apart by that, at last.
	patient, stop := context.WithTimeout(ctx, 20*b.limit+time.Minute)
	defer stop()
	process := exec.CommandContext(patient, binary, slices.Concat(args, more)...)
	process.Dir = b.root
	process.Env = append(os.Environ(), "GOMAXPROCS=1")
	var stdout, stderr bytes.Buffer
	process.Stdout, process.Stderr = &stdout, &stderr
	failed := process.Run()
	for decoder := json.NewDecoder(&stdout); ; {
		var f finding
		if decoder.Decode(&f) != nil {
			break
		}
		if f.End {
			end = f
		} else {
			findings = append(findings, f)
		}
	}
	switch text := stderr.String(); {
	case ctx.Err() != nil:
		return nil, end, ctx.Err()
	case patient.Err() != nil:
		return findings, finding{Seconds: b.limit.Seconds(), Found: "it would not end"}, nil // which breaks no promise
	case failed != nil && (strings.Contains(text, "panic: ") || strings.Contains(text, "fatal error: ")):
		first, _, _ := strings.Cut(text, "\n")
		used := process.ProcessState.UserTime() + process.ProcessState.SystemTime()
		return findings, end, &crashError{first, used.Seconds()}
	case failed != nil:
		return nil, end, fmt.Errorf("%w: %s", failed, strings.TrimSpace(text))
	case !end.End:
		return nil, end, errors.New("the hunt told no end")
	}
	return findings, end, nil
}
