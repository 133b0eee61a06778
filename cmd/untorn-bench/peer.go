package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// Store is a log under test.
type Store interface {
	// Writer returns a function that appends these events, all or none, each time
	// it is called, and returns when they are durable (Setup.Buffered: written).
	// Each goroutine has a writer of its own; what can be made once is made here,
	// so that no store pays for the bench's own shape.
	Writer(events []Event) func() error
	// Read visits what the events carried, in the order of the log.
	Read(visit func(data []byte) error) error
	Close() error
}

// Setup is how a store is opened.
type Setup struct {
	Dir      string // its own, and empty, or what was left there
	Keep     string // where raw and the floors keep a filled file from round to round; "": in Dir
	Writers  int    // goroutines that will append
	Buffered bool   // nothing need be synced
}

// Peer is one kind of store.
type Peer struct {
	Name   string
	Module string // whose version is reported; "" for none
	Limit  bool   // not a store, but what bounds one
	Many   bool   // differs from its plain form only with more than one writer
	Synced bool   // has no way to leave the sync out
	Open   func(Setup) (Store, error)
}

// Peers are all of them, in the order of the tables.
func Peers() []Peer {
	return []Peer{
		{Name: "raw", Limit: true, Open: openRaw},
		{Name: "floor", Limit: true, Open: openFloor},
		{Name: "floor-lanes", Limit: true, Open: openFloorLanes},
		{Name: "untorn", Module: "github.com/untorn-db/untorn", Open: openUntorn},
		{Name: "bbolt", Module: "go.etcd.io/bbolt", Open: openBolt},
		{Name: "bbolt-es", Module: "go.etcd.io/bbolt", Open: openBoltES},
		{Name: "pebble", Module: "github.com/cockroachdb/pebble/v2", Open: openPebble},
		{Name: "pebble-es", Module: "github.com/cockroachdb/pebble/v2", Open: openPebbleES},
		{Name: "badger", Module: "github.com/dgraph-io/badger/v4", Open: openBadger},
		{Name: "badger-es", Module: "github.com/dgraph-io/badger/v4", Open: openBadgerES},
		{Name: "tidwall-wal", Module: "github.com/tidwall/wal", Open: oneByOne(openTidwall)},
		{Name: "gc:tidwall-wal", Module: "github.com/tidwall/wal", Many: true, Open: inGroups(openTidwall)},
		{Name: "raft-wal", Module: "github.com/hashicorp/raft-wal", Synced: true, Open: oneByOne(openRaftWAL)},
		{Name: "gc:raft-wal", Module: "github.com/hashicorp/raft-wal", Many: true, Synced: true, Open: inGroups(openRaftWAL)},
		{Name: "etcd-wal", Module: "go.etcd.io/etcd/server/v3", Open: oneByOne(openEtcdWAL)},
		{Name: "gc:etcd-wal", Module: "go.etcd.io/etcd/server/v3", Many: true, Open: inGroups(openEtcdWAL)},
		{Name: "sqlite", Module: "modernc.org/sqlite", Open: oneByOne(openSQLite)},
		{Name: "gc:sqlite", Module: "modernc.org/sqlite", Many: true, Open: inGroups(openSQLite)},
		{Name: "sqlite-es", Module: "modernc.org/sqlite", Open: oneByOne(openSQLiteES)},
		{Name: "gc:sqlite-es", Module: "modernc.org/sqlite", Many: true, Open: inGroups(openSQLiteES)},
		{Name: "nats", Module: "github.com/nats-io/nats-server/v2", Open: openNATS},
	}
}

// pickPeers takes those that are named; none means all. raw and the floors are always
// among them: without them there is no ratio.
func pickPeers(names string) ([]Peer, error) {
	all := Peers()
	if names == "" {
		return all, nil
	}
	wanted := strings.Split(names, ",")
	for _, name := range wanted {
		if !slices.ContainsFunc(all, func(p Peer) bool { return p.Name == name }) {
			var known []string
			for _, p := range all {
				known = append(known, p.Name)
			}
			return nil, fmt.Errorf("no peer %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(all, func(p Peer) bool { return !p.Limit && !slices.Contains(wanted, p.Name) }), nil
}

// Takes reports whether the workload says anything about the peer.
func (p Peer) Takes(w Workload) bool {
	return !(p.Many && w.Writers == 1) && !(p.Synced && w.Buffered)
}

// Version is the version of the peer's module in this binary.
func (p Peer) Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || p.Module == "" {
		return ""
	}
	for _, module := range info.Deps {
		if module.Path != p.Module {
			continue
		}
		if module.Replace != nil {
			return "this tree"
		}
		return module.Version
	}
	return ""
}

// serial is a store that takes one append at a time: of the calls of one
// goroutine or of many, each all or none, and one sync for all.
type serial interface {
	append(calls [][]Event) error
	Read(visit func(data []byte) error) error
	Close() error
}

// locked lets callers into a serial store one after the other.
type locked struct {
	serial
	mu sync.Mutex
}

func oneByOne(open func(Setup) (serial, error)) func(Setup) (Store, error) {
	return func(setup Setup) (Store, error) {
		s, err := open(setup)
		if err != nil {
			return nil, err
		}
		return &locked{serial: s}, nil
	}
}

func (l *locked) Writer(events []Event) func() error {
	calls := [][]Event{events}
	return func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.append(calls)
	}
}

// An id is that of an event in the -es layouts: like a UUIDv7 it begins with the
// time, so that a tree gets its keys nearly in order, but it is cheaper.
type id = [16]byte

// ids makes ids. Each writer has its own.
type ids struct{ random *rand.PCG }

func newIDs() ids { return ids{rand.NewPCG(rand.Uint64(), rand.Uint64())} }

func (s ids) next() (made id) {
	binary.BigEndian.PutUint64(made[:], uint64(time.Now().UnixMilli())<<16|s.random.Uint64()&0xffff)
	binary.BigEndian.PutUint64(made[8:], s.random.Uint64())
	return made
}

// The keys of the ordered stores: a letter, then what is looked up.
const (
	keyLog     = 'l' // sequence → the event
	keyID      = 'i' // id → sequence
	keyVersion = 'v' // stream, 0, version → sequence
	keyHead    = 'h' // stream → version
)

func logKey(dst []byte, sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst[:0], keyLog), sequence)
}

func idKey(dst []byte, key id) []byte { return append(append(dst[:0], keyID), key[:]...) }

func versionKey(dst []byte, stream string, version uint64) []byte {
	dst = append(append(append(dst[:0], keyVersion), stream...), 0)
	return binary.BigEndian.AppendUint64(dst, version)
}

func headKey(dst []byte, stream string) []byte { return append(append(dst[:0], keyHead), stream...) }

// appendEvent is an event as the -es layouts of the ordered stores keep it:
//
//	id, 16 │ version, u64 │ length of the stream, u8 │ stream │ data
func appendEvent(dst []byte, key id, version uint64, e *Event) []byte {
	dst = append(dst[:0], key[:]...)
	dst = binary.BigEndian.AppendUint64(dst, version)
	dst = append(append(dst, byte(len(e.Stream))), e.Stream...)
	return append(dst, e.Data...)
}

func eventData(b []byte) []byte { return b[25+int(b[24]):] }
