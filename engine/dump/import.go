package dump

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

// Options says how a dump is imported.
type Options struct {
	// WithoutKeys leaves the idempotency keys away where the events are appended to
	// another log, which may have used them itself.
	WithoutKeys bool
	// Progress is told after each batch; nil: nobody is.
	Progress func(Result)
}

// Result is what an Import has done.
type Result struct {
	// Exact is true for the log of the dump, or a new one with its id: it has the dump's
	// batches, with their heads. Else the dump's events were appended to another log, as
	// new ones.
	Exact   bool
	Batches uint64 // that were appended
	Events  uint64 // that were appended
	Skipped uint64 // batches that were there already, or have nothing that another log takes
	Batch   uint64 // number of the dump's last batch that is there, or was skipped; 0 if none is
	Durable bool   // all that is
}

// Import takes a dump into a log.
//
// A log with the id of the dump becomes, or stays, what was dumped, by Log.Apply: it must
// be empty, which Options.ID makes one of a new log, or have the same batches up to where
// the dump goes on. Batches that it has are skipped, also where it has more than the
// dump, so that an import that was interrupted is just run again. Any other log gets the
// events as new ones, by Log.Adopt; the dump's hashes are checked there, too.
//
// All batches before the first that is wrong are in the log and, if Result.Durable,
// durable; nothing of that batch is, nor of what follows. The error is a *LineError where
// a line is at fault, and matches what Apply or Adopt said.
func Import(ctx context.Context, log *engine.Log, r *Reader, o Options) (Result, error) {
	i := importing{log: log, reader: r, options: o}
	i.Exact = log.ID() == r.Header().Log && log.ID() != uuid.Nil
	err := i.begins()
	for err == nil {
		if err = i.next(ctx); err == nil && o.Progress != nil {
			o.Progress(i.Result)
		}
	}
	if err == io.EOF {
		err = nil
	}
	// What was taken is to last, whatever came behind it.
	if synced := log.Sync(context.WithoutCancel(ctx)); synced != nil {
		err = errors.Join(err, synced)
	} else {
		i.Durable = true
	}
	if err != nil {
		return i.Result, fmt.Errorf("dump: import: %w", err)
	}
	return i.Result, nil
}

type importing struct {
	Result
	log     *engine.Log
	reader  *Reader
	options Options
	check   *engine.Succession // of what goes to another log
}

// begins checks that the dump goes on where the log ends, or before.
func (i *importing) begins() error {
	h := i.reader.Header()
	if !i.Exact {
		i.check = engine.NewSuccession(h.Log, h.First-1, h.Before)
		return nil
	}
	head, err := i.log.HeadAt(h.First - 1)
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return &LineError{Line: 1, Err: &engine.GapError{Batch: h.First, Next: i.log.LogHead().Batch + 1}}
	case err != nil:
		return err
	case head.Hash != h.Before:
		return &LineError{Line: 1, Err: &engine.DivergedError{Batch: h.First - 1, Item: -1, Expected: h.Before, Found: head.Hash, Reason: "the log has another one, of the same id"}}
	}
	return nil
}

// next takes the next batch.
func (i *importing) next(ctx context.Context) error {
	b, err := i.reader.Next()
	if err != nil {
		return err
	}
	taken := false
	if i.Exact {
		taken, err = i.log.Apply(ctx, b.WholeBatch, engine.Buffered)
	} else if err = i.check.Check(&b.WholeBatch); err == nil {
		for k := range b.Events {
			if i.options.WithoutKeys {
				b.Events[k].Key = ""
			}
		}
		taken, err = i.log.Adopt(ctx, i.reader.Header().Log, b.WholeBatch, engine.Buffered)
	}
	if err != nil {
		return &LineError{Line: b.LineOf(err), Batch: b.Number, Err: err}
	}
	if i.Batch = b.Number; taken {
		i.Batches++
		i.Events += uint64(len(b.Events))
	} else {
		i.Skipped++
	}
	return nil
}

// LineOf is the line of the dump that an error of the log, or of a Succession, is about.
func (b *Batch) LineOf(err error) int {
	var diverged *engine.DivergedError
	var item *engine.ItemError
	var taken *engine.IDTakenError
	var keys *engine.KeyConflictError
	switch {
	case errors.As(err, &diverged) && diverged.Item >= 0:
		return b.Line + 1 + diverged.Item
	case errors.As(err, &taken):
		return b.Line + 1 + taken.Item
	case errors.As(err, &keys) && len(keys.Items) > 0:
		return b.Line + 1 + keys.Items[0].Item
	case errors.As(err, &item):
		return b.Line + 1 + item.Item
	}
	return b.Line
}
