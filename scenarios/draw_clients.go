package scenarios

import (
	"fmt"
	"slices"

	"github.com/untorn-db/untorn/replay/plan"
)

// mostClients work at the same time.
const mostClients = 8

// turns draws how the clients of a plan take turns.
func (d *drawing) turns() (clients int) {
	d.plan.Set("turns", fmt.Sprint(d.rand.Uint32()))
	if d.chance(40) {
		d.plan.Set("priorities", fmt.Sprint(d.between(2, 4)))
	}
	return d.between(2, mostClients)
}

// with gives an argument to the step that was drawn last.
func (d *drawing) with(key string, value any) {
	last := &d.plan.Steps[len(d.plan.Steps)-1]
	*last = last.With(key, fmt.Sprint(value))
}

// at hands the step that was drawn last to a client.
func (d *drawing) at(client int) { d.with("client", client) }

// together draws n steps of clients, each with one of them.
func (d *drawing) together(clients, n int, draw func()) {
	for range n {
		before := len(d.plan.Steps)
		draw()
		if len(d.plan.Steps) > before {
			d.at(d.rand.IntN(clients))
		}
	}
}

// rounds draws bursts of clients with reopens between them.
func (d *drawing) rounds(n int, burst func()) {
	d.step("open")
	for i := range n {
		if i > 0 {
			d.reopen(60)
		}
		burst()
	}
}

func drawGroupCommit(d *drawing) {
	clients := d.turns()
	d.set("preallocate", "-1 4096 65536")
	d.set("align", "0 0 0 4096")
	d.set("synccount", "3 1000")
	usual := batches{items: 3, size: 300, keyed: 30, buffered: 25, expect: 20, notes: 20}
	d.rounds(d.between(1, 3), func() {
		if d.chance(20) {
			step := len(d.plan.Steps) + 1
			switch d.rand.IntN(3) {
			case 0:
				d.fault(step, "syncdata seg #%d: failsync keep-dirty", d.between(1, 4))
			case 1:
				d.fault(step, "writeat seg #%d: fail EIO", d.between(1, 4))
			case 2:
				d.fault(step, "writeat seg #%d: short %d", d.between(1, 4), d.between(1, 400))
			}
		}
		d.together(clients, d.between(2*clients, 3*clients), func() {
			switch n := d.rand.IntN(100); {
			case n < 80:
				d.batch(usual)
			case n < 84:
				d.step("sync")
			case n < 88:
				d.step("wait")
			case n < 92:
				d.step("advance", kv("by", d.oneOf("1ms 12ms")))
			case n < 96:
				d.retry()
			default:
				d.batch(batches{items: 2, size: 6000})
			}
		})
	})
	d.signs()
}

// drawCasRace draws calls that want the same version of a stream: one of them
// can have it.
func drawCasRace(d *drawing) {
	clients := d.turns()
	d.set("preallocate", "-1 4096")
	d.rounds(d.between(1, 3), func() {
		rounds := d.between(2, 4)
		for version := range rounds {
			// Some come too early, some too late, and then try the next.
			d.together(clients, clients, func() {
				stream := d.oneOf("order-1 order-1 order-2")
				v := d.versions[stream] + version + d.rand.IntN(2)
				text := fmt.Sprintf("%s placed size=%d expect=%d", stream, d.rand.IntN(60), v)
				args := []plan.KV{kv("0", text)}
				if d.chance(25) {
					args = append([]plan.KV{kv("buffered", true)}, args...)
				}
				if d.chance(20) {
					args = append(args, kv("1", fmt.Sprintf("%s paid size=5 expect=%d", stream, v+1)))
				}
				d.step("batch", args...)
			})
		}
		d.versions["order-1"] += rounds
		d.versions["order-2"] += rounds / 2
		d.together(clients, 2, func() { d.step("read") })
	})
}

// drawKeyedRace draws calls with one key that are in flight at the same time:
// they have one effect.
func drawKeyedRace(d *drawing) {
	clients := d.turns()
	d.set("preallocate", "-1 4096")
	d.rounds(d.between(1, 3), func() {
		if d.chance(25) {
			d.fault(len(d.plan.Steps)+1, "writeat seg #%d: %s", d.between(1, 4), d.oneOf("fail_EIO short_100 fail_ENOSPC"))
		}
		for range d.between(2, 4) {
			d.together(clients, 1, func() { d.batch(batches{items: 3, size: 200, keyed: 100, buffered: 20, expect: 20}) })
			d.together(clients, d.between(1, clients), func() {
				switch n := d.rand.IntN(100); {
				case n < 70:
					d.retry()
					if d.chance(40) {
						d.with("durable", d.chance(70))
					}
				case n < 80:
					d.misretry()
				default:
					d.batch(batches{items: 2, size: 100, keyed: 50, again: 30, buffered: 20})
				}
			})
		}
	})
}

