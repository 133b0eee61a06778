package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/untorn-db/untorn/engine"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files of inspect anew")

// looked makes a log of three segments, with all that inspect can show.
func looked(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	clock := &steady{time.Date(2026, 1, 31, 15, 4, 5, 0, time.UTC)}
	log, err := engine.Open(engine.Options{
		Dir: dir, Clock: clock, Rand: rand.NewChaCha8([32]byte{1}), SegmentSize: 64 << 10, Preallocate: -1,
		Signing: &engine.Signing{KeyID: "ops", Key: ed25519.NewKeyFromSeed(make([]byte, 32)), When: engine.SignOnDemand},
	})
	if err != nil {
		t.Fatal(err)
	}
	put := func(b engine.Batch) {
		t.Helper()
		if _, err := log.AppendBatch(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		clock.now = clock.now.Add(37*time.Minute + 1500*time.Millisecond)
	}
	for i := range 12 {
		scope := []string{"", "shop", "店舗"}[i%3]
		stream := []string{"order-1", "bill", "注文", "a\u202eb"}[i%4]
		put(engine.Batch{Events: []engine.Draft{{Scope: scope, Stream: stream, Type: "t", Data: bytes.Repeat([]byte{'.'}, 13_000)}}})
	}
	for i, name := range []string{"mail", "レポート"} {
		cursor, err := log.Cursor(name, engine.Query{Scope: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		put(engine.Batch{Notes: []engine.NoteDraft{cursor.Move(0, uint64(12-7*i))}})
	}
	if _, err := log.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(engine.Batch{Events: []engine.Draft{{Stream: "order-1", Type: "t"}}, Notes: []engine.NoteDraft{{Name: "leader", Data: []byte("ada")}}})
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"000000000009.seg": 9000, "000000000004.new": 4, "notes.txt": 1500, "\x1b]0;x\a": 0} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestInspect compares all that inspect prints with golden files: columns stand under
// each other whatever is in them, and nothing controls the terminal.
func TestInspect(t *testing.T) {
	if os.PathSeparator != '/' {
		t.Skip("no file can have such a name")
	}
	dir := looked(t)
	lock := regexp.MustCompile(`(LOCK      process |"lock":\{"process":)[0-9]+(, which is running|,"running":true)`)
	for _, test := range []struct {
		golden string
		args   []string
		code   int
	}{
		{"inspect.txt", nil, 0},
		{"inspect-wide.txt", []string{"--streams", "--cursors", "--notes", "--wide"}, 0},
		{"inspect-lists.txt", []string{"--streams", "--cursors", "--notes"}, 0},
		{"inspect-color.txt", []string{"--color", "always", "--streams"}, 0},
		{"inspect.json", []string{"--json", "--streams", "--cursors", "--notes"}, 0},
		{"inspect-damaged.txt", []string{"--salvage"}, 1},
		{"inspect-damaged.json", []string{"--salvage", "--json"}, 1},
	} {
		t.Run(test.golden, func(t *testing.T) {
			if test.code == 1 {
				file := filepath.Join(dir, "000000000002.seg")
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				flipped := bytes.Clone(data)
				flipped[20_000] ^= 1
				if err := os.WriteFile(file, flipped, 0o644); err != nil {
					t.Fatal(err)
				}
				defer os.WriteFile(file, data, 0o644)
			}
			code, stdout, stderr := output(append([]string{"inspect", "--dir", dir}, test.args...)...)
			if code != test.code || (stderr != "") != (code != 0) {
				t.Errorf("exit %d, want %d: %s", code, test.code, stderr)
			}
			if strings.Contains(test.golden, "color") {
				stdout = strings.ReplaceAll(stdout, "\x1b", "␛")
			}
			if !visible([]byte(strings.ReplaceAll(stdout, "\n", ""))) {
				t.Errorf("what a terminal does not show is in %q", stdout)
			}
			stdout = lock.ReplaceAllString(strings.ReplaceAll(stdout, dir, "DIR"), "${1}PID$2")
			name := filepath.Join("testdata", test.golden)
			if *rewrite {
				if err := os.WriteFile(name, []byte(stdout), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if stdout != string(want) {
				t.Errorf("%s is another (-rewrite writes it anew):\n%s", name, stdout)
			}
			if strings.Contains(test.golden, ".json") {
				for line := range strings.Lines(stdout) {
					var v map[string]any
					if err := json.Unmarshal([]byte(strings.Replace(line, `:PID,`, `:1,`, 1)), &v); err != nil {
						t.Errorf("%v: %s", err, line)
					}
				}
			}
		})
	}
}

// TestTextsForPeople: sizes and spans.
func TestTextsForPeople(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 1 << 20: "1.0 MiB", 64 << 20: "64.0 MiB",
		1023 << 10: "1023.0 KiB", 5 << 30: "5.0 GiB", 1 << 40: "1.0 TiB", 1<<63 - 1: "8.0 EiB",
	} {
		if got := bytesText(n); got != want {
			t.Errorf("%d bytes are %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 999: "0s", time.Millisecond: "1ms", 1500 * time.Millisecond: "1.5s", 59*time.Second + 999*time.Millisecond: "59.9s",
		time.Minute: "1m0s", 59*time.Minute + 59*time.Second: "59m59s", 3*time.Hour + 25*time.Minute: "3h25m",
		24 * time.Hour: "1d0h", 49*time.Hour + time.Minute: "2d1h",
	} {
		if got := spanText(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
	if got := fmt.Sprint(shown("a\tb").text, shown("店").text); got != `"a\tb"店` {
		t.Error(got)
	}
}
