package scenarios

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/simfs"
)

// drawing is a plan on its way. It remembers a little of what its steps will
// do, so that expectations hold often and keys are used again; the runner does
// not depend on that.
type drawing struct {
	plan     *plan.Plan
	rand     *rand.Rand
	versions map[string]int // events drawn for each stream
	keyed    []int          // steps whose batch has a key
}

func kv(key string, value any) plan.KV { return plan.KV{Key: key, Value: fmt.Sprint(value)} }

func (d *drawing) step(verb string, args ...plan.KV) int {
	n := len(d.plan.Steps) + 1
	d.plan.Steps = append(d.plan.Steps, plan.Step{Number: n, Verb: verb, Args: args})
	return n
}

func (d *drawing) chance(percent int) bool { return d.rand.IntN(100) < percent }

// between draws from least to most, both included.
func (d *drawing) between(least, most int) int { return least + d.rand.IntN(most-least+1) }

// oneOf draws one word of a text.
func (d *drawing) oneOf(words string) string {
	list := strings.Fields(words)
	return list[d.rand.IntN(len(list))]
}

// set draws a setting out of several.
func (d *drawing) set(key, values string) { d.plan.Set(key, d.oneOf(values)) }

// fault adds a fault. Where oneOf draws several words of it, underscores stand
// between them.
func (d *drawing) fault(step int, format string, args ...any) {
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "_", " ")
	d.plan.Faults = append(d.plan.Faults, fmt.Sprintf("step=%d %s", step, text))
}

// batches says what the batches of a workload look like.
type batches struct {
	items    int // at most so many
	size     int // of a payload, at most
	keyed    int // percent
	again    int // percent of those with a key that take one which was used for something else
	buffered int // percent
	expect   int // percent of the items
	rich     int // percent of the items that use more fields
	notes    int // percent that have notes; half of them have nothing else
}

// batch draws a batch.
func (d *drawing) batch(b batches) int {
	var args []plan.KV
	step := len(d.plan.Steps) + 1
	var notes []plan.KV
	if b.notes > 0 && d.chance(b.notes) {
		for i := range d.between(1, 2) {
			notes = append(notes, kv(fmt.Sprint("n", i), fmt.Sprintf("%s size=%d", d.oneOf("a b c"), d.rand.IntN(b.size+1))))
		}
		if d.chance(50) {
			if d.chance(b.buffered) {
				args = append(args, kv("buffered", true))
			}
			return d.step("batch", append(args, notes...)...)
		}
	}
	keyed, own := d.chance(b.keyed), false
	switch {
	case keyed && len(d.keyed) > 0 && d.chance(b.again):
		args = append(args, kv("key", fmt.Sprintf("k%d", d.keyed[d.rand.IntN(len(d.keyed))])))
		keyed = false // the key is the other batch's to retry
	case keyed && b.again > 0 && d.chance(20):
		own = true // each item has a key of its own
	case keyed:
		args = append(args, kv("key", fmt.Sprintf("k%d", step)))
	}
	if d.chance(b.buffered) {
		args = append(args, kv("buffered", true))
	}
	versions := map[string]int{}
	for i := range d.between(1, b.items) {
		stream := d.oneOf("order-1 order-2 a/order-1 ledger")
		var text strings.Builder
		fmt.Fprintf(&text, "%s %s size=%d", stream, d.oneOf("placed paid shipped"), d.rand.IntN(b.size+1))
		switch {
		case own && i > 0 && d.chance(8): // all or none: it is refused
		case own && i > 0 && d.chance(8):
			fmt.Fprintf(&text, " key=i%d.%d", step, i-1) // twice in a batch: it is refused
		case own:
			fmt.Fprintf(&text, " key=i%d.%d", step, i)
		}
		if d.chance(b.expect) {
			v := d.versions[stream] + versions[stream]
			switch d.rand.IntN(5) {
			case 0:
				v++ // refused, unless other things went wrong
			case 1:
				text.WriteString(" expect=" + d.oneOf("none exists"))
				v = -1
			}
			if v >= 0 {
				fmt.Fprintf(&text, " expect=%d", v)
			}
		}
		if d.chance(b.rich) {
			fmt.Fprintf(&text, " meta=%d ext=%d lane=%d depth=%d flags=%d payload=%d", d.rand.IntN(40), d.rand.IntN(3), d.rand.IntN(3), d.rand.IntN(3), d.rand.IntN(9), d.rand.IntN(3))
			if d.chance(30) {
				text.WriteString(" erasable")
			}
			if i > 0 {
				fmt.Fprintf(&text, " cause=%d", d.rand.IntN(i))
			}
			if d.chance(30) {
				fmt.Fprintf(&text, " correlation=%d", d.rand.IntN(1000))
			}
		}
		versions[stream]++
		args = append(args, kv(fmt.Sprint(i), text.String()))
	}
	for stream, n := range versions {
		d.versions[stream] += n
	}
	n := d.step("batch", append(args, notes...)...)
	if keyed {
		d.keyed = append(d.keyed, n)
	}
	return n
}

