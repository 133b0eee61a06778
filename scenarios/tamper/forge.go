package tamper

import (
	"bytes"
	"math"
	"slices"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
)

// forgedKinds are those of somebody who knows the format: all checksums are right.
func forgedKinds() []*kind {
	return []*kind{
		flip("flip, checksums right", forged, 8, func(v *subject) []place { return v.frames }, fixFrame),
		flip("flip in one header, checksum right", forged, 2, func(v *subject) []place { return v.headers }, fixFirstHeader),
		flip("flip in both headers, checksums right", forged, 2, func(v *subject) []place { return v.headers }, fixBothHeaders),
		one("batches moved, checksums right", forged, 2, func(v *subject) int { return 6 * len(v.form.batches) * len(v.form.batches) }, moveBatches),
		one("batch of another log, checksums right", forged, 1, func(v *subject) int { return 2 * len(v.form.batches) }, alienBatch),
		one("spliced from a fork", forged, 4, func(v *subject) int { return len(v.forks) * (len(v.sectors) + len(v.parts) + len(v.files)*2) }, spliceFork),
		one("event changed, some hashes right", forged, 4, func(v *subject) int { return len(v.events) * len(eventFields()) * 4 }, halfRewrite),
		one("last batches removed, all right", forged, 1, func(v *subject) int { return len(v.form.batches) }, removeLast),

		one("event changed, all hashes right", rewritten, 4, func(v *subject) int { return len(v.events) * len(eventFields()) }, rewriteEvent),
		one("events moved, all hashes right", rewritten, 4, func(v *subject) int { return 3 * len(v.events) }, rewriteEvents),
		one("batches moved, all hashes right", rewritten, 2, func(v *subject) int { return 3 * len(v.form.batches) }, rewriteBatches),
		one("batches put behind, all hashes right", rewritten, 1, func(v *subject) int { return len(v.form.batches) }, goneOn),
		one("one draft another, by the engine", rewritten, 2, func(v *subject) int { return len(v.forks) }, wholeFork),
		byKeys(one("event changed, all hashes right, signed again", rewritten, 4, resigned, resign)),
		one("another log in its place", rewritten, 1, func(v *subject) int { return len(v.foreign) }, wholeForeign),

		flip("flip of what nothing binds, checksums right", loose, 2, func(v *subject) []place { return v.loose }, fixFrame),
		flip("the same in one header", loose, 2, func(v *subject) []place { return v.heads }, fixFirstHeader),
		flip("the same in both headers", loose, 2, func(v *subject) []place { return v.heads }, fixBothHeaders),
		one("synced changed, checksums right", loose, 1, func(v *subject) int { return 6 * len(v.parts) }, changeSynced),
		one("seeds, sessions, ENDs anew", loose, 1, func(v *subject) int { return 4 * len(v.parts) }, anew),
		one("erasable content erased", erased, 1, func(v *subject) int { return len(v.events) }, eraseEvent),
		flip("flip outside of the log", outside, 16, func(v *subject) []place { return v.slack }, nil),
	}
}

// rewrite changes a copy of the log's form. nil: there is nothing to change.
func (v *subject) rewrite(change func(f *form) bool, about string, args ...any) *mutation {
	f := v.form.clone()
	if !change(f) {
		return nil
	}
	return v.changed(f.encode(), much, about, args...)
}

// drop takes batch i out of a form.
func (f *form) drop(i int) *part {
	p := f.batches[i]
	f.batches = slices.Delete(f.batches, i, i+1)
	p.segment.parts = slices.DeleteFunc(p.segment.parts, func(q *part) bool { return q == p })
	if h := &p.segment.header; p.mark.Batch <= h.PreviousBatch+uint64(h.Carried) {
		h.Carried--
	}
	return p
}

