package engine_test

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simfs"
)

// salvaged is what can be read of a damaged log.
func salvaged(m *machine) []string {
	m.t.Helper()
	o := m.seams()
	o.ReadOnly, o.Salvage = true, true
	log, err := engine.Open(o)
	if err != nil {
		m.t.Fatalf("salvage: %v", err)
	}
	defer log.Close()
	if len(log.Recovery().Damage) == 0 {
		m.t.Error("salvage names no damage")
	}
	return payloads(all(m.t, log, engine.Query{Buffered: true}))
}

// carried returns a machine whose log goes on in a fresh segment, 2, that carries
// an event and was made by an Open to which the faults happened.
func carried(t *testing.T, faults ...string) (*machine, *engine.Log) {
	m := newMachine(t, engine.Options{Preallocate: -1})
	log := m.open()
	appended(t, log, "one")
	appended(t, log, "two")
	m.crash(simfs.ProcessKill, nil)
	log = m.open(faults...)
	if fresh := log.Recovery().Fresh; fresh != 2 || log.Recovery().Carried != 1 {
		t.Fatalf("fresh segment %d carries %d", fresh, log.Recovery().Carried)
	}
	return m, log
}

// TestAHeaderThatIsInThePageCacheOnly: the sync of a fresh segment fails, and it
// is a later one that is told, or nobody. The log is opened again, in the same
// process or after a restart, and sees the segment as it should be, though it is
// not on the disk. What is acknowledged from then on must not vanish with its
// header.
func TestAHeaderThatIsInThePageCacheOnly(t *testing.T) {
	for _, restart := range []bool{false, true} {
		m, log := carried(t, "step=0 sync new #1: failsync ext4-data")
		if restart {
			m.crash(simfs.ProcessKill, nil)
		} else if err := log.Close(); !errors.Is(err, syscall.EIO) {
			t.Errorf("Close is not told: %v", err)
		}
		log = m.open()
		appended(t, log, "acknowledged")
		m.powerLoss(simfs.Oldest())
		log, err := engine.Open(m.seams())
		if restart {
			// What it carries shares a page with what was acknowledged.
			if err != nil {
				t.Fatal(err)
			}
			m.holds(log, "one", "two", "acknowledged")
			continue
		}
		if !errors.Is(err, engine.ErrCorrupt) {
			t.Errorf("what it carries is lost, and Open says %v", err)
		}
		if got := salvaged(m); !slices.Equal(got, []string{"one", "acknowledged"}) {
			t.Errorf("salvage reads %q", got)
		}
	}
}

// TestASegmentThatLostItsName: a directory's sync has lied, and a segment that
// got batches is there as the unfinished file that it was. It is not removed as
// one.
func TestASegmentThatLostItsName(t *testing.T) {
	const name = "log/000000000002"
	for _, more := range []string{"", "three"} {
		m, log := carried(t)
		if more != "" {
			appended(t, log, more)
		}
		m.crash(simfs.ProcessKill, nil)
		if err := errors.Join(m.disk.Rename(name+".seg", name+".new"), m.disk.SyncDir("log")); err != nil {
			t.Fatal(err)
		}
		before := tree(t, m.disk)
		log, err := engine.Open(m.seams())
		if more == "" {
			// As if the rename had never been: what it carries is in the segment before.
			if err != nil {
				t.Fatal(err)
			}
			m.holds(log, "one", "two")
			continue
		}
		var damage *engine.CorruptError
		if !errors.As(err, &damage) || damage.Segment != 2 || damage.Sequence != 3 {
			t.Errorf("a segment without its name: %v", err)
		}
		if after := tree(t, m.disk); after["000000000002.new"] != before["000000000002.new"] {
			t.Error("it was removed")
		}
	}
}