// some draws n batches.
func (d *drawing) some(n int, b batches) {
	for range n {
		d.batch(b)
	}
}

// retry draws the retry of a keyed batch, if there is one.
func (d *drawing) retry() {
	if len(d.keyed) > 0 {
		d.step("retry", kv("of", d.keyed[d.rand.IntN(len(d.keyed))]))
	}
}

// misretry draws what looks like a retry and is none: it has lost some of its
// items, or has other payloads.
func (d *drawing) misretry() {
	if len(d.keyed) == 0 {
		return
	}
	of := d.keyed[d.rand.IntN(len(d.keyed))]
	if d.chance(50) {
		d.step("retry", kv("of", of), kv("items", d.between(1, 2)))
		return
	}
	// A payload is a text that names its step.
	d.step("batch", d.plan.Steps[of-1].Args...)
}

// reopen closes the log, or crashes it, and opens it again.
func (d *drawing) reopen(crashes int) int {
	if d.chance(crashes) {
		d.crash()
	} else {
		d.step("close")
	}
	return d.step("open")
}

func (d *drawing) crash() {
	if d.chance(30) {
		d.step("crash", kv("kind", "kill"))
		return
	}
	choices := fmt.Sprint(d.rand.Uint32())
	if d.chance(30) {
		choices = d.oneOf("newest oldest")
	}
	d.step("crash", kv("kind", "power"), kv("choices", choices))
}

// small draws what makes runs differ but not what they mean.
func (d *drawing) small() {
	d.set("preallocate", "-1 -1 4096 16384")
	d.set("align", "0 0 0 4096")
}

// signs draws, for some, that the log signs its heads. It comes last, so that
// the others stay as they are.
func (d *drawing) signs() {
	if d.chance(30) {
		d.set("sign", "each each close")
	}
}

func drawBatch(d *drawing) {
	d.small()
	d.step("open")
	for range d.between(2, 4) {
		d.batch(batches{items: 5, size: 200, keyed: 40, rich: 30})
	}
	d.reopen(70)
	for range d.between(3, 6) {
		d.batch(batches{items: 2, size: 100, keyed: 30})
	}
	d.step("read")
	d.reopen(70)
	for range d.between(6, 8) {
		d.batch(batches{items: 3, size: 150, keyed: 30, expect: 20})
	}
	d.retry()
	d.batch(batches{items: 5, size: 300, keyed: 50, rich: 50})
	d.step("read")
}

func drawMixed(d *drawing) {
	d.small()
	d.set("synccount", "3 5 1000")
	d.step("open")
	for range d.between(22, 30) {
		switch n := d.rand.IntN(100); {
		case n < 55:
			d.batch(batches{items: 4, size: 400, keyed: 40, again: 8, buffered: 40, expect: 40, rich: 40, notes: 20})
		case n < 60:
			d.retry()
		case n < 62:
			d.misretry()
		case n < 68:
			d.step("sync")
		case n < 72:
			d.step("wait")
		case n < 80:
			d.step("read")
		case n < 88:
			d.step("advance", kv("by", d.oneOf("1ms 5ms 12ms 2s")))
		default:
			d.reopen(60)
		}
	}
	d.reopen(60)
	for range d.between(3, 6) {
		d.batch(batches{items: 4, size: 400, keyed: 40, buffered: 30, expect: 40, rich: 40, notes: 20})
	}
	d.signs()
}