func drawReadRace(d *drawing) {
	clients := d.turns()
	d.set("preallocate", "-1 65536")
	d.rounds(d.between(1, 2), func() {
		d.together(clients, 4*clients, func() {
			switch n := d.rand.IntN(100); {
			case n < 45:
				d.batch(batches{items: 5, size: 400, buffered: 40})
			case n < 95:
				d.step("read")
			default:
				d.step("sync")
			}
		})
	})
}

// drawTransactions draws transactions that are open at the same time, beside calls
// that want the same versions.
func drawTransactions(d *drawing) {
	clients := d.turns()
	d.set("preallocate", "-1 4096")
	d.rounds(d.between(1, 3), func() {
		d.together(clients, d.between(2*clients, 3*clients), func() {
			if d.chance(15) {
				d.step("read")
				return
			}
			d.batch(batches{items: 4, size: 300, keyed: 30, buffered: 20, expect: 30, notes: 20})
			last := d.plan.Steps[len(d.plan.Steps)-1].Number
			switch n := d.rand.IntN(100); {
			case n < 55:
				d.with("tx", "commit")
			case n < 80:
				// Nobody can use its key, so that it must not be known.
				d.with("tx", d.oneOf("cancel drop"))
				d.keyed = slices.DeleteFunc(d.keyed, func(step int) bool { return step == last })
			}
		})
	})
}

func drawCloseRace(d *drawing) {
	clients := d.turns()
	d.set("preallocate", "-1 4096 65536")
	d.rounds(d.between(1, 3), func() {
		usual := batches{items: 2, size: 300, keyed: 30, buffered: 30, notes: 20}
		d.together(clients, d.between(clients, 2*clients), func() { d.batch(usual) })
		d.together(clients, 1, func() { d.step("close") })
		d.together(clients, d.between(1, clients), func() {
			switch n := d.rand.IntN(100); {
			case n < 60:
				d.batch(usual)
			case n < 80:
				d.step("read")
			case n < 90:
				d.step("wait")
			default:
				d.step("close")
			}
		})
	})
	d.signs()
}

// drawFollow draws subscribers and handlers beside writers. Handlers of the same
// cursor get into each other's way.
func drawFollow(d *drawing) {
	clients := d.turns()
	d.set("preallocate", "-1 4096 65536")
	d.set("align", "0 0 0 4096")
	projected := []plan.KV{kv("name", "p")}
	switch d.rand.IntN(3) {
	case 0:
		projected = append(projected, kv("stream", "order-1"))
	case 1:
		projected = append(projected, kv("types", "placed,handled"))
	}
	cursors := []plan.KV{kv("a", ""), kv("b", d.oneOf("order-1 ledger"))}
	d.rounds(d.between(1, 3), func() {
		if d.chance(20) {
			step := len(d.plan.Steps) + 1
			switch d.rand.IntN(3) {
			case 0:
				d.fault(step, "syncdata seg #%d: failsync keep-dirty", d.between(1, 4))
			case 1:
				d.fault(step, "writeat seg #%d: fail EIO", d.between(1, 4))
			case 2:
				d.fault(step, "writeat seg #%d: short %d", d.between(1, 4), d.between(1, 400))
			}
		}
		d.together(clients, d.between(1, 3), func() {
			d.step("follow")
			if d.chance(50) {
				d.with("stream", d.oneOf("order-1 order-2 ledger a"))
			} else if d.chance(30) {
				d.with("scope", d.oneOf("a effects dead"))
			}
			if d.chance(30) {
				d.with("types", d.oneOf("placed placed,paid handled"))
			}
			if d.chance(20) {
				d.with("from", d.between(1, 12))
			}
			if d.chance(30) {
				d.with("buffered", true)
			}
		})
		d.together(clients, d.between(1, 3), func() {
			cursor := cursors[d.rand.IntN(len(cursors))]
			d.step("handle", kv("cursor", cursor.Key))
			if cursor.Value != "" {
				d.with("stream", cursor.Value)
			}
			if d.chance(60) {
				d.with("batch", d.between(1, 6))
			}
			if d.chance(25) {
				d.with("buffered", true)
			}
		})
		if d.chance(50) {
			d.together(clients, 1, func() { d.step("project", projected...) })
		}
		d.together(clients, d.between(clients, 2*clients), func() {
			switch n := d.rand.IntN(100); {
			case n < 85:
				d.batch(batches{items: 3, size: 200, keyed: 20, buffered: 30, expect: 10, notes: 20})
			case n < 90:
				d.step("sync")
			case n < 95:
				d.step("advance", kv("by", d.oneOf("1ms 12ms 1s")))
			default:
				d.step("read")
			}
		})
		if d.chance(10) {
			d.together(clients, 1, func() { d.step("close") })
		}
	})
}