// insert puts a batch before batch i of a form, or behind the last.
func (f *form) insert(i int, p *part) {
	if i == len(f.batches) {
		last := f.batches[i-1]
		p.segment, p.apart = last.segment, last.segment.header.Align > 0
		at := slices.Index(p.segment.parts, last) + 1
		p.segment.parts = slices.Insert(p.segment.parts, at, p)
	} else {
		next := f.batches[i]
		p.segment, p.apart = next.segment, next.apart
		at := slices.Index(p.segment.parts, next)
		p.segment.parts = slices.Insert(p.segment.parts, at, p)
	}
	f.batches = slices.Insert(f.batches, i, p)
}

// swap exchanges what two batches hold.
func (f *form) swap(i, j int) {
	a, b := f.batches[i], f.batches[j]
	a.events, b.events = b.events, a.events
	a.notes, b.notes = b.notes, a.notes
	a.head, b.head = b.head, a.head
}

func copied(p *part) *part {
	c := *p
	c.events = slices.Clone(p.events)
	return &c
}

// moveBatches drops, swaps and repeats batches, with numbers as they were, or with
// numbers that fit, and the hashes as they were.
func moveBatches(v *subject, i int, _ *numbers) (*mutation, error) {
	n := len(v.form.batches)
	how, numbered := i%3, i/3%2 == 1
	a, b := i/6%n, i/6/n
	about := [3]string{"batch %d taken out, not %d", "batches %d and %d swapped", "batch %d again behind batch %d"}[how]
	if numbered {
		about += ", numbers made to fit"
	}
	return v.rewrite(func(f *form) bool {
		switch how {
		case 0:
			if a != b {
				return false
			}
			f.drop(a)
		case 1:
			if a >= b {
				return false
			}
			f.swap(a, b)
			if !numbered {
				ma, mb := &f.batches[a].mark, &f.batches[b].mark
				*ma, *mb = *mb, *ma
			}
		default:
			f.insert(b+1, copied(f.batches[a]))
		}
		if numbered {
			f.renumber()
		}
		return true
	}, about, a+1, b+1), nil
}

// alienBatch puts a batch of another log at the place of one, as if it belonged
// there.
func alienBatch(v *subject, i int, _ *numbers) (*mutation, error) {
	alien, err := parse(v.foreign[i%2])
	if err != nil {
		return nil, err
	}
	at := i / 2
	if at >= len(alien.batches) {
		return nil, nil
	}
	return v.rewrite(func(f *form) bool {
		p, from := f.batches[at], alien.batches[at]
		p.events, p.head = from.events, from.head
		return true
	}, "batch %d is that of another log", at+1), nil
}

func spliceFork(v *subject, i int, _ *numbers) (*mutation, error) {
	files, err := v.fork(i)
	if err != nil {
		return nil, err
	}
	m := v.splice(files, i/len(v.forks), "a fork in draft "+v.forks[i%len(v.forks)].String())
	if m != nil && slices.EqualFunc(m.files, files, func(a, b file) bool { return bytes.Equal(a.bytes, b.bytes) }) {
		return nil, nil // that is the whole fork
	}
	return m, nil
}

func wholeFork(v *subject, i int, _ *numbers) (*mutation, error) {
	files, err := v.fork(i)
	if err != nil {
		return nil, err
	}
	return v.changed(files, much, "the log with another draft %v", v.forks[i]), nil
}

func wholeForeign(v *subject, i int, _ *numbers) (*mutation, error) {
	return v.changed(v.foreign[i], much, "another log, %d", i), nil
}

// eventFields are what of an event is changed.
func eventFields() []string {
	return []string{"payload", "longer payload", "metadata", "type", "key", "id", "stream", "cause", "flags", "time", "extensions", "salt", "version", "hash"}
}

