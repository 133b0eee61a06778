package scenarios

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/replay/trace"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// piece names a cell, a size or a name of a disk that is being recorded.
type piece struct {
	of   string
	file int    // of a size or a cell
	cell int    // of a cell
	path string // of a name
}

func pieceOf(c trace.Change) piece {
	if c.Of == trace.OfName {
		return piece{of: c.Of, path: c.Path}
	}
	return piece{of: c.Of, file: c.File, cell: c.From}
}

// losses is what a crash did to what was pending.
type losses struct {
	entry  int // that tells of the crash
	lazy   bool
	was    *simfs.Image
	vars   []simfs.Var   // of was
	places map[piece]int // in vars
	list   []trace.Change
	lost   map[int]bool   // files whose name it took
	bare   map[piece]bool // cells that nobody wrote, where garbage may be
	doubts []doubt        // what the disk has to tell
}

// doubt is a variable of which it is not known what was chosen.
type doubt struct{ at, place int } // in losses.list, in losses.vars

// files is what can be reached by some name.
type files struct {
	names []simfs.Name
	by    map[int32]simfs.Name // by inode: its first name that is live, or else its first
	inode map[int]int32        // by number
}

// filesLocked numbers the files of a disk, after an operation if it is not nil.
func (e *recording) filesLocked(disk *simfs.FS, op *trace.Operation) files {
	f := files{names: disk.Names(), by: map[int32]simfs.Name{}, inode: map[int]int32{}}
	for _, n := range f.names {
		if before, ok := f.by[n.Inode]; !ok || !before.Live && n.Live {
			f.by[n.Inode] = n
		}
	}
	if op != nil && op.Error == "" && (op.Verb == simfs.OpCreate.String() || op.Verb == simfs.OpMkdir.String()) {
		if made, ok := f.live(op.Path); ok {
			delete(e.files, made.Inode) // a new file in the place of one that is gone
		}
	}
	for _, n := range f.names {
		if _, ok := e.files[n.Inode]; !ok {
			e.numbers++
			e.files[n.Inode] = e.numbers
		}
		f.inode[e.files[n.Inode]] = n.Inode
	}
	return f
}

// live is what a path stands for.
func (f *files) live(name string) (simfs.Name, bool) {
	name = strings.TrimPrefix(path.Clean(name), "/")
	for _, n := range f.names {
		if n.Path == name && n.Live {
			return n, true
		}
	}
	return simfs.Name{}, false
}

// changeLocked is a variable as a change that it is pending; ok is false for the
// journal, which is no place of the disk, and for what nothing leads to.
func (e *recording) changeLocked(f *files, v simfs.Var) (c trace.Change, ok bool) {
	c = trace.Change{State: trace.Pending, By: e.writerLocked(v), Path: v.Path}
	switch v.Kind {
	case simfs.VarName:
		i := slices.IndexFunc(f.names, func(n simfs.Name) bool { return n.Path == v.Path }) // the live one is the first
		if i < 0 {
			return c, false
		}
		c.Of, c.File, c.Removal = trace.OfName, e.files[f.names[i].Inode], !f.names[i].Live
		return c, true
	case simfs.VarSize:
		c.Of = trace.OfSize
		c.Size = f.by[v.ID.Inode].Size
	case simfs.VarCell:
		c.Of = trace.OfCells
		c.From, c.To = v.Cell, v.Cell+1
	default:
		return c, false
	}
	c.File = e.files[v.ID.Inode]
	if n, there := f.by[v.ID.Inode]; there {
		c.Path = n.Path
	}
	return c, true
}

