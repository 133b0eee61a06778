package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
)

// TestLogAgainstModel is a state machine: its actions append steps to a plan, and
// the plan is run on a simulated disk, beside the model, and crashed everywhere.
// A failure leaves the smallest plan that fails, and prints how to replay it.
func TestLogAgainstModel(t *testing.T) {
	var smallest *plan.Plan // rapid shrinks: the last one that failed
	passed := t.Run("machine", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			m := drawMachine(t)
			t.Repeat(map[string]func(*rapid.T){
				"append":   m.append,
				"buffered": m.buffered,
				"retry":    m.retry,
				"sync":     func(*rapid.T) { m.step("sync") },
				"wait":     func(*rapid.T) { m.step("wait") },
				"read":     func(*rapid.T) { m.step("read") },
				"advance":  m.advance,
				"jump":     m.jump,
				"reopen":   func(*rapid.T) { m.step("close"); m.step("open") },
				"crash":    m.crash,
				"fail":     m.fail,
			})
			r, err := scenarios.Run(context.Background(), m.plan, scenarios.Config{})
			if err != nil {
				t.Fatalf("%v\n%s", err, m.plan.Format())
			}
			if len(r.Violations) > 0 {
				smallest = r.Violations[0].Plan
				t.Fatal(r.Violations[0].Err)
			}
		})
	})
	if passed || smallest == nil {
		return
	}
	file := filepath.Join(os.TempDir(), "log-against-model.plan")
	if err := os.WriteFile(file, smallest.Format(), 0o644); err != nil {
		t.Error(err)
	}
	t.Errorf("the smallest plan that fails:\n%s\nreplay it: go run ./cmd/untorn-sim replay %s", smallest.Format(), file)
}

// planMachine draws a plan, step by step.
type planMachine struct {
	plan    *plan.Plan
	keyed   []int
	crashes int
}

func drawMachine(t *rapid.T) *planMachine {
	p := &plan.Plan{Scenario: "mixed", Seed: 1}
	p.Disk = rapid.SampledFrom([]string{"posix", "ext4", "ext4-writeback", "xfs", "btrfs", "sequential"}).Draw(t, "disk")
	p.Set("images", "25")
	p.Set("align", rapid.SampledFrom([]string{"0", "4096"}).Draw(t, "align"))
	p.Set("preallocate", rapid.SampledFrom([]string{"-1", "8192"}).Draw(t, "preallocate"))
	p.Set("synccount", rapid.SampledFrom([]string{"0", "3"}).Draw(t, "synccount"))
	m := &planMachine{plan: p}
	m.step("open")
	return m
}

func (m *planMachine) step(verb string, args ...plan.KV) int {
	n := len(m.plan.Steps) + 1
	m.plan.Steps = append(m.plan.Steps, plan.Step{Number: n, Verb: verb, Args: args})
	return n
}

func (m *planMachine) append(t *rapid.T) { m.batch(t) }

func (m *planMachine) buffered(t *rapid.T) { m.batch(t, plan.KV{Key: "buffered", Value: "true"}) }

func (m *planMachine) batch(t *rapid.T, args ...plan.KV) int {
	key := rapid.SampledFrom([]string{"", "", "a", "b", "c"}).Draw(t, "key")
	if key != "" {
		args = append(args, plan.KV{Key: "key", Value: key})
		m.keyed = append(m.keyed, len(m.plan.Steps)+1)
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "events") {
		words := []string{
			rapid.SampledFrom([]string{"s", "u", "c/s"}).Draw(t, "stream"), "t",
			fmt.Sprintf("size=%d", rapid.SampledFrom([]int{0, 1, 100, 700, 3000, 15000}).Draw(t, "size")),
		}
		if expect := rapid.SampledFrom([]string{"", "", "", "none", "exists", "0", "1", "2"}).Draw(t, "expect"); expect != "" {
			words = append(words, "expect="+expect)
		}
		if rapid.Bool().Draw(t, "rich") {
			words = append(words, "meta=30", "ext=2", "flags=5", "payload=6", "lane=1", "depth=2", "erasable")
			if i > 0 {
				words = append(words, "cause=0")
			}
		}
		args = append(args, plan.KV{Key: fmt.Sprint(i), Value: strings.Join(words, " ")})
	}
	return m.step("batch", args...)
}

func (m *planMachine) retry(t *rapid.T) {
	if len(m.keyed) == 0 {
		t.Skip("no call has a key yet")
	}
	m.step("retry", plan.KV{Key: "of", Value: fmt.Sprint(rapid.SampledFrom(m.keyed).Draw(t, "of"))})
}

func (m *planMachine) advance(t *rapid.T) {
	m.step("advance", plan.KV{Key: "by", Value: rapid.SampledFrom([]string{"1ms", "11ms", "1h"}).Draw(t, "by")})
}

func (m *planMachine) jump(t *rapid.T) {
	m.step("jump", plan.KV{Key: "by", Value: rapid.SampledFrom([]string{"-1h", "-1ms", "48h"}).Draw(t, "by")})
}

func (m *planMachine) crash(t *rapid.T) {
	if m.crashes == 3 {
		t.Skip("enough crashes")
	}
	m.crashes++
	m.step("crash",
		plan.KV{Key: "kind", Value: rapid.SampledFrom([]string{"power", "kill"}).Draw(t, "kind")},
		plan.KV{Key: "choices", Value: rapid.SampledFrom([]string{"newest", "oldest", "1", "2", "3"}).Draw(t, "choices")})
	m.step("open")
}

// fail appends a batch during which something goes wrong.
func (m *planMachine) fail(t *rapid.T) {
	n := m.batch(t)
	m.plan.Faults = append(m.plan.Faults, fmt.Sprintf("step=%d ", n)+rapid.SampledFrom([]string{
		"writeat seg #1: short 100", "writeat seg #1: fail EIO", "writeat seg #1: short 1000 ENOSPC",
		"syncdata seg #1: failsync keep-dirty", "syncdata seg #1: fail EIO",
	}).Draw(t, "fault"))
}
