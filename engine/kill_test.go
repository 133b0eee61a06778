package engine_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/untorn-db/untorn/engine"
)

// childDir tells the test binary that it is the child of TestKilledProcess.
const childDir = "UNTORN_TEST_APPEND_TO"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Fprintln(os.Stderr, appendForEver(dir, os.Stdout))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// appendForEver appends batches of one to four events and prints a line for each
// event that was acknowledged: its sequence and its payload.
func appendForEver(dir string, out io.Writer) error {
	log, err := engine.Open(killOptions(dir))
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "open")
	from := log.Stats().Written.Sequence
	for n := 0; ; n++ {
		var batch engine.Batch
		for i := range n%4 + 1 {
			batch.Events = append(batch.Events, engine.Draft{
				Stream: fmt.Sprint(n % 3), Type: "t", Data: fmt.Appendf(nil, "%d+%d.%d %s", from, n, i, strings.Repeat("x", n*37%5000)),
			})
		}
		receipts, err := log.AppendBatch(context.Background(), batch)
		if err != nil {
			return err
		}
		var lines strings.Builder
		for i, r := range receipts {
			fmt.Fprintf(&lines, "%d %s\n", r.Sequence, batch.Events[i].Data)
		}
		if _, err := io.WriteString(out, lines.String()); err != nil {
			return err
		}
	}
}

func killOptions(dir string) engine.Options {
	return engine.Options{Dir: dir, SegmentSize: 256 << 10}
}

// TestKilledProcess kills a process that appends, at a random moment, again and
// again, in one log. Nothing that it was told is missing.
func TestKilledProcess(t *testing.T) {
	kills := 100
	if testing.Short() {
		kills = 10
	}
	const seed = 1
	t.Logf("seed %d: %d kills", seed, kills)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	acked := map[uint64]string{}
	for kill := range kills {
		told := runAndKill(t, dir, time.Duration(random.IntN(60_000))*time.Microsecond)
		for _, line := range told {
			var sequence uint64
			if _, err := fmt.Sscan(line, &sequence); err != nil {
				t.Fatalf("the child says %q", line)
			}
			_, payload, _ := strings.Cut(line, " ")
			acked[sequence] = payload
		}
		if kill%10 == 9 || kill == kills-1 {
			checkKilled(t, dir, acked)
		}
	}
	if len(acked) < 3*kills {
		t.Errorf("only %d events were acknowledged", len(acked))
	}
}

// checkKilled reads the log without repairing it, so that the next child does.
func checkKilled(t *testing.T, dir string, acked map[uint64]string) {
	t.Helper()
	options := killOptions(dir)
	options.ReadOnly = true
	log := openDir(t, options)
	defer log.Close()
	verified(t, log)
	there := map[uint64]string{}
	for _, e := range all(t, log, engine.Query{Buffered: true}) {
		there[e.Sequence] = string(e.Data)
	}
	for sequence, payload := range acked {
		if there[sequence] != payload {
			t.Fatalf("event %d was acknowledged as %.40q, and is %.40q", sequence, payload, there[sequence])
		}
	}
}

// runAndKill runs the child, kills it some time after it has opened the log, and
// returns the whole lines that it has printed.
func runAndKill(t *testing.T, dir string, after time.Duration) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.run=^$")
	child.Env = append(os.Environ(), childDir+"="+dir)
	var complaint strings.Builder
	child.Stderr = &complaint
	pipe, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(pipe)
	if line, err := out.ReadString('\n'); line != "open\n" {
		_ = child.Wait()
		t.Fatalf("the child does not open the log: %q, %v, %s", line, err, complaint.String())
	}
	timer := time.AfterFunc(after, func() { _ = child.Process.Kill() })
	defer timer.Stop()
	text, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	if complaint.Len() > 0 {
		t.Fatalf("the child says: %s", complaint.String())
	}
	whole := text[:strings.LastIndexByte(string(text), '\n')+1]
	return strings.FieldsFunc(string(whole), func(r rune) bool { return r == '\n' })
}