// writerLocked is the entry that made the newest version of a variable, 0 where
// none did.
func (e *recording) writerLocked(v simfs.Var) int {
	place := func(op int) int {
		switch {
		case op == -1: // what was durable
			return -1
		case op < 0: // -2 is the last of the runs before
			return e.base + op + 1
		}
		return e.base + op
	}
	latest := func(o simfs.VarOption) int {
		at := place(o.Op)
		for _, again := range o.Again {
			at = max(at, place(again))
		}
		return at
	}
	at := latest(v.Options[simfs.Latest().Choose(v)])
	if at < 0 { // nobody wrote there: garbage has come since
		for _, o := range v.Options {
			at = max(at, latest(o))
		}
	}
	if at < 0 || at >= len(e.entries) {
		return 0
	}
	return e.entries[at]
}

// surveyLocked tells in entry at what has become of the disk since the entry
// before.
func (e *recording) surveyLocked(disk *simfs.FS, at int) {
	entry := &e.trace.Entries[at]
	e.doubtsLocked(disk)
	f := e.filesLocked(disk, entry.Op)
	var list []trace.Change
	pending := map[piece]bool{}
	for _, v := range disk.Crash(simfs.PowerLoss).Vars() {
		c, ok := e.changeLocked(&f, v)
		if !ok {
			continue
		}
		pending[pieceOf(c)] = true
		if e.openLocked(c) {
			continue // it is as it was: what is said of it later counts from the crash on
		}
		if e.pieceLocked(c) != (trace.Piece{State: c.State, By: c.By, Size: c.Size, File: nameFile(c), Removal: c.Removal}) {
			list = append(list, c)
		}
	}
	list = append(list, e.endedLocked(disk, &f, pending)...)
	list = append(list, e.durableLocked(&f, entry.Op, at, pending)...)
	list = append(list, e.goneLocked(&f, pending)...)
	entry.Changes = trace.Merged(list)
	e.known.Apply(entry.Changes)
	if e.looked != nil {
		e.looked(at, disk, e.notes)
	}
}

// openLocked reports whether a lazy crash has left a piece open.
func (e *recording) openLocked(c trace.Change) bool {
	if e.crash == nil || !e.crash.lazy || c.By >= e.crash.entry {
		return false
	}
	_, ok := e.crash.places[pieceOf(c)]
	return ok
}

// nameFile is Piece.File of a change.
func nameFile(c trace.Change) int {
	if c.Of == trace.OfName {
		return c.File
	}
	return 0
}

// pieceLocked is what is known of the piece that a change is of.
func (e *recording) pieceLocked(c trace.Change) trace.Piece {
	if c.Of == trace.OfName {
		return e.known.Names[c.Path]
	}
	file := e.known.Files[c.File]
	switch {
	case file == nil:
		return trace.Piece{}
	case c.Of == trace.OfSize:
		return file.Size
	case c.From < len(file.Cells):
		return file.Cells[c.From]
	}
	return trace.Piece{}
}

// endedLocked are the changes of what was pending, and is not any more.
func (e *recording) endedLocked(disk *simfs.FS, f *files, pending map[piece]bool) (list []trace.Change) {
	var fates []int // of a lazy crash, once they are needed
	for _, c := range e.known.Pending() {
		from, to := c.From, c.To
		if c.Of != trace.OfCells {
			from, to = 0, 1
		}
		for cell := from; cell < to; cell++ {
			if c.Of == trace.OfCells {
				c.From, c.To = cell, cell+1
			}
			if pending[pieceOf(c)] {
				continue
			}
			if e.openLocked(c) { // another variable has decided it, too
				if fates == nil {
					fates = e.crash.was.Fates(disk.Crash(simfs.ProcessKill))
				}
				if k := e.crash.places[pieceOf(c)]; fates[k] >= 0 {
					e.fateLocked(c, e.crash.vars[k], fates[k])
					continue
				}
			}
			if inode, ok := f.inode[c.File]; ok {
				c.State = trace.Durable
				switch n := f.by[inode]; c.Of {
				case trace.OfSize:
					c.Size = n.Size
				case trace.OfName:
					if _, live := f.live(c.Path); !live {
						c.State = trace.Gone
					}
				}
				list = append(list, c)
			} else if c.Of == trace.OfName {
				c.State = trace.Gone
				list = append(list, c)
			}
		}
	}
	return list
}

