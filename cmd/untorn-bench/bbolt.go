package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

// boltLog is a bbolt bucket from sequence to data: a B+tree whose every commit
// writes its pages and then the meta page, with a sync behind each. Its
// documentation offers for speed: no freelist on disk, the freelist as a hash
// map, pages filled to the end where keys only grow, an mmap that need not grow,
// and Batch for many callers, which is told here how many there are, so that it
// does not wait for more.
type boltLog struct {
	db   *bbolt.DB
	many bool
}

var boltBuckets = struct{ log, ids, versions []byte }{[]byte("log"), []byte("ids"), []byte("versions")}

func openBoltDB(setup Setup) (boltLog, error) {
	db, err := bbolt.Open(filepath.Join(setup.Dir, "bolt.db"), 0o600, &bbolt.Options{
		Timeout: 5 * time.Second, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
		InitialMmapSize: 1 << 30, NoStatistics: true, NoSync: setup.Buffered,
	})
	if err != nil {
		return boltLog{}, err
	}
	db.MaxBatchSize, db.MaxBatchDelay = setup.Writers, time.Millisecond
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{boltBuckets.log, boltBuckets.ids, boltBuckets.versions} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		db.Close()
		return boltLog{}, err
	}
	return boltLog{db, setup.Writers > 1}, nil
}

func openBolt(setup Setup) (Store, error) {
	b, err := openBoltDB(setup)
	if err != nil {
		return nil, err
	}
	return &b, nil
}

// update runs f in a transaction, its own or one with others.
func (b *boltLog) update(f func(*bbolt.Tx) error) error {
	if b.many {
		return b.db.Batch(f)
	}
	return b.db.Update(f)
}

func (b *boltLog) Writer(events []Event) func() error {
	f := func(tx *bbolt.Tx) error {
		log := tx.Bucket(boltBuckets.log)
		log.FillPercent = 1
		for i := range events {
			sequence, err := log.NextSequence()
			if err != nil {
				return err
			}
			// The key must stay as it is until the transaction ends.
			if err := log.Put(binary.BigEndian.AppendUint64(nil, sequence), events[i].Data); err != nil {
				return err
			}
		}
		return nil
	}
	return func() error { return b.update(f) }
}

func (b *boltLog) Read(visit func(data []byte) error) error {
	return b.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(boltBuckets.log).ForEach(func(_, data []byte) error { return visit(data) })
	})
}

func (b *boltLog) Close() error { return b.db.Close() }

// boltES adds what an event store enforces: a bucket of ids, and one of streams
// and versions, in which the last version of a stream is looked up.
type boltES struct{ boltLog }

func openBoltES(setup Setup) (Store, error) {
	b, err := openBoltDB(setup)
	if err != nil {
		return nil, err
	}
	return &boltES{b}, nil
}

var errDouble = errors.New("the id is there already")

func (b *boltES) Writer(events []Event) func() error {
	source := newIDs()
	f := func(tx *bbolt.Tx) error {
		log, known, versions := tx.Bucket(boltBuckets.log), tx.Bucket(boltBuckets.ids), tx.Bucket(boltBuckets.versions)
		log.FillPercent = 1
		cursor := versions.Cursor()
		for i := range events {
			e := &events[i]
			made := source.next()
			if known.Get(made[:]) != nil {
				return errDouble
			}
			sequence, err := log.NextSequence()
			if err != nil {
				return err
			}
			key := binary.BigEndian.AppendUint64(nil, sequence)
			version := boltVersion(cursor, e.Stream) + 1
			if err := log.Put(key, appendEvent(nil, made, version, e)); err != nil {
				return err
			}
			if err := known.Put(made[:], key); err != nil {
				return err
			}
			if err := versions.Put(versionKey(nil, e.Stream, version), key); err != nil {
				return err
			}
		}
		return nil
	}
	return func() error { return b.update(f) }
}

// boltVersion is the last version of a stream, or 0.
func boltVersion(cursor *bbolt.Cursor, stream string) uint64 {
	// The first key behind the stream's, and one back.
	past := versionKey(nil, stream, ^uint64(0))
	key, _ := cursor.Seek(past)
	if key == nil {
		key, _ = cursor.Last()
	} else {
		key, _ = cursor.Prev()
	}
	prefix := past[:len(past)-8]
	if len(key) != len(past) || !bytes.HasPrefix(key, prefix) {
		return 0
	}
	return binary.BigEndian.Uint64(key[len(prefix):])
}

func (b *boltES) Read(visit func(data []byte) error) error {
	return b.boltLog.Read(func(value []byte) error { return visit(eventData(value)) })
}
