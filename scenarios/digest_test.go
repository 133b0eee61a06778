package scenarios

import (
	"bytes"
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/zeebo/blake3"

	"github.com/untorn-db/untorn/replay/plan"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/digests.txt anew")

// traceDigest is a digest of a plan's trace, without the source lines, which any
// change of the log moves.
func traceDigest(t *testing.T, p *plan.Plan) string {
	t.Helper()
	got, err := Trace(context.Background(), p, Config{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range got.Entries {
		if op := got.Entries[i].Op; op != nil {
			op.Callers = nil
		}
	}
	var text bytes.Buffer
	if err := got.Write(&text); err != nil {
		t.Fatal(err)
	}
	sum := blake3.Sum256(text.Bytes())
	return hex.EncodeToString(sum[:])
}

// TestDigests compares the digests of a few seeds, and of their traces, with those on file. It is the
// test for determinism: it passes on every architecture, under the race
// detector, and for every number of processors, or something leaks into a run.
// A change of the format, of a scenario or of the model changes the digests: then
// run it with -rewrite.
func TestDigests(t *testing.T) {
	const file = "testdata/digests.txt"
	digests := func(workers int) string {
		var text strings.Builder
		for _, name := range Names() {
			for _, disk := range []string{"posix", "ext4"} {
				p, err := Draw(name, disk, 7)
				if err != nil {
					t.Fatal(err)
				}
				r, err := Run(context.Background(), p, Config{Workers: workers, Images: 30})
				if err != nil {
					t.Fatal(err)
				}
				if r.Recoveries == 0 || r.Violated > 0 {
					t.Fatalf("%s on %s: %d recoveries, %d violations", name, disk, r.Recoveries, r.Violated)
				}
				fmt.Fprintf(&text, "%s %s %s\n", name, disk, r.Digest)
				fmt.Fprintf(&text, "%s %s trace %s\n", name, disk, traceDigest(t, p))
			}
		}
		return text.String()
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(digests(1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, processors := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(processors)
		got := strings.Split(digests(processors), "\n")
		for i, line := range strings.Split(string(want), "\n") {
			if i >= len(got) || got[i] != line {
				t.Errorf("with %d processors:\n got %s\nwant %s", processors, got[min(i, len(got)-1)], line)
			}
		}
	}
}
