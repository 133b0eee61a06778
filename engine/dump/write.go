package dump

import (
	"context"
	"fmt"
	"io"

	"github.com/untorn-db/untorn/engine"
)

// Range says which batches of a log are dumped. The zero value is all of them.
type Range struct {
	From, To uint64 // numbers, inclusive; 0 means no bound
	// Progress is told after each batch; nil: nobody is.
	Progress func(Sum)
}

// Write writes the durable batches of a log, as they are when it begins. Calls of other
// methods of the log go on meanwhile. What was written without its last line is no dump:
// an error, or the context's end, leaves that.
//
// A range that begins behind the log's end gives a dump without batches, unless it begins
// behind the next batch: then the error matches engine.ErrNotFound. What the log says is
// damaged matches engine.ErrCorrupt.
func Write(ctx context.Context, w io.Writer, log *engine.Log, r Range) (Sum, error) {
	sum, err := write(ctx, w, log, r)
	if err != nil {
		return sum, fmt.Errorf("dump: %w", err)
	}
	return sum, nil
}

func write(ctx context.Context, w io.Writer, log *engine.Log, r Range) (Sum, error) {
	last := log.LogHead().Batch
	if r.To > 0 {
		last = min(last, r.To)
	}
	header := Header{Log: log.ID(), First: max(r.From, 1)}
	before, err := log.HeadAt(header.First - 1)
	if err != nil {
		return Sum{}, err
	}
	header.Before = before.Hash
	line := header.appendLine(nil)
	if _, err := w.Write(line); err != nil {
		return Sum{}, fmt.Errorf("write the first line: %w", err)
	}
	sum := Sum{Batch: header.First - 1, Head: header.Before}
	for b, err := range log.Batches(header.First) {
		if err != nil {
			return sum, err
		}
		if b.Number > last {
			break
		}
		if err := ctx.Err(); err != nil {
			return sum, err
		}
		if line, err = writeBatch(w, line, &b); err != nil {
			return sum, fmt.Errorf("batch %d: %w", b.Number, err)
		}
		sum.add(&b)
		if r.Progress != nil {
			r.Progress(sum)
		}
	}
	if _, err := w.Write(sum.appendLine(line[:0])); err != nil {
		return sum, fmt.Errorf("write the last line: %w", err)
	}
	return sum, nil
}

// writeBatch writes the lines of a batch. It returns the room for the next line.
func writeBatch(w io.Writer, line []byte, b *engine.WholeBatch) ([]byte, error) {
	size := 0
	put := func(b []byte) error {
		line = b
		if size += len(line); len(line) > MaxLine || size > MaxBatch {
			return fmt.Errorf("%w: a line may have %d MiB, and those of a batch %d MiB", engine.ErrLimit, MaxLine>>20, MaxBatch>>20)
		}
		_, err := w.Write(line)
		return err
	}
	p := openingOf(b)
	if err := put(p.appendLine(line[:0])); err != nil {
		return line, err
	}
	for i := range b.Events {
		if err := put(appendEvent(line[:0], &b.Events[i])); err != nil {
			return line, err
		}
	}
	for i := range b.Notes {
		if err := put(appendNote(line[:0], &b.Notes[i])); err != nil {
			return line, err
		}
	}
	return line, nil
}