// durableLocked are the changes of what an operation has made that no crash takes:
// what it wrote to a disk that writes at once, or what was there already.
func (e *recording) durableLocked(f *files, op *trace.Operation, at int, pending map[piece]bool) (list []trace.Change) {
	add := func(c trace.Change) {
		if known := e.pieceLocked(c); !pending[pieceOf(c)] && known.State != trace.Pending &&
			(known.State != trace.Durable || known.Size != c.Size || known.File != nameFile(c)) {
			c.State, c.By = trace.Durable, at
			list = append(list, c)
		}
	}
	for _, n := range f.names {
		number := e.files[n.Inode]
		if !n.Live {
			continue
		}
		if e.known.Names[n.Path].State == trace.Pending || e.known.Names[n.Path].File == number {
			// It is known.
		} else if op != nil && op.Error == "" && (op.Path == n.Path || op.To == n.Path) {
			add(trace.Change{Of: trace.OfName, File: number, Path: n.Path})
		} else if e.crash != nil { // what it stood for before, since the crash took the newer
			e.foundLocked(n)
		}
		size := trace.Change{Of: trace.OfSize, File: number, Path: n.Path, Size: n.Size}
		if f.by[n.Inode].Path == n.Path && !n.Dir && e.pieceLocked(size).Size != n.Size {
			add(size)
		}
	}
	if op == nil || op.Verb != simfs.OpWrite.String() || op.Error != "" || op.Length == 0 {
		return list
	}
	n, ok := f.live(op.Path)
	if inode, open := f.inode[op.File]; open {
		n, ok = f.by[inode], true
	}
	if ok {
		unit := int64(e.trace.Header.Cell)
		for cell := op.Offset / unit; cell <= (op.Offset+op.Length-1)/unit; cell++ {
			add(trace.Change{Of: trace.OfCells, File: e.files[n.Inode], Path: n.Path, From: int(cell), To: int(cell) + 1})
		}
	}
	return list
}

// foundLocked tells of a name that stands for an older file, behind the last crash.
func (e *recording) foundLocked(n simfs.Name) {
	c := trace.Change{Of: trace.OfName, File: e.files[n.Inode], Path: n.Path, State: trace.Durable}
	e.crash.list = append(e.crash.list, c)
	e.known.Apply([]trace.Change{c})
}

// goneLocked are the changes of files that no name leads to any more, and of cells
// behind the end of a file.
func (e *recording) goneLocked(f *files, pending map[piece]bool) (list []trace.Change) {
	unit := int64(e.trace.Header.Cell)
	for _, number := range slices.Sorted(maps.Keys(e.known.Files)) {
		file := e.known.Files[number]
		inode, there := f.inode[number]
		lost := !there && e.crash != nil && e.crash.lost[number] // by a lazy crash, so that it never was there
		gone := func(c trace.Change) {
			c.File, c.Path = number, file.Path
			switch e.pieceLocked(c).State {
			case "", trace.Gone, trace.Lost, trace.Torn:
				return
			}
			if pending[pieceOf(c)] {
				return
			}
			if c.By = e.pieceLocked(c).By; lost {
				c.State = trace.Lost
				e.crash.list = append(e.crash.list, c)
				e.known.Apply([]trace.Change{c})
				return
			}
			c.State, c.By = trace.Gone, 0
			list = append(list, c)
		}
		first := int64(0)
		if there {
			first = (f.by[inode].Size + unit - 1) / unit
		} else {
			gone(trace.Change{Of: trace.OfSize})
			if e.known.Names[file.Path].File == number {
				gone(trace.Change{Of: trace.OfName})
			}
		}
		for cell := first; cell < int64(len(file.Cells)); cell++ {
			gone(trace.Change{Of: trace.OfCells, From: int(cell), To: int(cell) + 1})
		}
	}
	return list
}