func drawRotate(d *drawing) {
	if d.chance(20) {
		d.brim()
		return
	}
	d.set("preallocate", "-1 8192 16384 65536")
	d.set("align", "0 0 4096")
	d.step("open")
	grow := func(n int) {
		for range n {
			d.batch(batches{items: 2, size: 12 << 10, keyed: 20, buffered: 45, notes: 20})
			if d.chance(20) {
				d.step("advance", kv("by", "11ms"))
			}
			if d.chance(2) {
				d.batch(batches{items: 9, size: 16 << 10, buffered: 45}) // more than a batch may have, as a rule
			}
		}
	}
	if d.chance(25) {
		// The sync with which a full segment is left; others come between.
		d.plan.Faults = append(d.plan.Faults, fmt.Sprintf("step=* sync seg #%d: failsync %s", d.between(1, 3), d.oneOf(d.modes())))
	}
	grow(d.between(5, 8))
	d.reopen(50)
	grow(d.between(5, 8))
	d.reopen(50)
	grow(d.between(7, 9))
	d.step("read")
	d.retry()
}

// brim draws a segment that is filled so far that not even the smallest batch
// has room, and lives that each begin the next one with a batch of the same
// shape: what a life left of it lies where the next life writes the same.
func (d *drawing) brim() {
	d.plan.Set("preallocate", "16384")
	d.step("open")
	for _, size := range []int{14000, 14000, 14000, 13585} {
		d.step("batch", kv("0", fmt.Sprintf("order-1 paid size=%d", size)))
	}
	for range d.between(1, 3) {
		d.shaped(1)
		d.step("crash", kv("kind", "power"), kv("choices", d.rand.Uint32()))
		d.step("open")
	}
	d.shaped(2)
}

// shaped draws buffered batches that all take 264 bytes, as does the append that
// is made after a crash; see CheckAppend.
func (d *drawing) shaped(n int) {
	for range n {
		d.step("batch", kv("buffered", true), kv("0", fmt.Sprintf("%s paid size=37", d.oneOf("order-1 order-2"))))
	}
}

func drawNoSpace(d *drawing) {
	d.set("preallocate", "-1 4096 16384")
	d.step("open")
	usual := batches{items: 3, size: 3000, keyed: 40, buffered: 30, notes: 20}
	d.some(d.between(3, 6), usual)
	full := func() {
		step := d.batch(batches{items: 3, size: 4000, keyed: 40, buffered: 20})
		switch d.rand.IntN(5) {
		case 0:
			d.fault(step, "writeat seg #1: enospc %d", d.rand.IntN(4000))
		case 1:
			d.fault(step, "writeat seg #1: short %d ENOSPC", d.rand.IntN(4000))
		case 2:
			d.fault(step, "preallocate seg #1: fail ENOSPC")
			d.fault(step, "writeat * #1: fail ENOSPC")
		case 3:
			// The rollback finds no space, either.
			d.fault(step, "writeat seg #1: short %d ENOSPC", d.rand.IntN(4000))
			d.fault(step, "%s: fail ENOSPC", d.oneOf("create_new_#1 writeat_new_#1 sync_new_#1 rename_new_#1"))
		default:
			d.fault(step, "writeat seg #1: enospc %d delayed %s", d.rand.IntN(3000), d.oneOf("keep-dirty ext4"))
		}
	}
	full()
	d.some(d.between(1, 3), usual)
	d.retry()
	d.reopen(30)
	if d.chance(30) {
		d.fault(len(d.plan.Steps), "create new #1: fail ENOSPC")
		d.reopen(0)
	}
	d.some(d.between(2, 4), usual)
	full()
	d.some(d.between(1, 3), usual)
	d.retry()
	d.reopen(40)
	d.step("read")
	d.some(d.between(4, 6), usual)
	full()
	d.some(2, usual)
}

