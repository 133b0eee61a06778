package main

import (
	"path/filepath"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// etcdWAL is etcd's own log with its defaults: segments of 64 MB, allocated ahead
// in the background; a sync a call.
type etcdWAL struct {
	log     *wal.WAL
	past    []*raftpb.Entry // what was there when it was opened
	last    uint64
	state   raftpb.HardState
	entries []*raftpb.Entry
}

func openEtcdWAL(setup Setup) (serial, error) {
	dir := filepath.Join(setup.Dir, "wal")
	e := &etcdWAL{}
	var err error
	if wal.Exist(dir) {
		zero := uint64(0)
		if e.log, err = wal.Open(zap.NewNop(), dir, &walpb.Snapshot{Index: &zero, Term: &zero}); err != nil {
			return nil, err
		}
		if _, _, e.past, err = e.log.ReadAll(); err != nil {
			e.log.Close()
			return nil, err
		}
		e.last = uint64(len(e.past))
	} else if e.log, err = wal.Create(zap.NewNop(), dir, nil); err != nil {
		return nil, err
	}
	if setup.Buffered {
		e.log.SetUnsafeNoFsync()
	}
	return e, nil
}

func (e *etcdWAL) append(calls [][]Event) error {
	total := 0
	for _, events := range calls {
		total += len(events)
	}
	term, kind := uint64(1), raftpb.EntryType_EntryNormal
	for len(e.entries) < total {
		e.entries = append(e.entries, &raftpb.Entry{Term: &term, Type: &kind, Index: new(uint64)})
	}
	n := 0
	for _, events := range calls {
		for i := range events {
			*e.entries[n].Index = e.last + uint64(n) + 1
			e.entries[n].Data = events[i].Data
			n++
		}
	}
	if err := e.log.Save(&e.state, e.entries[:n]); err != nil {
		return err
	}
	e.last += uint64(n)
	return nil
}

// Read visits what was there when the log was opened: it cannot be read while it
// is written.
func (e *etcdWAL) Read(visit func(data []byte) error) error {
	for _, entry := range e.past {
		if err := visit(entry.Data); err != nil {
			return err
		}
	}
	return nil
}

func (e *etcdWAL) Close() error { return e.log.Close() }
