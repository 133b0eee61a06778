package engine_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simfs"
)

// A reader gets what is there, and then what comes.
func ExampleLog_Subscribe() {
	log, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{})}) // or Dir: "data"
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	say := func(words ...string) {
		for _, word := range words {
			if _, err := log.Append(ctx, engine.Draft{Stream: "talk", Type: "said", Data: []byte(word)}); err != nil {
				fmt.Println(err)
			}
		}
	}

	say("one", "two")
	for event, err := range log.Subscribe(ctx, engine.Query{Stream: "talk"}) {
		if err != nil {
			fmt.Println(err, errors.Is(err, context.Canceled))
			break
		}
		fmt.Printf("%d %s\n", event.Sequence, event.Data)
		switch event.Sequence {
		case 2:
			go say("three", "four")
		case 4:
			stop() // else it waits for the fifth
		}
	}
	// Output:
	// 1 one
	// 2 two
	// 3 three
	// 4 four
	// engine: subscribe: context canceled true
}

// A cursor remembers what was handled, here without a handler: the move goes into
// the batch of whatever follows from the events.
func ExampleCursor() {
	log, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{})})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	ctx := context.Background()
	for _, data := range []string{"3", "4"} {
		if _, err := log.Append(ctx, engine.Draft{Stream: "till", Type: "paid", Data: []byte(data)}); err != nil {
			fmt.Println(err)
			return
		}
	}

	report, err := log.Cursor("report", engine.Query{Types: []string{"paid"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	from, err := report.Position()
	if err != nil {
		fmt.Println(err)
		return
	}
	total, to := 0, from
	for event, err := range log.Read(engine.Query{Types: []string{"paid"}, FromSequence: from + 1}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		total, to = total+int(event.Data[0]-'0'), event.Sequence
	}
	reported := engine.Batch{
		Events: []engine.Draft{{Stream: "reports", Type: "reported", Data: fmt.Append(nil, total)}},
		Notes:  []engine.NoteDraft{report.Move(from, to)},
	}
	_, err = log.AppendBatch(ctx, reported)
	fmt.Println(total, err)
	// Whoever else has read the same is late.
	_, err = log.AppendBatch(ctx, reported)
	fmt.Println(errors.Is(err, engine.ErrCursorMoved))
	position, err := report.Position()
	fmt.Println(position, err)
	// Output:
	// 7 <nil>
	// true
	// 2 <nil>
}

// Somebody who looks after a log sees which consumers lag.
func ExampleLog_Cursors() {
	log, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{})})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	ctx := context.Background()
	for range 5 {
		if _, err := log.Append(ctx, engine.Draft{Stream: "till", Type: "paid"}); err != nil {
			fmt.Println(err)
			return
		}
	}
	for _, name := range []string{"report", "mail"} {
		cursor, err := log.Cursor(name, engine.Query{Types: []string{"paid"}})
		if err != nil {
			fmt.Println(err)
			return
		}
		moved := engine.Batch{Notes: []engine.NoteDraft{cursor.Move(0, uint64(len(name)-2))}}
		if _, err := log.AppendBatch(ctx, moved); err != nil {
			fmt.Println(err)
			return
		}
	}

	for cursor := range log.Cursors() {
		fmt.Printf("%s is %d behind\n", cursor.Name, log.Stats().Visible.Sequence-cursor.Position)
	}
	for name := range log.NoteNames() {
		fmt.Println(name.Name, name.Notes)
	}
	// Output:
	// mail is 3 behind
	// report is 1 behind
	// untorn.cursor/mail 1
	// untorn.cursor/report 1
}

// What is in a log, from the outside: its files, its segments, its streams.
func ExampleLog_Files() {
	log, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{}), Dir: "data"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	if _, err := log.Append(context.Background(), engine.Draft{Stream: "till", Type: "paid"}); err != nil {
		fmt.Println(err)
		return
	}
	files, err := log.Files()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, file := range files {
		fmt.Println(file.Name, file.Kind)
	}
	for _, segment := range log.Stats().Segments {
		fmt.Println(segment.Number, segment.Batches, segment.Head == log.LogHead())
	}
	for head := range log.Heads() {
		fmt.Println(head.Stream, head.Version)
	}
	// Output:
	// 000000000001.seg segment
	// LOCK lock
	// 1 1 true
	// till 1
}