// changeEvent changes one thing of event i. false: it has no such thing.
func (f *form) changeEvent(at int, batch int, field string) (*record.Event, *part, bool) {
	p := f.batches[batch]
	e := &p.events[at-p.firstEvent]
	switch field {
	case "payload":
		if len(e.Payload) == 0 {
			return e, p, false
		}
		e.Payload = bytes.Clone(e.Payload)
		e.Payload[0] ^= 0x20
	case "longer payload":
		e.Payload = append(bytes.Clone(e.Payload), "more"...)
	case "metadata":
		e.Metadata = append(bytes.Clone(e.Metadata), '!')
	case "type":
		e.Type += "x"
	case "key":
		e.Key += "x"
	case "id":
		e.ID[15] ^= 1
		if e.Correlation == e.ID {
			return e, p, false
		}
	case "stream":
		e.Stream += "x"
		e.Version = 1
	case "cause":
		e.CausedBy = uuid.UUID{7}
	case "flags":
		e.Flags ^= 1
	case "time":
		p.mark.Time--
		p.mark.Clock--
	case "extensions":
		e.Extensions = record.AppendExtensions(nil, map[string][]byte{"forged": {1}})
	case "salt":
		e.Salt[0] ^= 1
		return e, p, e.Erasable
	case "version":
		e.Version++
	case "hash":
		e.Hash[0] ^= 1
	}
	return e, p, true
}

// halfRewrite changes an event, and computes only some of the hashes anew.
func halfRewrite(v *subject, i int, _ *numbers) (*mutation, error) {
	fields := eventFields()
	level, field, at := i%4, fields[i/4%len(fields)], i/4/len(fields)
	var whole []file
	m := v.rewrite(func(f *form) bool {
		e, p, ok := f.changeEvent(at, v.batchOf(at), field)
		if !ok {
			return false
		}
		own := func(x *record.Event) bool { return x == e && field != "hash" }
		switch level {
		case 1:
			f.rehash(hashes{event: own})
		case 2:
			f.rehash(hashes{event: own, batch: func(q *part) bool { return q == p }})
		case 3:
			f.rehash(hashes{event: own, batch: always[*part], headers: true})
		}
		c := f.clone()
		c.rehash(everything)
		whole = c.encode()
		return true
	}, "event %d has another %s; anew: %s", at+1, field, [4]string{"no hash", "its hash", "its hash and the head of its batch", "its hash and all heads"}[level])
	if m == nil || slices.EqualFunc(m.files, whole, func(a, b file) bool { return bytes.Equal(a.bytes, b.bytes) }) {
		return nil, nil // that is a log which is valid in itself
	}
	return m, nil
}

func rewriteEvent(v *subject, i int, _ *numbers) (*mutation, error) {
	fields := eventFields()
	field, at := fields[i%len(fields)], i/len(fields)
	return v.rewrite(func(f *form) bool {
		_, p, ok := f.changeEvent(at, v.batchOf(at), field)
		if field == "time" {
			// Time must not go back.
			if b := v.batchOf(at); b > 0 && f.batches[b-1].mark.Time > p.mark.Time {
				return false
			}
		}
		f.renumber()
		f.rehash(everything)
		return ok
	}, "event %d has another %s", at+1, field), nil
}

// rewriteEvents takes out, repeats and swaps events within their batch.
func rewriteEvents(v *subject, i int, _ *numbers) (*mutation, error) {
	how, at := i%3, i/3
	about := [3]string{"event %d is taken out", "event %d is there twice", "event %d and the next are swapped"}[how]
	return v.rewrite(func(f *form) bool {
		p := f.batches[v.batchOf(at)]
		k := at - p.firstEvent
		switch how {
		case 0:
			if len(p.events) == 1 {
				return false
			}
			p.events = slices.Delete(p.events, k, k+1)
		case 1:
			e := p.events[k]
			e.ID[14] ^= 1
			e.Correlation, e.Key = e.ID, ""
			p.events = slices.Insert(p.events, k+1, e)
		default:
			if k+1 == len(p.events) {
				return false
			}
			p.events[k], p.events[k+1] = p.events[k+1], p.events[k]
		}
		f.renumber()
		f.rehash(everything)
		return true
	}, about, at+1), nil
}

func rewriteBatches(v *subject, i int, _ *numbers) (*mutation, error) {
	how, at := i%3, i/3
	n := len(v.form.batches)
	about := [3]string{"batch %d is taken out", "batch %d is there twice", "batch %d and the next are swapped"}[how]
	return v.rewrite(func(f *form) bool {
		switch {
		case how == 0 && at+1 < n:
			f.drop(at)
		case how == 1:
			p := copied(f.batches[at])
			for i := range p.events {
				e := &p.events[i]
				e.ID[14] ^= 1
				e.Correlation, e.Key = e.ID, ""
			}
			f.insert(at+1, p)
		case how == 2 && at+1 < n:
			f.swap(at, at+1)
		default:
			return false
		}
		f.renumber()
		f.rehash(everything)
		return true
	}, about, at+1), nil
}