func drawRollback(d *drawing) {
	d.small()
	d.step("open")
	usual := batches{items: 4, size: 600, keyed: 40, buffered: 35, expect: 20, notes: 20}
	fail := func() {
		step := d.batch(batches{items: 4, size: 1200, keyed: 50, buffered: 20})
		if d.chance(50) {
			d.fault(step, "writeat seg #1: short %d", d.rand.IntN(9000))
		} else {
			d.fault(step, "writeat seg #1: fail EIO")
		}
		switch d.rand.IntN(4) {
		case 0:
			d.fault(step, "%s new #1: fail EIO", d.oneOf("create writeat sync rename"))
		case 1:
			d.fault(step, "syncdir dir #1: fail EIO")
		}
	}
	d.some(d.between(2, 4), usual)
	for range 3 {
		fail()
		d.some(d.between(1, 3), usual)
		d.retry()
		d.reopen(50)
		d.some(d.between(1, 2), usual)
	}
	fail()
	d.some(2, usual)
}

// modes are the ways in which a sync can fail on the plan's disk.
func (d *drawing) modes() string {
	disk, _ := simfs.ParseGuarantees(d.plan.Disk)
	switch disk.Name {
	case "", "posix":
		return "ext4 xfs ext4-data btrfs keep-dirty shutdown silent"
	case "xfs", "btrfs":
		return disk.Name + " keep-dirty shutdown silent"
	case "sequential":
		return "keep-dirty shutdown silent"
	}
	return "ext4 ext4-data keep-dirty shutdown silent"
}

func drawSyncFail(d *drawing) {
	d.small()
	d.step("open")
	modes := d.modes()
	usual := batches{items: 3, size: 800, keyed: 40, buffered: 30, notes: 20}
	d.some(d.between(3, 5), usual)
	for range 2 {
		step := d.batch(batches{items: 3, size: 1500, keyed: 60})
		d.fault(step, "syncdata seg #1: failsync %s", d.oneOf(modes))
		if d.chance(30) {
			d.step("read")
		}
		d.some(d.between(1, 2), usual)
		d.retry()
		if d.chance(40) {
			d.crash()
			d.step("open")
		} else {
			d.step("close")
			open := d.step("open")
			if d.chance(40) {
				d.fault(open, "%s: failsync %s", d.oneOf("syncdir_dir_#1 sync_new_#1 sync_seg_#1"), d.oneOf(modes))
				d.step("close")
				d.step("open")
			}
		}
		d.some(d.between(1, 3), usual)
	}
	if d.chance(50) {
		end := d.step("close")
		d.fault(end, "%s seg #1: failsync %s", d.oneOf("sync syncdata"), d.oneOf(modes))
		d.step("open")
	}
	d.some(d.between(3, 5), usual)
	step := d.batch(batches{items: 2, size: 700, keyed: 60})
	d.fault(step, "syncdata seg #1: failsync %s", d.oneOf(modes))
	d.step("close")
	d.step("open")
	d.some(2, usual)
}

func drawReadFault(d *drawing) {
	d.small()
	d.step("open")
	usual := batches{items: 3, size: 2500, keyed: 50, buffered: 20, notes: 20}
	d.some(d.between(4, 7), usual)
	for range 3 {
		open := d.reopen(50)
		switch d.rand.IntN(4) {
		case 0:
			d.fault(open, "read seg #%d: fail EIO", d.between(1, 2))
		case 1:
			d.fault(open, "readat seg #%d: %s", d.between(1, 3), d.oneOf("fail_EIO short_100_EIO"))
		case 2:
			d.fault(open, "%s: fail EIO", d.oneOf("open_seg_#1 readdir_dir_#1 stat_seg_#1"))
		case 3:
			d.fault(open, "read seg #1: short %d", d.between(1, 5000))
		}
		d.step("open")
		d.some(d.between(1, 3), usual)
		read := d.step("read")
		d.fault(read, "readat seg #%d: %s", d.between(1, 3), d.oneOf("fail_EIO short_50_EIO"))
		d.retry()
		if len(d.keyed) > 0 && d.chance(50) {
			d.fault(len(d.plan.Steps), "readat seg #1: fail EIO")
		}
		d.step("read")
	}
	d.some(d.between(2, 4), usual)
}