// Each order gets one bill, also where the program is killed and started again, and
// what cannot be billed is put aside.
func ExampleCursor_Handle() {
	log, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{})})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	ctx := context.Background()
	for _, order := range []string{"tea", "", "cake"} {
		if _, err := log.Append(ctx, engine.Draft{Stream: "orders", Type: "order.placed", Data: []byte(order)}); err != nil {
			fmt.Println(err)
			return
		}
	}

	billing, err := log.Cursor("billing", engine.Query{Types: []string{"order.placed"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	how := engine.Handling{Attempts: 2, Wait: time.Millisecond, DeadLetter: engine.StreamName{Stream: "not-billed"}, ToEnd: true}
	err = billing.Handle(ctx, how, func(ctx context.Context, event engine.Event, effects *engine.Effects) error {
		if len(event.Data) == 0 {
			return errors.New("nothing was ordered")
		}
		_, err := effects.Append(engine.Draft{Stream: "bills", Type: "billed", Data: event.Data})
		return err
	})
	fmt.Println(err)
	for event, err := range log.Read(engine.Query{FromSequence: 4}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		cause, err := log.Get(event.CausedBy)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(event.Stream, event.Type, "of event", cause.Sequence)
	}
	position, err := billing.Position()
	fmt.Println("handled up to event", position, err)
	// Output:
	// <nil>
	// bills billed of event 1
	// not-billed untorn.dead-letter of event 2
	// bills billed of event 3
	// handled up to event 3 <nil>
}

// A handler that goes on by its own effects: the query selects them, so each brings
// the handler to the next step. It has to end somewhere.
func ExampleCursor_Handle_ownEffects() {
	log, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{})})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	ctx := context.Background()
	if _, err := log.Append(ctx, engine.Draft{Stream: "offer", Type: "sent"}); err != nil {
		fmt.Println(err)
		return
	}
	offer, err := log.Cursor("reminders", engine.Query{Stream: "offer"})
	if err != nil {
		fmt.Println(err)
		return
	}
	const mostReminders = 2
	err = offer.Handle(ctx, engine.Handling{ToEnd: true}, func(ctx context.Context, event engine.Event, effects *engine.Effects) error {
		fmt.Println(event.Sequence, event.Type)
		if event.Depth == mostReminders {
			return nil // without an effect: here it ends
		}
		_, err := effects.Append(engine.Draft{Stream: "offer", Type: "reminded", Depth: event.Depth + 1})
		return err
	})
	fmt.Println(err)
	// Output:
	// 1 sent
	// 2 reminded
	// 3 reminded
	// <nil>
}

// A note is a named fact beside the events: the last of a name counts.
func ExampleLog_Notes() {
	log, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{})})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	ctx := context.Background()
	lead := func(who string, expect engine.NoteExpect) error {
		_, err := log.AppendBatch(ctx, engine.Batch{Notes: []engine.NoteDraft{{Name: "leader", Data: []byte(who), Expect: expect}}})
		return err
	}
	fmt.Println(lead("ada", engine.NoNote()))
	err = lead("bob", engine.NoNote())
	var changed *engine.NoteChangedError
	if errors.As(err, &changed) {
		fmt.Printf("%s is %s\n", changed.Name, changed.Actual)
	}
	fmt.Println(lead("bob", engine.NoteIs([]byte("ada"))))

	last, ok := log.Note("leader")
	fmt.Printf("%s %v\n", last.Data, ok)
	for note, err := range log.Notes(engine.NoteQuery{Name: "leader"}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("batch %d: %s\n", note.Batch, note.Data)
	}
	fmt.Println(log.Stats().Events)
	// Output:
	// <nil>
	// leader is ada
	// <nil>
	// bob true
	// batch 1: ada
	// batch 2: bob
	// 0
}
