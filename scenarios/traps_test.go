package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simclock"
	"github.com/untorn-db/untorn/simfs"
)

// The traps that the engine's contract lists: what an event store of this kind
// got wrong. Each is a regression test. Two cannot apply yet: 13 (compaction
// renumbers and re-encodes what it keeps), since nothing is compacted; and 14 (a
// crash with a fence open publishes the fenced events), since there are no
// transactions.

// sound runs a plan on some disks and fails the test for every violation, and for
// faults of it that never happened on any of them.
func sound(t *testing.T, disks, scenario string, lines ...string) {
	t.Helper()
	fired := map[string]bool{}
	recoveries := 0
	for _, disk := range strings.Fields(disks) {
		text := fmt.Sprintf("untorn plan 1\nscenario %s\ndisk %s\nseed 1\n%s\n", scenario, disk, strings.Join(lines, "\n"))
		p := parsed(t, text)
		r, err := Run(context.Background(), p, Config{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.FaultsFired {
			fired[f] = true
		}
		recoveries += r.Recoveries
		if len(r.Violations) > 0 {
			v := r.Violations[0]
			t.Errorf("%v\n%s", v.Err, v.Plan.Format())
		}
	}
	for _, line := range lines {
		if f, ok := strings.CutPrefix(line, "fault "); ok && !fired[f] {
			t.Errorf("%s did not happen", line)
		}
	}
	if recoveries == 0 {
		t.Error("nothing was recovered")
	}
}

const everyDisk = "posix ext4 ext4-writeback xfs btrfs sequential"

func TestTrap1NumbersDriftAfterAScan(t *testing.T) {
	sound(t, everyDisk, "mixed", "set images = 150",
		`step 1 open`,
		`step 2 batch 0="s t size=100" 1="u t size=9"`,
		`step 3 batch 0="s t size=5000"`, // fails: what takes its number?
		`step 4 batch 0="s t size=10 expect=9"`,
		`step 5 batch buffered=true 0="u t size=100"`,
		`step 6 crash kind=power choices=3`,
		`step 7 open`,
		`step 8 batch 0="s t size=10" 1="u t size=10"`,
		`step 9 close`,
		`step 10 open`,
		`step 11 batch 0="s t size=20"`,
		`step 12 read`)
	sound(t, "posix", "rollback", "set images = 300",
		`step 1 open`, `step 2 batch 0="s t size=100"`, `step 3 batch 0="s t size=5000" 1="u t size=9"`, `step 4 batch 0="s t size=10" 1="u t size=3"`, `step 5 close`, `step 6 open`, `step 7 batch 0="u t size=10"`, `step 8 read`,
		"fault step=3 writeat seg #1: short 1000")
}

// TestTrap2EqualPayloadsLookLikeOneAncestor: hashes bind the stream, the version
// and all that came before, not only the payload.
func TestTrap2EqualPayloadsLookLikeOneAncestor(t *testing.T) {
	log := openTrap(t, simfs.New(simfs.Options{}), engine.Options{})
	ctx := context.Background()
	same := engine.Draft{Stream: "s", Type: "t", Data: []byte("same")}
	other := same
	other.Stream = "u"
	scoped := same
	scoped.Scope = "x"
	receipts, err := log.AppendBatch(ctx, engine.Batch{Events: []engine.Draft{same, same, other, scoped}})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[engine.Hash]bool{}
	for _, r := range receipts {
		if seen[r.Hash] {
			t.Errorf("event %d has the hash of another", r.Sequence)
		}
		seen[r.Hash] = true
		for _, o := range receipts {
			forged := r
			forged.Hash = o.Hash
			if err := log.VerifyReceipt(forged); (err == nil) != (o.Sequence == r.Sequence) {
				t.Errorf("event %d under the hash of event %d: %v", r.Sequence, o.Sequence, err)
			}
		}
	}
	first := log.LogHead()
	if _, err := log.Append(ctx, same); err != nil {
		t.Fatal(err)
	}
	if log.LogHead().Hash == first.Hash {
		t.Error("the head does not say what was appended")
	}
}

func TestTrap3AFailedBatchSwallowsTheNext(t *testing.T) {
	for _, bytes := range []int{1, 64, 200, 500, 900, 1300} {
		sound(t, "posix ext4", "rollback", "set images = 150",
			`step 1 open`, `step 2 batch 0="s t size=50"`,
			`step 3 batch 0="s t size=300" 1="s t size=300" 2="u t size=300" 3="u t size=300"`,
			`step 4 batch 0="s t size=30"`, `step 5 batch 0="s t size=30" 1="u t size=30" 2="s t size=30"`, `step 6 read`,
			fmt.Sprintf("fault step=3 writeat seg #1: short %d", bytes))
	}
	sound(t, everyDisk, "batch", "set images = 300", "set depth = 1", // the power is cut inside it
		`step 1 open`, `step 2 batch 0="s t size=300" 1="s t size=300" 2="u t size=300" 3="u t size=300"`, `step 3 batch 0="s t size=30"`)
}

// TestTrap4ATornTailOutlivesTheNextCrash: nothing torn stays where a later crash
// finds it in a segment that is no longer the last.
func TestTrap4ATornTailOutlivesTheNextCrash(t *testing.T) {
	for seed := 1; seed <= 4; seed++ {
		sound(t, "posix ext4-writeback", "crashloop", "set images = 200", "set depth = 2",
			`step 1 open`, `step 2 batch 0="s t size=100"`, `step 3 batch buffered=true 0="s t size=2000" 1="s t size=2000"`,
			fmt.Sprintf(`step 4 crash kind=power choices=%d`, seed),
			`step 5 open`, `step 6 batch buffered=true 0="s t size=3000"`,
			fmt.Sprintf(`step 7 crash kind=power choices=%d`, seed+100),
			`step 8 open`, `step 9 batch 0="s t size=20000" 1="s t size=20000"`, `step 10 batch 0="s t size=20000" 1="s t size=20000"`, `step 11 batch 0="s t size=20000"`)
	}
}

// TestTrap5AGoodSyncAfterAFailedOneClaimsTooMuch: after a failed sync nothing is
// claimed that is in the page cache only.
func TestTrap5AGoodSyncAfterAFailedOneClaimsTooMuch(t *testing.T) {
	for disk, modes := range map[string]string{"posix": "ext4 xfs keep-dirty shutdown", "ext4": "ext4 ext4-data keep-dirty", "xfs": "xfs", "btrfs": "btrfs"} {
		for _, mode := range strings.Fields(modes) {
			sound(t, disk, "syncfail", "set images = 150",
				`step 1 open`, `step 2 batch 0="s t size=50"`, `step 3 batch buffered=true 0="s t size=50"`,
				`step 4 batch key=k 0="s t size=700"`,
				`step 5 batch 0="s t size=30"`, `step 6 sync`, `step 7 close`, `step 8 open`, `step 9 batch 0="s t size=30"`, `step 10 retry of=4`, `step 11 read`,
				"fault step=4 syncdata seg #1: failsync "+mode)
			for _, crash := range []string{"kill", "power choices=oldest", "power choices=7"} { // after the failed sync
				plan := parsed(t, fmt.Sprintf("untorn plan 1\nscenario syncfail\ndisk %s\nseed 1\nset images = 150\n", disk)+
					"step 1 open\nstep 2 batch 0=\"s t size=50\"\nstep 3 batch key=k 0=\"s t size=700\"\nstep 4 crash kind="+crash+
					"\nstep 5 open\nstep 6 batch 0=\"s t size=30\"\nstep 7 retry of=3\nstep 8 read\nfault step=3 syncdata seg #1: failsync "+mode)
				if violation := broken(t, plan, nil); violation != "" {
					t.Errorf("%s\n%s", violation, plan.Format())
				}
			}
		}
	}
}

// TestTrap6APartialWriteMovesTheCursor: what comes after a short write is where it
// belongs.
func TestTrap6APartialWriteMovesTheCursor(t *testing.T) {
	for _, fault := range []string{"short 100", "short 5000", "fail EIO", "short 600 ENOSPC"} {
		sound(t, "posix btrfs", "rollback", "set images = 150", "set preallocate = 8192",
			`step 1 open`, `step 2 batch buffered=true 0="s t size=50"`, `step 3 batch 0="s t size=9000"`, `step 4 batch 0="s t size=70"`,
			`step 5 batch 0="s t size=9000"`, `step 6 batch 0="s t size=70"`, `step 7 close`, `step 8 open`, `step 9 batch 0="s t size=70"`, `step 10 read`,
			"fault step=3 writeat seg #1: "+fault, "fault step=5 writeat seg #1: "+fault)
	}
}

// TestTrap7AKeyedExpectationFailsWhenRetried: a retry finds its key before its
// expectation, which its own first effect has made wrong.
func TestTrap7AKeyedExpectationFailsWhenRetried(t *testing.T) {
	sound(t, everyDisk, "retry", "set images = 200", "set depth = 1",
		`step 1 open`, `step 2 batch key=k 0="s t size=50 expect=none" 1="s t size=50 expect=1"`, `step 3 retry of=2`,
		`step 4 batch 0="s t size=50 expect=2 key=l"`, `step 5 retry of=2`, `step 6 retry of=4`, `step 7 close`, `step 8 open`, `step 9 retry of=4`, `step 10 retry of=2`)
	sound(t, "posix", "retry", "set images = 200",
		`step 1 open`, `step 2 batch key=k 0="s t size=50 expect=none"`, `step 3 retry of=2`, `step 4 close`, `step 5 open`, `step 6 retry of=2`, `step 7 retry of=2`,
		"fault step=2 syncdata seg #1: failsync ext4")
}

// TestTrap8CancelledWorkAnswersOkWhenRetried: a cancelled call has no effect, and
// its key is as never used. (As far as it exists: there are no transactions.)
func TestTrap8CancelledWorkAnswersOkWhenRetried(t *testing.T) {
	disk := simfs.New(simfs.Options{})
	log := openTrap(t, disk, engine.Options{})
	batch := engine.Batch{Key: "k", Events: []engine.Draft{{Stream: "s", Type: "t", Expect: engine.NoStream}}}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for range 2 {
		if _, err := log.AppendBatch(cancelled, batch); !errors.Is(err, engine.ErrRejected) || !errors.Is(err, context.Canceled) {
			t.Fatalf("a cancelled call: %v", err)
		}
	}
	if _, err := log.ReceiptOf("k/0"); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("a cancelled call has a receipt: %v", err)
	}
	receipts, err := log.AppendBatch(context.Background(), batch)
	if err != nil || receipts[0].Sequence != 1 || !receipts[0].Durable {
		t.Errorf("the retry: %+v, %v", receipts, err)
	}
}

// TestTrap9RecoveredBytesThatWereNeverSynced: what an Open shows is durable, also
// when it only read the page cache.
func TestTrap9RecoveredBytesThatWereNeverSynced(t *testing.T) {
	for _, size := range []int{50, 700, 9000} {
		sound(t, everyDisk, "crashloop", "set images = 300", "set depth = 1",
			`step 1 open`, `step 2 batch 0="s t size=100"`, fmt.Sprintf(`step 3 batch buffered=true 0="s t size=%d"`, size),
			`step 4 crash kind=kill`, `step 5 open`, `step 6 read`, `step 7 close`, `step 8 open`, `step 9 batch 0="s t size=100"`)
	}
}

func TestTrap10ZeroAndGarbageTails(t *testing.T) {
	for _, preallocate := range []string{"-1", "8192"} {
		sound(t, everyDisk, "batch", "set images = 400", "set preallocate = "+preallocate,
			`step 1 open`, `step 2 batch 0="s t size=5000"`, `step 3 batch 0="s t size=100" 1="s t size=5000"`, `step 4 batch 0="s t size=9"`)
	}
}

// TestTrap11AnswersBeforeTheSharedSync: today a group is one call, but a call's
// answer also follows from the buffered calls before it.
func TestTrap11AnswersBeforeTheSharedSync(t *testing.T) {
	sound(t, everyDisk, "mixed", "set images = 200",
		`step 1 open`, `step 2 batch buffered=true key=k 0="s t size=50"`, `step 3 batch buffered=true 0="s t size=600"`,
		`step 4 batch 0="s t size=50 expect=none"`, // refused because of step 2, which must be durable then
		`step 5 batch buffered=true key=l 0="s t size=50"`, `step 6 retry of=5`, `step 7 batch 0="u t size=50"`, `step 8 read`)
}

func TestTrap12ItemsLoseFlagsAndPayloadVersion(t *testing.T) {
	sound(t, everyDisk, "mixed", "set images = 100",
		`step 1 open`,
		`step 2 batch 0="s t size=9 flags=7 payload=3 lane=1 depth=2" 1="c/s t size=9 flags=8 payload=4 lane=3 depth=4 cause=0 correlation=77 ext=3 meta=20 erasable" 2="s t size=0 flags=4294967295 payload=4294967295"`,
		`step 3 read`, `step 4 batch 0="s t size=9 flags=1 payload=2"`, `step 5 close`, `step 6 open`, `step 7 read`)
}

// TestTrap15AReaderNeedsTheWritersLock: anybody may read beside the writer, and
// takes no lock from one who comes later.
func TestTrap15AReaderNeedsTheWritersLock(t *testing.T) {
	disk := simfs.New(simfs.Options{})
	log := openTrap(t, disk, engine.Options{})
	var want []uint64
	for i := range 5 {
		if _, err := log.Append(context.Background(), engine.Draft{Stream: "s", Type: "t"}); err != nil {
			t.Fatal(err)
		}
		want = append(want, uint64(i+1))
		reader := openTrap(t, disk, engine.Options{ReadOnly: true})
		var got []uint64
		for event, err := range reader.Read(engine.Query{Buffered: true}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, event.Sequence)
		}
		if !slices.Equal(got, want) {
			t.Errorf("a reader sees %v, want %v", got, want)
		}
		if i == 3 {
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
			log = openTrap(t, disk, engine.Options{}) // while the reader is there
		}
		if err := reader.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// openTrap opens a log on a simulated disk; it is verified and closed with the
// test.
func openTrap(t *testing.T, disk *simfs.FS, options engine.Options) *engine.Log {
	t.Helper()
	clock := simclock.New(simclock.Epoch())
	options.FS, options.Dir, options.Clock, options.Waits, options.Rand = disk, "log", clock, waits{clock}, newStream(uint64(disk.Ops()), t.Name())
	log, err := engine.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := log.Verify(context.Background()); err != nil && !errors.Is(err, engine.ErrClosed) {
			t.Error(err)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

// TestAlignOnADiskWithoutPowersafeOverwrite: there a torn write may harm bytes
// that it did not touch. Groups that share a block must be lost on it (or the
// simulated disk does not do what it says), groups with blocks of their own must
// not.
func TestAlignOnADiskWithoutPowersafeOverwrite(t *testing.T) {
	workload := []string{
		`step 1 open`, `step 2 batch 0="s t size=300"`, `step 3 batch 0="s t size=300"`, `step 4 batch buffered=true 0="s t size=700"`,
		`step 5 batch 0="s t size=2000"`, `step 6 batch 0="s t size=100"`, `step 7 close`, `step 8 open`, `step 9 batch 0="s t size=100"`,
	}
	for _, preallocate := range []string{"-1", "8192"} {
		settings := "set powersafe = false\nset images = 1500\nset deviation = 2\nset preallocate = " + preallocate + "\n"
		text := "untorn plan 1\nscenario batch\ndisk posix\nseed 1\n" + settings + "set align = %s\n" + strings.Join(workload, "\n") + "\n"
		if violation := broken(t, parsed(t, fmt.Sprintf(text, "0")), nil); violation == "" {
			t.Errorf("preallocate %s: without alignment nothing is lost", preallocate)
		} else {
			t.Logf("without alignment: %s", violation)
		}
		if violation := broken(t, parsed(t, fmt.Sprintf(text, "4096")), nil); violation != "" {
			t.Errorf("preallocate %s: with alignment: %s", preallocate, violation)
		}
	}
}
