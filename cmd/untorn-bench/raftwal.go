package main

import (
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

// raftWAL is hashicorp/raft-wal with its defaults: a sync a call, segments of 64
// MiB, allocated ahead in the background.
type raftWAL struct {
	log  *wal.WAL
	last uint64
	logs []raft.Log
	ptrs []*raft.Log
}

func openRaftWAL(setup Setup) (serial, error) {
	dir := filepath.Join(setup.Dir, "wal")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	log, err := wal.Open(dir, wal.WithLogger(hclog.NewNullLogger()))
	if err != nil {
		return nil, err
	}
	last, err := log.LastIndex()
	if err != nil {
		log.Close()
		return nil, err
	}
	return &raftWAL{log: log, last: last}, nil
}

func (r *raftWAL) append(calls [][]Event) error {
	last := r.last
	r.logs = r.logs[:0]
	for _, events := range calls {
		for i := range events {
			last++
			r.logs = append(r.logs, raft.Log{Index: last, Term: 1, Type: raft.LogCommand, Data: events[i].Data})
		}
	}
	r.ptrs = r.ptrs[:0]
	for i := range r.logs {
		r.ptrs = append(r.ptrs, &r.logs[i])
	}
	if err := r.log.StoreLogs(r.ptrs); err != nil {
		return err
	}
	r.last = last
	return nil
}

func (r *raftWAL) Read(visit func(data []byte) error) error {
	for i := uint64(1); i <= r.last; i++ {
		var entry raft.Log
		if err := r.log.GetLog(i, &entry); err != nil {
			return err
		}
		if err := visit(entry.Data); err != nil {
			return err
		}
	}
	return nil
}

func (r *raftWAL) Close() error { return r.log.Close() }
