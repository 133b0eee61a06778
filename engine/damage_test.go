package engine_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/record"
)

// TestDamageIsNamedWhereItIs: at the batch in which it is, whatever is whole behind
// it, such as the END in the next block; and what is whole behind it is salvaged.
func TestDamageIsNamedWhereItIs(t *testing.T) {
	for _, align := range []int{0, 4096} {
		for _, add := range []func(*testing.T, *engine.Log, ...string) []engine.Receipt{appended, buffered} {
			m := newMachine(t, engine.Options{Align: align})
			log := m.open()
			var receipts []engine.Receipt
			for i := range 4 {
				receipts = append(receipts, add(t, log, fmt.Sprint(i), fmt.Sprint(i))...)
			}
			closed(t, log)
			disk := m.disk
			for i := range 8 {
				for _, within := range []int64{0, 40, 70} { // header, and content
					begin := receipts[i/2*2]
					name := fmt.Sprintf("align %d, event %d, byte %d", align, i+1, within)
					want := fmt.Sprintf("segment 1, byte %d, event %d", begin.Position.Offset-record.MarkSize, begin.Sequence)
					named := func(how string, err error) {
						t.Helper()
						var damage *engine.CorruptError
						if !errors.As(err, &damage) {
							t.Fatalf("%s: %s: %v", name, how, err)
						}
						if got := fmt.Sprintf("segment %d, byte %d, event %d", damage.Segment, damage.Offset, damage.Sequence); got != want {
							t.Errorf("%s: %s says %s, want %s: %v", name, how, got, want, err)
						}
					}
					flip := func(b []byte) []byte { b[receipts[i].Position.Offset+within] ^= 1; return b }

					log := m.open()
					edit(t, disk, firstSegment, flip)
					_, err := log.Verify(t.Context())
					named("Verify", err)
					closed(t, log)
					_, err = engine.Open(m.seams())
					named("Open", err)
					o := m.seams()
					o.ReadOnly, o.Salvage = true, true
					log = openDir(t, o)
					damage := log.Recovery().Damage
					if len(damage) != 1 {
						t.Fatalf("%s: %v", name, damage)
					}
					named("Salvage", damage[0])
					if got := len(all(t, log, engine.Query{Buffered: true})); got != 6 {
						t.Errorf("%s: salvaged %d events of 6", name, got)
					}
					closed(t, log)
					edit(t, disk, firstSegment, flip)
				}
			}
		}
	}
}
