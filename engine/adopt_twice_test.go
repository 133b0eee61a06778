package engine_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

// A batch in which two events have one id is of no log, and is not taken in.
func TestAdoptNoIDTwice(t *testing.T) {
	log, err := engine.Open(engine.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var event engine.WholeEvent
	event.ID, event.Stream, event.Type = uuid.New(), "s", "t"
	batch := engine.WholeBatch{Events: []engine.WholeEvent{event, event}}
	batch.Number = 1
	adopted, err := log.Adopt(t.Context(), uuid.New(), batch, engine.Durable)
	var taken *engine.IDTakenError
	if adopted || !errors.Is(err, engine.ErrRejected) || !errors.As(err, &taken) || taken.Item != 1 {
		t.Errorf("Adopt = %v, %v: want item 1 refused", adopted, err)
	}
	if head := log.LogHead(); head.Batch != 0 {
		t.Errorf("the log has %d batches", head.Batch)
	}
}
