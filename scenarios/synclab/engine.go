package synclab

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simclock"
)

// Engine is the event log of this module: a record is a batch of one event,
// with a key.
func Engine() Program { return eventLog{} }

type eventLog struct{}

// Name is what the table says.
func (eventLog) Name() string { return "engine" }

// Open opens the log, with segments as small as they can be.
func (p eventLog) Open(fs afero.Fs, seed uint64) (Store, error) {
	s := &openLog{clock: simclock.New(simclock.Epoch().Add(time.Duration(seed % uint64(time.Second))))}
	o := p.options(fs)
	o.Clock, o.Waits = s.clock, waits{s.clock}
	o.Rand = &numbers{state: seed}
	log, err := engine.Open(o)
	if err != nil {
		return nil, err
	}
	s.log = log
	return s, nil
}

func (eventLog) options(fs afero.Fs) engine.Options {
	return engine.Options{FS: fs, Dir: "log", SegmentSize: 64 << 10, Preallocate: -1}
}

// Damage reports whether the log says that it is damaged.
func (eventLog) Damage(err error) bool { return errors.Is(err, engine.ErrCorrupt) }

// Salvage reads what is whole.
func (p eventLog) Salvage(fs afero.Fs) ([]Record, error) {
	o := p.options(fs)
	o.ReadOnly, o.Salvage = true, true
	clock := simclock.New(simclock.Epoch())
	o.Clock, o.Waits = clock, waits{clock}
	log, err := engine.Open(o)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	return records(log, engine.Query{Buffered: true})
}

// openLog is an open log, alone with its clock.
type openLog struct {
	log   *engine.Log
	clock *simclock.Clock
}

func (s *openLog) Put(key, value string) error {
	_, err := s.log.Append(context.Background(), engine.Draft{Stream: "records", Type: "put", Key: key, Data: []byte(value)})
	s.clock.Yield()
	return err
}

// All reads the log, and lets it verify itself: a loss that Verify names is
// named.
func (s *openLog) All() ([]Record, error) {
	all, err := records(s.log, engine.Query{})
	if err != nil {
		return nil, err
	}
	_, err = s.log.Verify(context.Background())
	return all, err
}

func (s *openLog) Close() error {
	err := s.log.Close()
	s.clock.Kill()
	return err
}

func records(log *engine.Log, q engine.Query) (all []Record, err error) {
	for event, err := range log.Read(q) {
		if err != nil {
			return nil, err
		}
		all = append(all, Record{event.Key, string(event.Data)})
	}
	return all, nil
}

// waits makes an engine.Waits of a simulated clock.
type waits struct{ *simclock.Clock }

func (w waits) Signal(reason string) engine.Signal { return w.Clock.Event(reason) }

// numbers is the randomness of a seed (SplitMix64).
type numbers struct{ state uint64 }

// Read never fails.
func (n *numbers) Read(b []byte) (int, error) {
	var word [8]byte
	for i := 0; i < len(b); i += len(word) {
		n.state += 0x9e3779b97f4a7c15
		x := n.state
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		binary.LittleEndian.PutUint64(word[:], x^x>>31)
		copy(b[i:], word[:])
	}
	return len(b), nil
}
