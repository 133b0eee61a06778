package main

import (
	"context"
	"math"
	"path/filepath"
	"time"

	"github.com/untorn-db/untorn/engine"
)

// eventType is the type of every event, in untorn and in floor.
const eventType = "happened"

// untorn is the engine as it opens by default. Buffered, nobody syncs: the
// cadence, which the peers do not have, is set out of reach.
type untorn struct {
	log        *engine.Log
	durability engine.Durability
}

func openUntorn(setup Setup) (Store, error) {
	options := engine.Options{Dir: filepath.Join(setup.Dir, "log")}
	durability := engine.Durable
	if setup.Buffered {
		durability = engine.Buffered
		options.SyncCount, options.SyncEvery = math.MaxInt32, time.Hour
	}
	log, err := engine.Open(options)
	if err != nil {
		return nil, err
	}
	return &untorn{log, durability}, nil
}

func (u *untorn) Writer(events []Event) func() error {
	ctx := context.Background()
	drafts := make([]engine.Draft, len(events))
	for i, e := range events {
		drafts[i] = engine.Draft{Stream: e.Stream, Type: eventType, Data: e.Data}
	}
	if len(drafts) == 1 && u.durability == engine.Durable {
		return func() error {
			_, err := u.log.Append(ctx, drafts[0])
			return err
		}
	}
	batch := engine.Batch{Events: drafts, Durability: u.durability}
	return func() error {
		_, err := u.log.AppendBatch(ctx, batch)
		return err
	}
}

func (u *untorn) Read(visit func(data []byte) error) error {
	for event, err := range u.log.Read(engine.Query{}) {
		if err != nil {
			return err
		}
		if err := visit(event.Data); err != nil {
			return err
		}
	}
	return nil
}

func (u *untorn) Close() error { return u.log.Close() }
