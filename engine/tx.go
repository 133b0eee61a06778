package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
)

// ErrTxDone: the transaction was committed or cancelled.
var ErrTxDone = errors.New("the transaction has ended: begin another one")

// Tx is a transaction: a batch under construction. Its events become visible
// together, or not at all; until Commit nobody sees them, nobody waits for them,
// and no sequence, version or key is taken. Afterwards nothing tells them from
// those of one AppendBatch. A Tx that is cancelled, dropped, or open in a crash
// leaves nothing.
//
// Several may be open at the same time. One Tx is for one goroutine at a time.
type Tx struct {
	log   *Log
	batch Batch
	valid validation // of the drafts so far
	keys  map[string]bool
	done  bool
}

// Begin begins a transaction with the key, which may be "", and the durability of
// the batch that it will be. What is wrong with them is told by Commit.
func (l *Log) Begin(key string, durability Durability) *Tx {
	return &Tx{log: l, valid: validation{opts: &l.opts}, batch: Batch{Key: key, Durability: durability}}
}

// Append stages an event, and returns its place in the batch, which Item names as
// a cause. A draft that is refused, with an *ItemError that matches ErrInvalid or
// ErrLimit, is not staged, and the transaction can go on without it. What the
// draft expects of its stream is looked at by Commit.
func (t *Tx) Append(draft Draft) (item int, err error) {
	if t.done {
		return 0, fmt.Errorf("engine: stage an event: %w: %w", ErrRejected, ErrTxDone)
	}
	v := t.valid // as it was, if the draft is refused
	v.item = len(t.batch.Events)
	if v.item >= v.opts.MaxBatchEvents {
		v.problem(ErrLimit, "the batch has %d events already, as many as are allowed", v.item)
	}
	v.draft(&draft)
	switch {
	case t.batch.Key != "" && draft.Key != "":
		v.problem(ErrInvalid, "the batch has a key, and the event one, too: give keys either to the batch or to each event")
	case v.item > 0 && (len(t.keys) > 0) != (draft.Key != ""):
		v.problem(ErrInvalid, "all events of a batch have a key, or none")
	case t.keys[draft.Key]:
		v.problem(ErrInvalid, "key %q is that of an earlier item, too", draft.Key)
	}
	v.within()
	if err := v.err(); err != nil {
		return 0, fmt.Errorf("engine: stage an event: %w: %w", ErrRejected, err)
	}
	t.valid = v
	if draft.Key != "" {
		if t.keys == nil {
			t.keys = map[string]bool{}
		}
		t.keys[draft.Key] = true
	}
	t.stage(&draft)
	return v.item, nil
}

// txMark is how far a transaction was.
type txMark struct {
	events, notes int
	valid         validation
}

func (t *Tx) mark() txMark { return txMark{len(t.batch.Events), len(t.batch.Notes), t.valid} }

// back undoes what was staged since a mark.
func (t *Tx) back(m txMark) {
	for _, d := range t.batch.Events[m.events:] {
		delete(t.keys, d.Key)
	}
	clear(t.batch.Events[m.events:])
	clear(t.batch.Notes[m.notes:])
	t.batch.Events, t.batch.Notes = t.batch.Events[:m.events], t.batch.Notes[:m.notes]
	t.valid = m.valid
}

// stage keeps a draft, and nothing of the caller's.
func (t *Tx) stage(draft *Draft) {
	d := *draft
	d.Data, d.Metadata = bytes.Clone(d.Data), bytes.Clone(d.Metadata)
	d.Extensions = maps.Clone(d.Extensions)
	for name, value := range d.Extensions {
		d.Extensions[name] = bytes.Clone(value)
	}
	t.batch.Events = append(t.batch.Events, d)
}

// Note stages a note. One that is refused, with an error that matches ErrInvalid
// or ErrLimit, is not staged, and the transaction can go on without it. What it
// expects is looked at by Commit.
func (t *Tx) Note(note NoteDraft) error {
	if t.done {
		return fmt.Errorf("engine: stage a note: %w: %w", ErrRejected, ErrTxDone)
	}
	v, at := t.valid, len(t.batch.Notes)
	v.item = -1
	if at >= v.opts.MaxBatchEvents {
		v.problem(ErrLimit, "the batch has %d notes already, as many as are allowed", at)
	}
	v.noteDraft(&note, at)
	v.within()
	if err := v.err(); err != nil {
		return fmt.Errorf("engine: stage a note: %w: %w", ErrRejected, err)
	}
	t.valid = v
	note.Data = bytes.Clone(note.Data)
	t.batch.Notes = append(t.batch.Notes, note)
	return nil
}

// Len is how many events are staged.
func (t *Tx) Len() int { return len(t.batch.Events) }

// Commit appends what is staged, as AppendBatch does, with its errors; an
// *ItemError names the draft that is in the way, where there are several.
// Whatever it answers, the transaction has ended.
func (t *Tx) Commit(ctx context.Context) ([]Receipt, error) {
	if t.done {
		return nil, fmt.Errorf("engine: commit: %w: %w", ErrRejected, ErrTxDone)
	}
	batch := t.batch
	t.Cancel()
	return t.log.AppendBatch(ctx, batch)
}

// Cancel ends the transaction, and leaves nothing of it. After Commit, or a second
// time, it does nothing: it can be deferred.
func (t *Tx) Cancel() {
	t.done, t.batch, t.keys = true, Batch{}, nil
}
