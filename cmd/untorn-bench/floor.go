package main

import (
	"encoding/binary"
	"io"

	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/record"
)

// floor is the least that the engine's format costs: raw, and exactly the hashes,
// the CRCs and the bytes that FORMAT.md asks for, computed by the leader alone.
// No validation, no keys, no map, no clock, no random bytes, no index, no
// receipts: the streams are found by number, ids and times are counted.
//
//	calls ─→ content, event and head hashes ─→ BEGIN, EVENT …, COMMIT ─→ pwrite ─→ fdatasync
type floor struct {
	filled
	place   record.Place
	session record.Session
	logID   [16]byte

	hasher   chain.Hasher
	streams  []floorStream
	batch    uint64
	sequence uint64
	synced   uint64 // batches that a sync covered
	head     chain.Hash

	buffer    []byte
	canonical []byte
	events    []record.Event
	hashes    []chain.Hash
}

type floorStream struct {
	version uint64
	hash    chain.Hash
}

// floorRoom is more than an event, or a batch, takes besides its data.
const floorRoom = 320

func openFloor(setup Setup) (Store, error) {
	return inGroups(func(setup Setup) (serial, error) {
		f, err := openFilled(setup, "floor.zeros", record.DataStart)
		if err != nil {
			return nil, err
		}
		s := &floor{filled: f, place: floorPlace(), session: record.Session{1}, logID: [16]byte{1}}
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
	b := f.buffer[:0]
	for _, events := range calls {
		b = f.encode(b, at+int64(len(b)), events)
	}
	f.buffer = b
	if err := f.commit(b); err != nil {
		return err
	}
	f.synced = f.batch
	return nil
}

// encode appends one call's batch as it stands at an offset.
func (f *floor) encode(b []byte, offset int64, events []Event) []byte {
	f.batch++
	now := int64(f.batch)
	first := f.sequence + 1
	f.events, f.hashes = f.events[:0], f.hashes[:0]
	for i := range events {
		s := f.stream(&events[i])
		s.version++
		f.sequence++
		var id [16]byte
		binary.BigEndian.PutUint64(id[8:], f.sequence)
		f.events = append(f.events, record.Event{
			ID: id, Correlation: id, Version: s.version,
			Stream: events[i].Stream, Type: eventType, Payload: events[i].Data,
		})
		e := &f.events[i]
		content := f.hasher.Content(nil, nil, e.Payload)
		f.canonical = record.AppendCanonical(f.canonical[:0], e, f.sequence, now, now, content)
		e.Hash = f.hasher.Event(s.hash, f.canonical)
		s.hash = e.Hash
		f.hashes = append(f.hashes, e.Hash)
	}
	f.head = f.hasher.Head(f.head, f.batch, first, f.hashes, chain.Hash{})
	mark := record.Mark{
		Session: f.session, Sequence: first, Batch: f.batch, Time: now, Clock: now, Synced: f.synced,
	}
	return record.AppendBatch(b, f.place, offset, &mark, f.events, f.head, nil)
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
