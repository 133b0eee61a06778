package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"

	"github.com/untorn-db/untorn/cmd/internal/color"
	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/graph/draw"
	"github.com/untorn-db/untorn/engine/proof"
)

func inspectCommand() command.Command {
	return command.Command{
		Name:  "inspect",
		Short: "print the segments, heads and frontiers of a log",
		Form:  "--dir DIR [flags]",
		Long: `The head of the log stands for everything in it: keep it, and untorn verify --head says later whether the
log still is what it was. A frontier is how far the log has come: everything up to its event is accepted,
written to the file, durable on the disk, visible to readers.

Of each segment: the size of its file, how much of that is used, its first and its last event, how many batches
begin in it, when the first of them was written and how long it was until the last, and the head of the log at
its end. Nothing more is written to a sealed segment; the active one is the last. What else lies in the directory
is listed behind them.

The last signature is shown as it stands in the log: untorn verify --keys checks it. How far a cursor is behind
counts the events of the log, also those that its query leaves out. LOCK names the process that has opened the
log for writing last; it may have ended. All times are UTC. It takes no lock and writes nothing.`,
		Exits: []int{command.ExitFine, command.ExitWrong, command.ExitUsage},
		Examples: []command.Example{
			{Line: "untorn inspect --dir data", Says: "segments, head and frontiers"},
			{Line: `untorn inspect --dir data | sed -n 's/^head \([^ ]*\) .*/\1/p' >head`, Says: "keep the head, for untorn verify --head"},
			{Line: "untorn inspect --dir data --streams --json", Says: "for a program, with the head of each stream"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			dir := dirFlag(flags)
			i := &inspection{}
			flags.BoolVar(&i.streams, "streams", false, "also the head of each stream")
			flags.BoolVar(&i.cursors, "cursors", false, "also each cursor: where it is, and how many events behind")
			flags.BoolVar(&i.notes, "notes", false, "also each name of notes: how many there are, and the last of them")
			flags.BoolVar(&i.wide, "wide", false, "hashes in full, and when segments end")
			salvage := salvageFlag(flags)
			var when color.When
			flags.Var(&when, "color", color.Usage)
			asJSON := jsonFlag(flags, "print one JSON object, and one more for each stream, cursor and name that is asked for; sizes in bytes, hashes in full, never in colours")
			return func(e *command.Env) error {
				name, err := dir()
				if err != nil {
					return err
				}
				log, err := openToRead(e, name, *salvage)
				if err != nil {
					return err
				}
				defer log.Close()
				if err := i.look(name, log); err != nil {
					return err
				}
				i.out, i.paint = e.Stdout, when.Painter(e.Output, os.LookupEnv)
				if *asJSON {
					i.printJSON()
				} else {
					i.printText()
				}
				return damage(log)
			}
		},
	}
}

// inspection is a run of untorn inspect.
type inspection struct {
	streams, cursors, notes, wide bool

	out   *bufio.Writer
	paint color.Painter

	dir       string
	log       *engine.Log
	stats     engine.Stats
	head      engine.LogHead
	recovery  engine.Recovery
	damaged   map[uint64]bool // segments
	scopes    []string
	others    []engine.File // that are no segments of the log, and not its lock
	writer    int           // number of the process that LOCK names; 0: none
	signed    proof.SignedHead
	signature string // what is wrong with the last signature, or ""

	cursorCount, behind  uint64 // how many, and how far the last of them is
	noteNames, noteCount uint64
}

// look collects what all forms of the output say.
func (i *inspection) look(dir string, log *engine.Log) error {
	i.dir, i.log = dir, log
	i.stats, i.head, i.recovery, i.scopes = log.Stats(), log.LogHead(), log.Recovery(), log.Scopes()
	i.damaged = map[uint64]bool{}
	for _, problem := range i.recovery.Damage {
		i.damaged[problem.Segment] = true
	}
	files, err := log.Files()
	if err != nil {
		return err
	}
	for _, file := range files {
		switch file.Kind {
		case engine.FileSegment:
		case engine.FileLock:
			i.writer = lockedBy(dir)
		default:
			i.others = append(i.others, file)
		}
	}
	if note, ok := log.Note(engine.SignatureNote); ok {
		if err := i.signed.UnmarshalBinary(note.Data); err != nil {
			i.signed, i.signature = proof.SignedHead{}, err.Error()
		}
	}
	for c := range log.Cursors() {
		i.cursorCount++
		i.behind = max(i.behind, i.lag(&c))
	}
	for n := range log.NoteNames() {
		i.noteNames++
		i.noteCount += n.Notes
	}
	return nil
}

// lag is how many events of the log are behind a cursor's position; 0 if that is not
// known.
func (i *inspection) lag(c *engine.CursorState) uint64 {
	if last := i.stats.Visible.Sequence; c.Err == nil && c.Position < last {
		return last - c.Position
	}
	return 0
}

// frontiers lists the frontiers by name, the widest first.
func frontiers(stats engine.Stats) []namedFrontier {
	return []namedFrontier{
		{"accepted", stats.Accepted},
		{"written", stats.Written},
		{"durable", stats.Durable},
		{"visible", stats.Visible},
	}
}

type namedFrontier struct {
	name string
	engine.Frontier
}

func (i *inspection) printText() {
	i.printWhole()
	i.printSegments()
	i.printOthers()
	i.printContents()
	for _, problem := range i.recovery.Damage {
		fmt.Fprintf(i.out, "\n%s %s\n", i.paint.Text(color.Red, "damaged:"), command.OneLine(problem.Error()))
	}
	if i.recovery.Unproven > 0 {
		fmt.Fprintf(i.out, "\n%s at the end may not be durable yet\n", command.Count(i.recovery.Unproven, "event", "events"))
	}
	if i.recovery.Torn {
		fmt.Fprintf(i.out, "\nthe end is torn: segment %d, byte %d: %s: the next untorn append repairs it\n",
			i.recovery.TornAt.Segment, i.recovery.TornAt.Offset, i.recovery.TornReason)
	}
}

// printWhole prints what is of the whole log.
func (i *inspection) printWhole() {
	out, head := i.out, i.head
	fmt.Fprintf(out, "log %s: %s, %s\n", shown(i.dir).text,
		command.Count(i.stats.Events, "event", "events"), command.Count(i.stats.Batches, "batch", "batches"))
	if len(i.stats.Segments) > 0 {
		fmt.Fprintf(out, "id        %v\n", i.log.ID())
	}
	if head.Batch > 0 {
		fmt.Fprintf(out, "head %d:%v at event %d, %s\n", head.Batch, head.Hash, head.Sequence, head.Time.UTC().Format(timeFormat))
	}
	for _, f := range frontiers(i.stats) {
		if f.Sequence > 0 {
			fmt.Fprintf(out, "%-9s event %d, %s\n", f.name, f.Sequence, f.Time.UTC().Format(timeFormat))
		}
	}
	switch {
	case i.signature != "":
		fmt.Fprintf(out, "signed    the last signature is damaged: %s\n", command.OneLine(i.signature))
	case i.signed.Signed():
		fmt.Fprintf(out, "signed    event %d, head %d:%v, by key %s: ", i.signed.Sequence, i.signed.Batch, i.signed.Hash, shown(i.signed.KeyID).text)
		switch events, batches := i.unsigned(); {
		case events > 0:
			fmt.Fprintf(out, "%s in %s after it\n", command.Count(events, "event", "events"), command.Count(batches, "batch", "batches"))
		default:
			fmt.Fprintf(out, "no event after it\n")
		}
	}
	if i.writer > 0 {
		is := ""
		if yes, known := running(i.writer); yes {
			is = ", which is running"
		} else if known {
			is = ", which has ended"
		}
		fmt.Fprintf(out, "LOCK      process %d%s\n", i.writer, is)
	}
}

// unsigned counts what came after the last signature.
func (i *inspection) unsigned() (events, batches uint64) {
	if i.head.Batch < i.signed.Batch || i.head.Sequence < i.signed.Sequence {
		return 0, 0 // it is not of this log: untorn verify says so
	}
	return i.head.Sequence - i.signed.Sequence, i.head.Batch - i.signed.Batch
}

func (i *inspection) printSegments() {
	if len(i.stats.Segments) == 0 {
		return
	}
	t := &table{out: i.out, paint: i.paint, columns: []column{
		{"segment", 12}, {"size", 10}, {"used", 10}, {"first event", 11}, {"last event", 10}, {"batches", 7}, {"begins", -20}, {"span", 7},
	}}
	hash := 12
	if i.wide {
		t.columns, hash = append(t.columns, column{"ends", -20}), 64
	}
	t.columns = append(t.columns, column{"head at the end", -8 - hash}, column{"", 0})
	i.out.WriteByte('\n')
	t.head()
	var size, used int64
	for _, s := range i.stats.Segments {
		size, used = size+s.Size, used+s.Used
		cells := []cell{
			plain(fmt.Sprintf("%012d", s.Number)), plain(bytesText(s.Size)), plain(bytesText(s.Used)),
			plain(orDash(s.FirstSequence)), plain(orDash(s.LastSequence)), number(s.Batches),
		}
		begins, span, ends := "-", "-", "-"
		if s.Batches > 0 {
			begins = secondsText(s.FirstTime)
			if s.Head.Batch > 0 {
				span, ends = spanText(max(0, s.Head.Time.Sub(s.FirstTime))), secondsText(s.Head.Time)
			}
		}
		cells = append(cells, dim(begins), plain(span))
		if i.wide {
			cells = append(cells, dim(ends))
		}
		head := "-"
		if s.Head.Batch > 0 {
			head = fmt.Sprintf("%d:%.*s", s.Head.Batch, hash, s.Head.Hash.String())
		}
		t.row(append(cells, dim(head), i.state(&s))...)
	}
	fmt.Fprintf(i.out, "%s: %s, %s of it used\n", command.Count(uint64(len(i.stats.Segments)), "segment", "segments"), bytesText(size), bytesText(used))
}

// state is what a segment is, in words.
func (i *inspection) state(s *engine.SegmentStats) cell {
	state := dim("sealed")
	if !s.Sealed {
		state = cell{"active", color.Green}
	}
	if s.Carried > 0 {
		state.text += fmt.Sprintf(", %d carried", s.Carried)
	}
	if i.damaged[s.Number] {
		state = cell{state.text + ", damaged", color.Red}
	}
	return state
}

// printOthers prints the files that are no part of the log.
func (i *inspection) printOthers() {
	if len(i.others) == 0 {
		return
	}
	t := &table{out: i.out, paint: i.paint, columns: []column{{"other file", -16}, {"size", 10}, {"", 0}}}
	i.out.WriteByte('\n')
	t.head()
	for _, file := range i.others {
		says := plain("not of the log: it leaves that alone")
		switch file.Kind {
		case engine.FilePrepared:
			says = plain("prepared: a segment for later, nothing is in it yet")
		case engine.FileUnfinished:
			says = plain("unfinished: a writer is making it, or was: then the next untorn append removes it")
		case engine.FileRefused:
			says = cell{"refused: a segment that is damaged, or of another log", color.Red}
		}
		t.row(shown(file.Name), plain(bytesText(file.Size)), says)
	}
}

// printContents prints what is in the log besides events.
func (i *inspection) printContents() {
	fmt.Fprintf(i.out, "\n%s in %s\n", command.Count(uint64(i.stats.Streams), "stream", "streams"), command.Count(uint64(len(i.scopes)), "scope", "scopes"))
	if i.streams {
		i.printStreams()
	}
	if i.cursorCount > 0 {
		fmt.Fprintf(i.out, "%s, at most %s behind\n", command.Count(i.cursorCount, "cursor", "cursors"), command.Count(i.behind, "event", "events"))
	}
	if i.cursors && i.cursorCount > 0 {
		i.printCursors()
	}
	if i.noteNames > 0 {
		fmt.Fprintf(i.out, "%s of %s\n", command.Count(i.noteCount, "note", "notes"), command.Count(i.noteNames, "name", "names"))
	}
	if i.notes && i.noteNames > 0 {
		i.printNotes()
	}
}

// shortHash is a hash as wide as tables have it.
func (i *inspection) shortHash(hash engine.Hash) (text string, width int) {
	if width = 12; i.wide {
		width = 64
	}
	return hash.String()[:width], width
}

func (i *inspection) printStreams() {
	scope := 0 // columns
	for _, name := range i.scopes {
		scope = max(scope, draw.Width(shown(name).text))
	}
	_, width := i.shortHash(engine.Hash{})
	t := &table{out: i.out, paint: i.paint, columns: []column{{"events", 9}, {"last event", 12}, {"head", -width}, {"scope", -scope}, {"stream", 0}}}
	t.head()
	for h := range i.log.Heads() {
		hash, _ := i.shortHash(h.Hash)
		style := color.Name(h.Scope, h.Stream)
		t.row(number(h.Version), number(h.Sequence), dim(hash), cell{shown(h.Scope).text, style}, cell{shown(h.Stream).text, style})
	}
}

func (i *inspection) printCursors() {
	_, width := i.shortHash(engine.Hash{})
	t := &table{out: i.out, paint: i.paint, columns: []column{{"at event", 12}, {"behind", 12}, {"moves", 9}, {"moved", -20}, {"query", -width}, {"cursor", 0}}}
	t.head()
	for c := range i.log.Cursors() {
		query, _ := i.shortHash(c.Query)
		cells := []cell{number(c.Position), number(i.lag(&c)), number(c.Moves), dim(secondsText(c.Time)), dim(query), shown(c.Name)}
		if c.Err != nil {
			cells[0], cells[1], cells[4] = plain("?"), plain("?"), plain("?")
		}
		t.row(cells...)
	}
}

func (i *inspection) printNotes() {
	t := &table{out: i.out, paint: i.paint, columns: []column{{"notes", 9}, {"last in batch", 13}, {"written", -20}, {"size", 10}, {"name", 0}}}
	t.head()
	for n := range i.log.NoteNames() {
		t.row(number(n.Notes), number(n.Batch), dim(secondsText(n.Time)), plain(bytesText(int64(n.Size))), shown(n.Name))
	}
}

func orDash(sequence uint64) string {
	if sequence == 0 {
		return "-"
	}
	return fmt.Sprint(sequence)
}

// line hands a finished object to the output.
func (i *inspection) line(o *object) { i.out.Write(o.line()) }

func (i *inspection) printJSON() {
	stats, recovery := &i.stats, &i.recovery
	o := newObject(i.out.AvailableBuffer())
	o.text("dir", i.dir)
	o.number("events", stats.Events)
	o.number("batches", stats.Batches)
	o.head(i.head)
	o.object("frontiers", func(o *object) {
		for _, f := range frontiers(*stats) {
			o.object(f.name, func(o *object) {
				o.number("sequence", f.Sequence)
				if f.Sequence > 0 {
					o.time("time", f.Time)
				}
			})
		}
	})
	list(o, "segments", stats.Segments, i.segmentJSON)
	o.number("scopes", uint64(len(i.scopes)))
	o.number("streams", uint64(stats.Streams))
	o.number("unproven", recovery.Unproven)
	o.number("unprovenBatches", recovery.UnprovenBatches)
	o.truth("torn", recovery.Torn)
	o.number("damaged", uint64(len(recovery.Damage)))
	if len(recovery.Damage) > 0 {
		list(o, "damage", recovery.Damage, (*object).problem)
	}
	if len(stats.Segments) > 0 {
		o.text("id", i.log.ID().String())
	}
	list(o, "files", i.others, func(o *object, f engine.File) {
		o.text("name", f.Name)
		o.number("size", uint64(f.Size))
		o.text("kind", f.Kind.String())
	})
	if i.signed.Signed() {
		o.object("signed", func(o *object) {
			o.signed(&i.signed)
			events, batches := i.unsigned()
			o.number("eventsSince", events)
			o.number("batchesSince", batches)
		})
	}
	if i.writer > 0 {
		o.object("lock", func(o *object) {
			o.number("process", uint64(i.writer))
			if yes, known := running(i.writer); known {
				o.truth("running", yes)
			}
		})
	}
	o.number("cursors", i.cursorCount)
	o.number("mostBehind", i.behind)
	o.number("noteNames", i.noteNames)
	o.number("notes", i.noteCount)
	i.line(o)
	i.printListsJSON()
}

func (i *inspection) segmentJSON(o *object, s engine.SegmentStats) {
	o.number("segment", s.Number)
	o.number("size", uint64(s.Size))
	o.number("used", uint64(s.Used))
	o.number("first", s.FirstSequence)
	o.number("last", s.LastSequence)
	o.number("batches", s.Batches)
	o.truth("sealed", s.Sealed)
	if s.Batches > 0 {
		o.time("begins", s.FirstTime)
	}
	if s.Head.Batch > 0 {
		o.head(s.Head)
	}
	o.number("carried", uint64(s.Carried))
	if i.damaged[s.Number] {
		o.truth("damaged", true)
	}
}

// printListsJSON prints one object a line of what is asked for.
func (i *inspection) printListsJSON() {
	each := func(fill func(o *object)) {
		o := newObject(i.out.AvailableBuffer())
		fill(o)
		i.line(o)
	}
	if i.streams {
		for h := range i.log.Heads() {
			each(func(o *object) {
				o.text("scope", h.Scope)
				o.text("stream", h.Stream)
				o.number("version", h.Version)
				o.number("sequence", h.Sequence)
				o.hash("hash", h.Hash)
			})
		}
	}
	if i.cursors {
		for c := range i.log.Cursors() {
			each(func(o *object) {
				o.text("cursor", c.Name)
				if c.Err == nil {
					o.number("position", c.Position)
					o.number("behind", i.lag(&c))
					o.hash("query", c.Query)
				}
				o.number("moves", c.Moves)
				o.number("batch", c.Batch)
				o.time("time", c.Time)
			})
		}
	}
	if i.notes {
		for n := range i.log.NoteNames() {
			each(func(o *object) {
				o.text("note", n.Name)
				o.number("notes", n.Notes)
				o.number("size", uint64(n.Size))
				o.number("batch", n.Batch)
				o.time("time", n.Time)
			})
		}
	}
}
