package main

import (
	"path/filepath"

	"github.com/tidwall/wal"
)

// tidwall is tidwall/wal with its defaults: a sync a call, 20 MiB a segment. It
// keeps the tail segment in memory.
type tidwall struct {
	log   *wal.Log
	last  uint64
	batch wal.Batch
}

func openTidwall(setup Setup) (serial, error) {
	options := *wal.DefaultOptions
	options.NoSync = setup.Buffered
	options.NoCopy = true
	log, err := wal.Open(filepath.Join(setup.Dir, "wal"), &options)
	if err != nil {
		return nil, err
	}
	last, err := log.LastIndex()
	if err != nil {
		log.Close()
		return nil, err
	}
	return &tidwall{log: log, last: last}, nil
}

func (t *tidwall) append(calls [][]Event) error {
	if len(calls) == 1 && len(calls[0]) == 1 {
		if err := t.log.Write(t.last+1, calls[0][0].Data); err != nil {
			return err
		}
		t.last++
		return nil
	}
	last := t.last
	for _, events := range calls {
		for i := range events {
			last++
			t.batch.Write(last, events[i].Data)
		}
	}
	if err := t.log.WriteBatch(&t.batch); err != nil {
		return err
	}
	t.last = last
	return nil
}

func (t *tidwall) Read(visit func(data []byte) error) error {
	for i := uint64(1); i <= t.last; i++ {
		data, err := t.log.Read(i)
		if err != nil {
			return err
		}
		if err := visit(data); err != nil {
			return err
		}
	}
	return nil
}

func (t *tidwall) Close() error { return t.log.Close() }