func drawSkew(d *drawing) {
	d.small()
	d.step("open")
	for range d.between(24, 28) {
		switch n := d.rand.IntN(100); {
		case n < 45:
			d.batch(batches{items: 3, size: 150, keyed: 20, buffered: 30, notes: 20})
		case n < 60:
			d.step("jump", kv("by", d.oneOf("-1h -1s 5m 240h -8760h 1ms")))
		case n < 70:
			d.step("drift", kv("ppm", d.between(-500, 500)))
		case n < 82:
			d.step("advance", kv("by", d.oneOf("1ms 11ms 1s 1h")))
		case n < 87:
			d.step("read")
		default:
			d.reopen(50)
		}
	}
	d.reopen(50)
	for range 4 {
		d.batch(batches{items: 3, size: 150, keyed: 20, buffered: 20})
	}
}

func drawRetry(d *drawing) {
	d.small()
	d.step("open")
	for range 3 {
		for range d.between(3, 5) {
			d.batch(batches{items: 3, size: 200, keyed: 85, again: 8, buffered: 30, expect: 50, notes: 20})
			switch n := d.rand.IntN(100); {
			case n < 42:
				d.retry()
			case n < 52:
				d.misretry()
			}
		}
		// The reply is lost, and the caller tries again.
		d.reopen(85)
		for range d.between(1, 3) {
			d.retry()
		}
	}
	for range 3 {
		d.batch(batches{items: 3, size: 200, keyed: 85, expect: 50})
		d.retry()
	}
}

func drawCrashLoop(d *drawing) {
	if d.chance(35) {
		d.lookalikes()
		return
	}
	d.small()
	d.step("open")
	for range 5 {
		for range d.between(1, 4) {
			d.batch(batches{items: 3, size: 500, keyed: 30, buffered: 30, notes: 20})
		}
		d.crash()
		d.step("open")
	}
	for range d.between(3, 5) {
		d.batch(batches{items: 3, size: 300, keyed: 30, buffered: 20})
	}
	d.retry()
}

// lookalikes draws lives that write batches of one shape at one place. The
// first, carried, ends 64 bytes before a sector does: what is lost of the one
// behind it may be just its BEGIN, and the next life writes that again.
func (d *drawing) lookalikes() {
	d.set("preallocate", "8192 16384")
	d.step("open")
	d.step("jump", kv("by", "-1h")) // so that no clock is behind the log: times have no place of their own
	d.step("batch", kv("0", "order-1 paid size=220"))
	d.step("crash", kv("kind", "kill"))
	d.step("open")
	for range d.between(2, 4) {
		d.shaped(d.between(1, 3))
		d.step("crash", kv("kind", "power"), kv("choices", d.rand.Uint32()))
		d.step("open")
	}
	d.shaped(d.between(1, 3))
	d.batch(batches{items: 1, size: 100})
	d.step("read")
}

func drawBitRot(d *drawing) {
	d.set("preallocate", "-1 -1 8192")
	d.set("align", "0 0 0 4096")
	d.step("open")
	size := []int{120, 600, 3000, 9000}[d.rand.IntN(4)]
	usual := batches{items: 3, size: size, keyed: 30, buffered: 10, rich: 20, notes: 20}
	d.some(d.between(5, 7), usual)
	d.reopen(60)
	d.some(d.between(4, 6), usual)
	d.reopen(60)
	d.some(d.between(5, 7), usual)
	if d.chance(60) {
		d.step("close")
	} else if d.chance(40) {
		// What nothing proves durable is carried, and nothing comes behind it.
		d.some(2, batches{items: 2, size: size, buffered: 100})
		d.step("crash", kv("kind", "kill"))
		d.step("open")
	}
	for range 45 {
		what := d.oneOf("flip flip flip flip zero zero noise swap copy page header cut lose exchange foreign")
		d.step("damage", kv("what", what), kv("at", d.rand.Uint32()), kv("with", d.rand.Uint32()))
	}
}

// Plain is the smallest workload there is to explore to the end: a log is
// opened, and one batch of so many events of so many bytes is appended.
func Plain(disk string, events, size int) *plan.Plan {
	batch := plan.Step{Number: 2, Verb: "batch"}
	for i := range events {
		batch.Args = append(batch.Args, plan.KV{Key: strconv.Itoa(i), Value: fmt.Sprintf("order-42 order.placed size=%d", size)})
	}
	return &plan.Plan{Scenario: "batch", Disk: disk, Steps: []plan.Step{{Number: 1, Verb: "open"}, batch}}
}
