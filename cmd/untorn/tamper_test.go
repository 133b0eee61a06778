package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/scenarios/tamper"
)

// lay writes files into a new directory.
func lay(t *testing.T, files map[string][]byte) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "log")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, bytes := range files {
		if err := os.WriteFile(filepath.Join(dir, name), bytes, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestVerifyHeadNamesTampering lays logs that somebody has tampered with on a real
// disk: verify --head exits with 1 for every one, with 0 for those as they were, and
// changes no file. Of a log in which the head holds it says how far it has gone on, since
// nobody can tell who has put batches after it.
func TestVerifyHeadNamesTampering(t *testing.T) {
	samples, err := tamper.Samples(t.Context(), 3, 250)
	if err != nil {
		t.Fatal(err)
	}
	whole, longer := 0, 0
	for _, s := range samples {
		dir := lay(t, s.Files)
		code, stdout, stderr := output("verify", "--dir", dir, "--head", fmt.Sprintf("%d:%v", s.Head.Batch, s.Head.Hash))
		want := 1
		switch {
		case s.About == "":
			want = 0
			whole++
		case strings.HasPrefix(s.About, "batches put behind, all hashes right"):
			want = 0
			longer++
			if holds := fmt.Sprintf("note: the head of batch %d holds; the log has gone on to batch ", s.Head.Batch); !strings.Contains(stderr, holds) {
				t.Errorf("%s: %s", s.About, stderr)
			}
		}
		if code != want {
			t.Errorf("%s: exit code %d\n%s%s", s.About, code, stdout, stderr)
		}
		for name, bytes := range s.Files {
			if now, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(now) != string(bytes) {
				t.Errorf("%s: verify has changed %s: %v", s.About, name, err)
			}
		}
	}
	if whole < 3 || longer < 3 || len(samples) < 150 {
		t.Errorf("%d samples, %d of them as they were, %d longer", len(samples), whole, longer)
	}
}

// TestVerifyKeysNamesWhoHasSigned does the same with verify --keys: it exits with 1
// for every log that was changed and signed again, and with 0 for one as it was.
func TestVerifyKeysNamesWhoHasSigned(t *testing.T) {
	samples, err := tamper.Samples(t.Context(), 5, 3000)
	if err != nil {
		t.Fatal(err)
	}
	whole, again := 0, 0
	for _, s := range samples {
		if !s.Signed || s.About != "" && !s.ByKeys {
			continue
		}
		dir := lay(t, s.Files)
		keys := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(keys, []byte(s.Keys.Format()), 0o644); err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr := output("verify", "--dir", dir, "--keys", keys)
		want := 1
		if s.About == "" {
			want = 0
			whole++
		} else {
			again++
		}
		if code != want {
			t.Errorf("%s: exit code %d\n%s%s", s.About, code, stdout, stderr)
		}
	}
	if whole == 0 || again < 4 {
		t.Errorf("%d logs as they were, %d that were signed again", whole, again)
	}
}

// TestVerifyHeadOfNotes: a head that signatures, or other notes, stand between is
// compared as well, also one before the first event.
func TestVerifyHeadOfNotes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	log, err := engine.Open(engine.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var heads []string
	note := engine.Batch{Notes: []engine.NoteDraft{{Name: "note"}}}
	event := engine.Batch{Events: []engine.Draft{{Stream: "s", Type: "t"}, {Stream: "s", Type: "t"}}}
	for _, batch := range []engine.Batch{note, event, note, note, event, note} {
		if _, err := log.AppendBatch(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		head := log.LogHead()
		heads = append(heads, fmt.Sprintf("%d:%v", head.Batch, head.Hash))
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for i, head := range heads {
		code, _, stderr := output("verify", "--dir", dir, "--head", head)
		holds := stderr == fmt.Sprintf("untorn: note: the head of batch %d holds; the log has gone on to batch %d\n", i+1, len(heads))
		if code != 0 || holds != (i+1 < len(heads)) {
			t.Errorf("%s: exit code %d, %s", head, code, stderr)
		}
		_, hash, _ := strings.Cut(head, ":")
		if code, _, stderr := output("verify", "--dir", dir, "--head", fmt.Sprintf("%d:%s", i+2, hash)); code != 1 {
			t.Errorf("%s as the head of the batch after it: exit code %d, %s", head, code, stderr)
		}
	}
}

// TestVerifyHeadOfMore: what lies after the head and is not proven was not verified,
// which is said; a head of it cannot be compared.
func TestVerifyHeadOfMore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	log, err := engine.Open(engine.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var heads []string
	for _, batch := range []engine.Batch{
		{Events: []engine.Draft{{Stream: "s", Type: "t"}}},
		{Notes: []engine.NoteDraft{{Name: "note"}}}, // no event, and more all the same
	} {
		if _, err := log.AppendBatch(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		head := log.LogHead()
		heads = append(heads, fmt.Sprintf("%d:%v", head.Batch, head.Hash))
	}
	// The log is open: no END proves its last batch.
	if code, _, stderr := output("verify", "--dir", dir); code != 0 || !strings.Contains(stderr, "1 batch at the end may not be durable yet") {
		t.Fatalf("verify: exit code %d, %s", code, stderr)
	}
	for _, args := range [][]string{{}, {"--json"}} {
		code, stdout, stderr := output(append([]string{"verify", "--dir", dir, "--head", heads[0]}, args...)...)
		if code != 0 || !strings.Contains(stderr, "the head of batch 1 holds; the log has gone on to batch 2\n") ||
			!strings.Contains(stderr, "1 batch at the end may not be durable yet, and not verified") {
			t.Errorf("verify --head of the first batch %v: exit code %d, %s", args, code, stderr)
		}
		if len(args) > 0 && (!strings.HasPrefix(stdout, `{"ok":true,`) || !strings.Contains(stdout, `"unprovenBatches":1,"torn":false,"batchesSince":1}`)) {
			t.Errorf("verify --json: %s", stdout)
		}
	}
	if code, _, stderr := output("verify", "--dir", dir, "--head", heads[1]); code != 1 || !strings.Contains(stderr, "--head is of batch 2, which may not be durable yet") {
		t.Errorf("verify --head of a batch that nothing proves: exit code %d, %s", code, stderr)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := output("verify", "--dir", dir, "--head", heads[1]); code != 0 {
		t.Errorf("verify --head of a closed log: exit code %d, %s", code, stderr)
	}
}
