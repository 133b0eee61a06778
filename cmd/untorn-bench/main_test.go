package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRun plays a very short round of every peer, in its three ways: alone, in
// company, and not synced.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("opens every store several times")
	}
	dir := t.TempDir()
	chart := filepath.Join(dir, "chart.svg")
	var out, progress bytes.Buffer
	args := []string{"--dir", dir, "--svg", chart, "--rounds", "1", "--round", "10ms",
		"--workload", "single/100,writers-16/1024,batch-100/100,buffered-100/1024"}
	if err := run(context.Background(), args, &out, &progress); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "failed") {
		t.Errorf("%s\n%s", progress.String(), out.String())
	}
	for _, p := range Peers() {
		if !strings.Contains(out.String(), "| "+p.Name) && p.Name != ourName {
			t.Errorf("no row of %s", p.Name)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

// TestRatios plays paired rounds of two peers.
func TestRatios(t *testing.T) {
	var out, progress bytes.Buffer
	args := []string{"--dir", t.TempDir(), "--svg", "", "--ratios", "--json", "--rounds", "2", "--round", "10ms",
		"--workload", "batch-100/100", "--peers", "untorn,gc:etcd-wal,tidwall-wal"}
	if err := run(context.Background(), args, &out, &progress); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `"peer":"untorn","over":"tidwall-wal"`) {
		t.Errorf("no ratio to the best peer: %s", out.String())
	}
	if strings.Contains(out.String(), "gc:") {
		t.Errorf("one writer has no company: %s", out.String())
	}
}

// TestInterrupt stops a run: it cleans up.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	var out, progress bytes.Buffer
	if err := run(ctx, []string{"--dir", dir, "--svg", ""}, &out, &progress); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(progress.String(), "interrupted in single/100") {
		t.Error(progress.String())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		args   string
		rounds int
		round  time.Duration
		wrong  string
	}{
		{"", 5, time.Second, ""},
		{"--quick", 2, 150 * time.Millisecond, ""},
		{"--ratios", 15, time.Second, ""},
		{"--ratios --rounds 30 --round 2s", 30, 2 * time.Second, ""},
		{"--quick --ratios", 0, 0, "exclude each other"},
		{"--rounds -1", 0, 0, "must be positive"},
		{"what", 0, 0, `unexpected "what"`},
	} {
		o, err := parse(strings.Fields(c.args), &bytes.Buffer{})
		switch {
		case c.wrong != "":
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%q: %v, want %q", c.args, err, c.wrong)
			}
		case err != nil:
			t.Errorf("%q: %v", c.args, err)
		case o.rounds != c.rounds || o.round != c.round:
			t.Errorf("%q: %d rounds of %v", c.args, o.rounds, o.round)
		}
	}
	if _, err := pickPeers("untorn,nobody"); err == nil || !strings.Contains(err.Error(), `no peer "nobody"`) {
		t.Errorf("an unknown peer: %v", err)
	}
	if _, err := pickWorkloads("single/7"); err == nil || !strings.Contains(err.Error(), `no workload "single/7"`) {
		t.Errorf("an unknown workload: %v", err)
	}
	if picked, err := pickPeers("untorn"); err != nil || len(picked) != 4 {
		t.Errorf("raw and the floors must come along: %v, %v", picked, err)
	}
	if picked, err := pickWorkloads("single,batch-100/1024"); err != nil || len(picked) != 3 {
		t.Errorf("%v, %v", picked, err)
	}
}
