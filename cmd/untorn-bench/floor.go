package main

import (
	"encoding/binary"
	"io"
	"slices"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
)

// floor is the least that the engine's format costs: raw, and exactly the hashes,
// the CRCs and the bytes that FORMAT.md asks for, computed by the leader alone.
// No validation, no keys, no map, no clock, no random bytes, no index, no
// receipts: the streams are found by number, ids and times are counted.
//
//	calls ─→ content, header, event, head hashes ─→ BEGIN, EVENT …, COMMIT ─→ pwrite ─→ fdatasync
type floor struct {
	filled
	place   record.Place
	session record.Session
	logID   [16]byte

	many     hashes // contents and headers
	hasher   chain.Hasher
	streams  []floorStream
	batch    uint64
	sequence uint64
	synced   uint64 // batches that a sync covered
	head     chain.Hash

	buffer    []byte
	canonical []byte
	events    []record.Event // of the group, as all that follows
	sums      []chain.Hash
}

type floorStream struct {
	version uint64
	hash    chain.Hash
}

// hashes is chain.Many, and what does the same one call after the other.
type hashes interface {
	Content(salt, metadata, payload []byte)
	Header(canonical []byte)
	Sum(sums []chain.Hash)
}

type oneHashATime struct {
	hasher chain.Hasher
	sums   []chain.Hash
}

func (o *oneHashATime) Content(salt, metadata, payload []byte) {
	o.sums = append(o.sums, o.hasher.Content(salt, metadata, payload))
}

func (o *oneHashATime) Header(canonical []byte) { o.sums = append(o.sums, o.hasher.Header(canonical)) }

func (o *oneHashATime) Sum(sums []chain.Hash) {
	copy(sums, o.sums)
	o.sums = o.sums[:0]
}

// floorRoom is more than an event, or a batch, takes besides its data.
const floorRoom = 320

// openFloor hashes one input after the other, openFloorLanes side by side.
func openFloor(setup Setup) (Store, error)      { return openFloorWith(setup, new(oneHashATime)) }
func openFloorLanes(setup Setup) (Store, error) { return openFloorWith(setup, new(chain.Many)) }

func openFloorWith(setup Setup, many hashes) (Store, error) {
	return inGroups(func(setup Setup) (serial, error) {
		f, err := openFilled(setup, "floor.zeros", record.DataStart)
		if err != nil {
			return nil, err
		}
		s := &floor{filled: f, many: many, place: floorPlace(), session: record.Session{1}, logID: [16]byte{1}}
		s.head = chain.LogRoot(s.logID)
		return s, nil
	})(setup)
}

func floorPlace() record.Place { return record.NewPlace(record.Seed{1}) }

func (f *floor) append(calls [][]Event) error {
	most := 0
	for _, events := range calls {
		most += floorRoom
		for i := range events {
			most += floorRoom + len(events[i].Data) + len(events[i].Data)/32
		}
	}
	at, err := f.room(most)
	if err != nil {
		return err
	}
	now := int64(f.batch + 1) // the clock says the number of the group's first batch
	f.hash(calls, now)
	b := f.buffer[:0]
	done := 0
	for _, events := range calls {
		b = f.encode(b, at+int64(len(b)), done, done+len(events), now)
		done += len(events)
	}
	f.buffer = b
	if err := f.commit(b); err != nil {
		return err
	}
	f.synced = f.batch
	return nil
}

// hash makes the events of a group.
func (f *floor) hash(calls [][]Event, now int64) {
	f.events = f.events[:0]
	for _, events := range calls {
		for i := range events {
			s := f.stream(&events[i])
			s.version++
			var id [16]byte
			binary.BigEndian.PutUint64(id[8:], f.sequence+uint64(len(f.events)))
			f.events = append(f.events, record.Event{
				ID: id, Correlation: id, Version: s.version,
				Stream: events[i].Stream, Type: eventType, Payload: events[i].Data,
			})
			f.many.Content(nil, nil, events[i].Data)
		}
	}
	f.sums = slices.Grow(f.sums[:0], len(f.events))[:len(f.events)]
	f.many.Sum(f.sums)
	for i := range f.events {
		f.canonical = record.AppendCanonical(f.canonical[:0], &f.events[i], f.sequence+uint64(i)+1, now, now, f.sums[i])
		f.many.Header(f.canonical)
	}
	f.many.Sum(f.sums)
	at := 0
	for _, events := range calls {
		for i := range events {
			s := f.stream(&events[i])
			s.hash = f.hasher.Event(s.hash, f.sums[at])
			f.events[at].Hash, f.sums[at] = s.hash, s.hash
			at++
		}
	}
}

// encode appends a batch, of some of the group's events, as it stands at an offset.
func (f *floor) encode(b []byte, offset int64, from, to int, now int64) []byte {
	f.batch++
	first := f.sequence + 1
	f.sequence += uint64(to - from)
	f.head = f.hasher.Head(f.head, f.batch, first, f.sums[from:to], chain.Hash{})
	mark := record.Mark{
		Session: f.session, Sequence: first, Batch: f.batch, Time: now, Clock: now, Synced: f.synced,
	}
	return record.AppendBatch(b, f.place, offset, &mark, f.events[from:to], f.head, nil)
}

func (f *floor) stream(e *Event) *floorStream {
	for e.Number >= len(f.streams) {
		f.streams = append(f.streams, floorStream{})
	}
	s := &f.streams[e.Number]
	if s.version == 0 {
		s.hash = chain.StreamRoot(f.logID, "", e.Stream)
	}
	return s
}

func (f *floor) Read(visit func(data []byte) error) error {
	all, err := io.ReadAll(io.NewSectionReader(f.file, 0, f.size))
	if err != nil {
		return err
	}
	place := floorPlace()
	for at := int64(record.DataStart); ; {
		begin, ok := record.ParseMark(all[at:], place, at)
		if !ok {
			return nil
		}
		next := at + int64(begin.Distance)
		at += int64(begin.Size)
		for range begin.Events {
			item, err := record.ReadItem(all[at:], place, at, nil)
			if err != nil {
				return err
			}
			event, err := record.DecodeEvent(item.Record)
			if err != nil {
				return err
			}
			if err := visit(event.Payload); err != nil {
				return err
			}
			at += int64(item.Size)
		}
		at = next
	}
}
