package main

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// badgerLog is a badger from sequence to data, with SyncWrites: without it
// nothing is durable. It syncs (msync) once a transaction, in one goroutine.
type badgerLog struct {
	db   *badger.DB
	last atomic.Uint64
}

func openBadgerDB(setup Setup, detect bool) (*badgerLog, error) {
	db, err := badger.Open(badger.DefaultOptions(filepath.Join(setup.Dir, "badger")).
		WithSyncWrites(!setup.Buffered).WithDetectConflicts(detect).
		WithCompression(options.None).WithMetricsEnabled(false).WithLogger(nil))
	if err != nil {
		return nil, err
	}
	b := &badgerLog{db: db}
	last := uint64(0)
	err = b.each(func(key, _ []byte) error {
		last = binary.BigEndian.Uint64(key[1:])
		return nil
	})
	if err != nil {
		db.Close()
		return nil, err
	}
	b.last.Store(last)
	return b, nil
}

func openBadger(setup Setup) (Store, error) {
	b, err := openBadgerDB(setup, false)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func (b *badgerLog) Writer(events []Event) func() error {
	return func() error {
		txn := b.db.NewTransaction(true)
		defer txn.Discard()
		sequence := b.last.Add(uint64(len(events))) - uint64(len(events))
		for i := range events {
			// Keys and values must stay as they are until the commit.
			if err := txn.Set(logKey(make([]byte, 0, 9), sequence+uint64(i)+1), events[i].Data); err != nil {
				return err
			}
		}
		return txn.Commit()
	}
}

func (b *badgerLog) each(visit func(key, value []byte) error) error {
	return b.db.View(func(txn *badger.Txn) error {
		all := txn.NewIterator(badger.IteratorOptions{PrefetchValues: true, PrefetchSize: 100, Prefix: []byte{keyLog}})
		defer all.Close()
		for all.Rewind(); all.Valid(); all.Next() {
			item := all.Item()
			if err := item.Value(func(value []byte) error { return visit(item.Key(), value) }); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *badgerLog) Read(visit func(data []byte) error) error {
	return b.each(func(_, value []byte) error { return visit(value) })
}

func (b *badgerLog) Close() error { return b.db.Close() }

// badgerES enforces ids and versions by badger's own detection of conflicts: what
// a transaction has read, an id that is not there and the head of a stream, must
// be unchanged when it commits.
type badgerES struct{ *badgerLog }

func openBadgerES(setup Setup) (Store, error) {
	b, err := openBadgerDB(setup, true)
	if err != nil {
		return nil, err
	}
	return badgerES{b}, nil
}

func (b badgerES) Writer(events []Event) func() error {
	source := newIDs()
	stage := func(txn *badger.Txn) error {
		sequence := b.last.Add(uint64(len(events))) - uint64(len(events))
		for i := range events {
			e := &events[i]
			sequence++
			place := binary.BigEndian.AppendUint64(nil, sequence)
			made := source.next()
			key := idKey(make([]byte, 0, 17), made)
			if _, err := txn.Get(key); err == nil {
				return errDouble
			} else if !errors.Is(err, badger.ErrKeyNotFound) {
				return err
			}
			head := headKey(nil, e.Stream)
			version := uint64(0)
			if item, err := txn.Get(head); err == nil {
				if err := item.Value(func(value []byte) error {
					version = binary.BigEndian.Uint64(value)
					return nil
				}); err != nil {
					return err
				}
			} else if !errors.Is(err, badger.ErrKeyNotFound) {
				return err
			}
			version++
			for _, put := range [][2][]byte{
				{key, place},
				{head, binary.BigEndian.AppendUint64(nil, version)},
				{versionKey(nil, e.Stream, version), place},
				{logKey(nil, sequence), appendEvent(nil, made, version, e)},
			} {
				if err := txn.Set(put[0], put[1]); err != nil {
					return err
				}
			}
		}
		return nil
	}
	once := func() error {
		txn := b.db.NewTransaction(true)
		defer txn.Discard()
		if err := stage(txn); err != nil {
			return err
		}
		return txn.Commit()
	}
	return func() error {
		for {
			if err := once(); !errors.Is(err, badger.ErrConflict) {
				return err
			}
		}
	}
}

func (b badgerES) Read(visit func(data []byte) error) error {
	return b.badgerLog.Read(func(value []byte) error { return visit(eventData(value)) })
}
