package main

import (
	"encoding/binary"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

// pebbleLog is a pebble from sequence to data. Its commit pipeline shares the
// syncs of concurrent callers itself. A larger memtable and no compaction of
// level 0 for a while are what it offers for appending.
type pebbleLog struct {
	db       *pebble.DB
	last     atomic.Uint64
	buffered bool
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	pebble.DefaultLogger.Fatalf(format, args...)
}

func openPebbleDB(setup Setup) (*pebbleLog, error) {
	options := &pebble.Options{
		MemTableSize: 64 << 20, MemTableStopWritesThreshold: 4,
		L0CompactionThreshold: 8, L0StopWritesThreshold: 1000,
		FormatMajorVersion: pebble.FormatNewest, Logger: quiet{},
	}
	options.Levels[0].FilterPolicy = bloom.FilterPolicy(10)
	db, err := pebble.Open(filepath.Join(setup.Dir, "pebble"), options)
	if err != nil {
		return nil, err
	}
	p := &pebbleLog{db: db, buffered: setup.Buffered}
	last := uint64(0)
	err = p.each(keyLog, func(key, _ []byte) error {
		last = binary.BigEndian.Uint64(key[1:])
		return nil
	})
	if err != nil {
		db.Close()
		return nil, err
	}
	p.last.Store(last)
	return p, nil
}

func openPebble(setup Setup) (Store, error) {
	p, err := openPebbleDB(setup)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (p *pebbleLog) options() *pebble.WriteOptions {
	if p.buffered {
		return pebble.NoSync
	}
	return pebble.Sync
}

func (p *pebbleLog) Writer(events []Event) func() error {
	var key []byte
	return func() error {
		batch := p.db.NewBatch()
		defer batch.Close()
		sequence := p.last.Add(uint64(len(events))) - uint64(len(events))
		for i := range events {
			key = logKey(key, sequence+uint64(i)+1)
			if err := batch.Set(key, events[i].Data, nil); err != nil {
				return err
			}
		}
		return batch.Commit(p.options())
	}
}

func (p *pebbleLog) each(kind byte, visit func(key, value []byte) error) error {
	all, err := p.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		return err
	}
	for ok := all.First(); ok; ok = all.Next() {
		if err := visit(all.Key(), all.Value()); err != nil {
			return errors.Join(err, all.Close())
		}
	}
	return all.Close()
}

func (p *pebbleLog) Read(visit func(data []byte) error) error {
	return p.each(keyLog, func(_, value []byte) error { return visit(value) })
}

func (p *pebbleLog) Close() error { return p.db.Close() }

// pebbleES enforces ids and versions: what is looked up must not change until the
// batch is in the memtable, so a mutex covers that part; the wait for the sync is
// outside.
type pebbleES struct {
	*pebbleLog
	mu    sync.Mutex
	heads map[string]uint64
}

func openPebbleES(setup Setup) (Store, error) {
	p, err := openPebbleDB(setup)
	if err != nil {
		return nil, err
	}
	es := &pebbleES{pebbleLog: p, heads: map[string]uint64{}}
	err = p.each(keyVersion, func(key, _ []byte) error {
		es.heads[string(key[1:len(key)-9])] = binary.BigEndian.Uint64(key[len(key)-8:])
		return nil
	})
	if err != nil {
		p.Close()
		return nil, err
	}
	return es, nil
}

func (p *pebbleES) Writer(events []Event) func() error {
	source := newIDs()
	var key, value []byte
	sequences := make([]byte, 0, 8)
	stage := func(batch *pebble.Batch) error {
		sequence := p.last.Add(uint64(len(events))) - uint64(len(events))
		for i := range events {
			e := &events[i]
			sequence++
			sequences = binary.BigEndian.AppendUint64(sequences[:0], sequence)
			made := source.next()
			key = idKey(key, made)
			if _, closer, err := p.db.Get(key); err == nil {
				closer.Close()
				return errDouble
			} else if !errors.Is(err, pebble.ErrNotFound) {
				return err
			}
			if err := batch.Set(key, sequences, nil); err != nil {
				return err
			}
			p.heads[e.Stream]++
			version := p.heads[e.Stream]
			key = versionKey(key, e.Stream, version)
			if err := batch.Set(key, sequences, nil); err != nil {
				return err
			}
			key, value = logKey(key, sequence), appendEvent(value, made, version, e)
			if err := batch.Set(key, value, nil); err != nil {
				return err
			}
		}
		if p.buffered {
			return p.db.Apply(batch, pebble.NoSync)
		}
		return p.db.ApplyNoSyncWait(batch, pebble.Sync)
	}
	return func() error {
		batch := p.db.NewBatch()
		defer batch.Close()
		p.mu.Lock()
		err := stage(batch)
		p.mu.Unlock()
		if err != nil || p.buffered {
			return err
		}
		return batch.SyncWait()
	}
}

func (p *pebbleES) Read(visit func(data []byte) error) error {
	return p.pebbleLog.Read(func(value []byte) error { return visit(eventData(value)) })
}
