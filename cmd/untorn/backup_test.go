package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestBackupBesideAppend: while somebody appends, a backup has what the log says is
// durable, and says what it has not; once that has ended the next one has all.
func TestBackupBesideAppend(t *testing.T) {
	base := t.TempDir()
	dir, to := filepath.Join(base, "log"), filepath.Join(base, "backup")
	input, lines := io.Pipe()
	receipts, told := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run([]string{"append", "--dir", dir, "--json"}, input, told, io.Discard)
		told.Close()
	}()
	scanner := bufio.NewScanner(receipts)
	for i := range 3 {
		if _, err := fmt.Fprintf(lines, "{\"stream\":\"s\",\"type\":\"t\",\"data\":%d}\n", i); err != nil {
			t.Fatal(err)
		}
		if !scanner.Scan() {
			t.Fatal("no receipt")
		}
		code, stdout, stderr := output("backup", "--dir", dir, "--to", to)
		if i == 0 {
			if code != 1 || !strings.HasPrefix(stderr, "untorn: backup: nothing in "+dir+" is known to be durable yet: ") {
				t.Errorf("exit %d: %s%s", code, stdout, stderr)
			}
			continue
		}
		want := fmt.Sprintf("^%d events? in %d batch(es)? and .* backed up to ", i, i)
		if code != 0 || !regexp.MustCompile(want).MatchString(stdout) || !strings.HasPrefix(stderr, "untorn: note: 1 batch at the end may not be durable yet, and not in it: ") {
			t.Errorf("exit %d: %s%s", code, stdout, stderr)
		}
	}
	code, _, stderr := output("restore", "--from", dir, "--dir", filepath.Join(base, "restored"))
	if code != 1 || !strings.Contains(stderr, "untorn: restore: the log was not closed: ") {
		t.Errorf("restored from a log that is open: exit %d: %s", code, stderr)
	}
	code, _, stderr = output("restore", "--from", to, "--dir", dir)
	if code != 1 || !strings.HasSuffix(stderr, fmt.Sprintf("has a log in %s open for writing: name another directory\n", dir)) {
		t.Errorf("restored over a log that is open: exit %d: %s", code, stderr)
	}
	lines.Close()
	if code := <-ended; code != 0 {
		t.Fatalf("append: exit %d", code)
	}
	code, stdout, stderr := output("backup", "--dir", dir, "--to", to)
	if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "3 events in 3 batches and ") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

// TestInterruptedBackup leaves nothing behind, and says so.
func TestInterruptedBackup(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "log")
	var errs strings.Builder
	if code := run([]string{"append", "--dir", dir}, strings.NewReader(`{"stream":"s","type":"t"}`), io.Discard, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{
		{"backup", "--dir", dir, "--to", filepath.Join(base, "new")},
		{"restore", "--from", dir, "--dir", filepath.Join(base, "new")},
	} {
		p := program()
		errs.Reset()
		code := p.Run(ctx, args, strings.NewReader(""), io.Discard, &errs)
		if want := fmt.Sprintf("untorn: %s: interrupted: nothing new is in %s\n", args[0], filepath.Join(base, "new")); code != 1 || errs.String() != want {
			t.Errorf("exit %d: %q, want %q", code, errs.String(), want)
		}
	}
	if entries, err := os.ReadDir(base); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