// goneOn puts some of the log's batches behind its last.
func goneOn(v *subject, i int, _ *numbers) (*mutation, error) {
	return v.rewrite(func(f *form) bool {
		for k := range i + 1 {
			p := copied(f.batches[k])
			last := f.batches[len(f.batches)-1].mark
			p.mark.Time, p.mark.Clock = last.Time, last.Time
			p.mark.Session = last.Session
			p.mark.Synced = last.Batch
			for i := range p.events {
				e := &p.events[i]
				e.ID[14] ^= 1
				e.Correlation, e.Key = e.ID, ""
			}
			f.insert(len(f.batches), p)
			f.renumber()
		}
		f.rehash(everything)
		return true
	}, "%d more batches behind the last", i+1), nil
}

// removeLast takes the last batches out, and leaves a log that was closed as if
// it had been closed before them.
func removeLast(v *subject, i int, _ *numbers) (*mutation, error) {
	return v.rewrite(func(f *form) bool {
		for range i + 1 {
			f.drop(len(f.batches) - 1)
		}
		f.renumber()
		f.rehash(everything)
		return true
	}, "the last %d batches are gone", i+1), nil
}

// changeSynced says otherwise what was synced.
func changeSynced(v *subject, i int, _ *numbers) (*mutation, error) {
	at := i / 6
	mark := v.parts[at].mark
	to := [6]uint64{0, mark.Synced - 1, mark.Synced + 1, mark.Batch, mark.Batch + 1, math.MaxUint64}[i%6]
	return v.rewrite(func(f *form) bool {
		f.parts()[at].mark.Synced = to
		return true
	}, "synced %d instead of %d in %s", to, mark.Synced, v.parts[at]), nil
}

func (f *form) parts() (all []*part) {
	for _, s := range f.segments {
		all = append(all, s.parts...)
	}
	return all
}

// anew writes everything that no hash binds anew.
func anew(v *subject, i int, r *numbers) (*mutation, error) {
	how, at := i%4, i/4
	about := [4]string{"the seed of the segment of %s is another", "the session of %s is another", "an END behind %s", "no %s"}[how]
	return v.rewrite(func(f *form) bool {
		p := f.parts()[at]
		switch how {
		case 0:
			_, _ = r.Read(p.segment.header.Seed[:])
		case 1:
			_, _ = r.Read(p.mark.Session[:])
		case 2:
			if !p.isBatch() {
				return false
			}
			end := &part{segment: p.segment, mark: p.mark}
			end.mark.Kind, end.mark.Rotated = record.KindEnd, false
			end.mark.Sequence += uint64(len(p.events))
			end.mark.Synced = min(p.mark.Synced, p.mark.Batch)
			k := slices.Index(p.segment.parts, p) + 1
			p.segment.parts = slices.Insert(p.segment.parts, k, end)
		default:
			if p.isBatch() {
				return false
			}
			p.segment.parts = slices.DeleteFunc(p.segment.parts, func(q *part) bool { return q == p })
		}
		return true
	}, about, v.parts[at]), nil
}

// eraseEvent takes the content of an event as erasing it would.
func eraseEvent(v *subject, i int, _ *numbers) (*mutation, error) {
	return v.rewrite(func(f *form) bool {
		p := f.batches[v.batchOf(i)]
		e := &p.events[i-p.firstEvent]
		if !e.Erasable {
			return false
		}
		var h chain.Hasher
		e.ContentHash = h.Content(e.Salt[:], e.Metadata, e.Payload)
		e.Erased, e.Salt, e.Metadata, e.Payload = true, [16]byte{}, nil, nil
		return true
	}, "the content of event %d is erased", i+1), nil
}