// Crashed is told of a crash of the plan's crash lines.
func (e *recording) Crashed(m explore.Moment, was, is *simfs.Image) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.at >= 0 { // the crash came inside this write
		base := e.base
		e.base = len(e.entries) // of what comes next
		e.trace.Entries[e.at].Text += fmt.Sprintf(": the crash comes after %s of it", counted(m.Crash.Cells, "cell"))
		e.surveyLocked(is.Mount(nil), e.at)
		e.at, e.base = -1, base
	}
	what := "the power fails"
	if m.Crash.Kind == simfs.ProcessKill {
		what = "the process is killed"
	}
	switch {
	case m.Crash.Cells > 0:
		what += fmt.Sprintf(" inside operation %d", m.Crash.Op)
	case m.Crash.Op == explore.End:
		what += " behind the last operation"
	default:
		what += fmt.Sprintf(" before operation %d", m.Crash.Op)
	}
	e.crashLocked(trace.Entry{Kind: trace.Crash, Text: what, Line: m.Crash.String()}, m.Crash.Lazy, was, is)
}

// crashes is told of a crash among the steps.
func (e *recording) crashes(step plan.Step, was, is *simfs.Image) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.settleLocked()
	what := "the power fails"
	if was.Kind() == simfs.ProcessKill {
		what = "the process is killed"
	}
	e.crashLocked(trace.Entry{Kind: trace.Crash, Text: what}, false, was, is)
}

// crashLocked tells of a crash and of what it took.
func (e *recording) crashLocked(entry trace.Entry, lazy bool, was, is *simfs.Image) {
	e.judgeLocked()
	at := e.addLocked(entry)
	e.crash = &losses{entry: at, lazy: lazy, was: was, vars: was.Vars(), places: map[piece]int{}, lost: map[int]bool{}, bare: map[piece]bool{}}
	before := map[int]int64{} // sizes
	for n, file := range e.known.Files {
		before[n] = file.Size.Size
	}
	f := e.filesLocked(was.Mount(nil), nil)
	for k, fate := range was.Fates(is) {
		v := e.crash.vars[k]
		c, ok := e.changeLocked(&f, v)
		switch {
		case !ok:
		case lazy:
			e.crash.places[pieceOf(c)] = k
		default:
			e.fateLocked(c, v, fate)
		}
	}
	disk := is.Mount(nil)
	if !lazy {
		f = e.filesLocked(disk, nil)
		for n := range e.known.Files {
			_, there := f.inode[n]
			e.crash.lost[n] = !there
		}
		for _, n := range f.names {
			if known := e.known.Names[n.Path]; n.Live && known.State != trace.Pending && known.File != e.files[n.Inode] {
				e.foundLocked(n)
			}
		}
		_ = e.goneLocked(&f, nil) // what is left of the files that are lost
		e.cutLocked(&f, before)
		e.judgeLocked()
	}
	e.base = len(e.entries)
	if e.looked != nil && !lazy {
		e.looked(at, disk, e.notes)
	}
}

// cutLocked tells of the cells behind the end that the crash left of a file: they
// are lost with it, unless the file was to end there.
func (e *recording) cutLocked(f *files, before map[int]int64) {
	unit := int64(e.trace.Header.Cell)
	for i := range e.crash.list {
		c := &e.crash.list[i]
		inode, there := f.inode[c.File]
		if at := int64(c.From) * unit; c.Of == trace.OfCells && there && at >= f.by[inode].Size {
			if c.State = trace.Lost; at >= before[c.File] {
				c.State = trace.Gone
			}
			e.known.Apply([]trace.Change{*c})
		}
	}
}

// Chose is told what a lazy crash has taken.
func (e *recording) Chose(c explore.Choice) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over { // the process is dead: the next one asks again
		return
	}
	v := c.Var
	change := trace.Change{File: e.files[v.ID.Inode], Path: v.Path}
	switch v.Kind {
	case simfs.VarName:
		change.Of, change.File, change.Removal = trace.OfName, e.known.Names[v.Path].File, e.known.Names[v.Path].Removal
	case simfs.VarSize:
		change.Of = trace.OfSize
	case simfs.VarCell:
		change.Of, change.From, change.To = trace.OfCells, v.Cell, v.Cell+1
	default:
		return
	}
	before := e.pieceLocked(change)
	k, ok := e.crash.places[pieceOf(change)]
	if before.State != trace.Pending || !ok {
		return
	}
	// What was decided before may have left only some of the versions, the oldest of
	// which is called durable.
	change.By = before.By
	all, made := e.crash.vars[k], v.Options[c.Option].Op
	option := slices.IndexFunc(all.Options, func(o simfs.VarOption) bool {
		return o.Op == made || slices.Contains(o.Again, made)
	})
	if made == -1 && len(v.Options) < len(all.Options) || option < 0 {
		e.crash.doubts = append(e.crash.doubts, doubt{len(e.crash.list), k})
	} else if len(v.Options) == len(all.Options) {
		option = c.Option
	}
	e.fateLocked(change, all, option)
}

// doubtsLocked looks at the disk for what the choices behind a lazy crash do not say.
func (e *recording) doubtsLocked(disk *simfs.FS) {
	if e.crash == nil || len(e.crash.doubts) == 0 {
		return
	}
	fates := e.crash.was.Fates(disk.Crash(simfs.ProcessKill))
	for _, d := range e.crash.doubts {
		if fates[d.place] >= 0 {
			c := e.crash.list[d.at]
			e.fateLocked(c, e.crash.vars[d.place], fates[d.place])
			last := len(e.crash.list) - 1
			e.crash.list[d.at], e.crash.list = e.crash.list[last], e.crash.list[:last]
		}
	}
	e.crash.doubts = nil
}

// fateLocked tells what the last crash made of a variable that was pending: one of
// its options, or nothing, below 0.
func (e *recording) fateLocked(c trace.Change, v simfs.Var, option int) {
	c.State = trace.Lost
	latest := simfs.Latest().Choose(v)
	e.crash.bare[pieceOf(c)] = v.Options[latest].Op == -1
	switch {
	case option < 0:
		c.Size = 0
	case v.Options[option].Garbage:
		c.State = trace.Garbage
	case option == latest:
		c.State = trace.Kept
	}
	if option >= 0 && c.Of == trace.OfSize {
		c.Size = v.Options[option].Size
	}
	if c.Of == trace.OfName && c.State == trace.Lost && !c.Removal {
		e.crash.lost[c.File] = true
	}
	e.crash.list = append(e.crash.list, c)
	delete(e.crash.places, pieceOf(c))
	e.known.Apply([]trace.Change{c})
}

// judgeLocked ends what is told of the last crash.
func (e *recording) judgeLocked() {
	if e.crash == nil {
		return
	}
	type write struct{ by, file int }
	kept := map[write]bool{}
	for _, c := range e.crash.list {
		if c.Of == trace.OfCells && c.State == trace.Kept && !e.crash.bare[pieceOf(c)] {
			kept[write{c.By, c.File}] = true
		}
	}
	count := map[trace.State]int{}
	for i := range e.crash.list {
		c := &e.crash.list[i]
		if c.Of == trace.OfCells && c.State == trace.Lost && !e.crash.bare[pieceOf(*c)] && kept[write{c.By, c.File}] {
			c.State = trace.Torn
		}
		count[c.State]++
	}
	entry := &e.trace.Entries[e.crash.entry]
	var words []string
	for _, state := range []trace.State{trace.Kept, trace.Lost, trace.Torn, trace.Garbage} {
		if count[state] > 0 {
			words = append(words, fmt.Sprintf("%d %s", count[state], state))
		}
	}
	if words != nil {
		entry.Text += "; of what was pending " + strings.Join(words, ", ")
	}
	entry.Changes = trace.Merged(e.crash.list)
	e.crash = nil
}
