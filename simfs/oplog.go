package simfs

import (
	"fmt"
	"path"
	"runtime"
	"strconv"
	"strings"
)

// OpKind is what an operation does.
type OpKind uint8

// The operations that the log records: those that change the disk or make it
// durable.
const (
	OpCreate OpKind = iota + 1
	OpWrite
	OpTruncate
	OpOpenTruncate // O_TRUNC on a file that is not empty
	OpPreallocate
	OpMkdir
	OpRemove
	OpRename
	OpSync
	OpSyncData
	OpSyncDir
	OpChmod
	OpChown
	OpChtimes
)

// String names the kind.
func (k OpKind) String() string {
	return [...]string{"none", "create", "write", "truncate", "open-truncate", "preallocate", "mkdir", "remove", "rename",
		"sync", "syncdata", "syncdir", "chmod", "chown", "chtimes"}[k]
}

// Op is one operation.
type Op struct {
	Index   int
	Kind    OpKind
	Path    string
	Path2   string // the new name of a rename
	Offset  int64  // of a write or a preallocation
	Length  int64  // bytes written or preallocated; the size of a truncate
	Barrier bool   // it may make images impossible that were possible before it
	Fails   bool   // a sync that FailSync makes fail
	Inode   int32  // of the open file that was used, as in VarID, whose name may be another by now; 0: none was
	Err     error  // nil while it is observed
	Caller  string // the source lines that called, innermost first; Options.Callers
	Data    []byte // what is written: while observed, and afterwards if Options.KeepData
}

// String prints an operation on one line.
func (o Op) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s %s", o.Index, o.Kind, o.Path)
	switch o.Kind {
	case OpRename:
		b.WriteString(" " + o.Path2)
	case OpWrite, OpPreallocate:
		fmt.Fprintf(&b, " %d+%d", o.Offset, o.Length)
	case OpTruncate:
		fmt.Fprintf(&b, " %d", o.Length)
	}
	if o.Err != nil {
		fmt.Fprintf(&b, ": %v", o.Err)
	}
	if o.Caller != "" {
		b.WriteString(" at " + o.Caller)
	}
	return b.String()
}

const (
	blockOps = 512 // how many operations are kept together at most
	firstOps = 16  // and at first: enough for most recoveries
)

// oplog is the list of operations. Clones share its blocks.
type oplog struct {
	blocks [][]Op
	n      int
	shared bool // the last block is shared with a clone
	first  []Op // room for the first block, nil: none
	lent   bool // the first block is shared, or was
}

func (l *oplog) add(o Op) {
	k := len(l.blocks) - 1
	if k < 0 || l.shared || len(l.blocks[k]) == cap(l.blocks[k]) {
		size := firstOps
		if k >= 0 && !l.shared {
			size = min(4*cap(l.blocks[k]), blockOps)
		}
		if l.first != nil && k < 0 {
			l.blocks = append(l.blocks, l.first)
		} else {
			l.blocks = append(l.blocks, make([]Op, 0, size))
		}
		l.shared = false
		k++
	}
	l.blocks[k] = append(l.blocks[k], o)
	l.n++
}

// last returns the operation that is under way.
func (l *oplog) last() *Op {
	b := l.blocks[len(l.blocks)-1]
	return &b[len(b)-1]
}

func (l *oplog) all() []Op {
	out := make([]Op, 0, l.n)
	for _, b := range l.blocks {
		out = append(out, b...)
	}
	return out
}

func (l *oplog) share() oplog {
	l.shared, l.lent = true, true
	c := *l
	c.first = nil
	c.blocks = append([][]Op(nil), l.blocks...)
	return c
}

// take empties the log, and returns the room of its first block, unless a clone
// may have it, too.
func (l *oplog) take() []Op {
	first := l.first
	if len(l.blocks) > 0 && first != nil {
		first = l.blocks[0]
	}
	if l.lent {
		first = nil
	}
	clear(first)
	*l = oplog{}
	return first[:0]
}

// Caller returns the source lines that called the file system, innermost first
// and as many as frames says: for a Chooser that wants to know who asks. This
// package, afero and functions whose names begin with one of skip are left out.
func Caller(frames int, skip []string) string {
	var pcs [32]uintptr
	n := runtime.Callers(2, pcs[:])
	it := runtime.CallersFrames(pcs[:n])
	var b strings.Builder
	for frames > 0 {
		f, more := it.Next()
		if f.Function != "" && !skipped(f, skip) {
			if b.Len() > 0 {
				b.WriteString(" < ")
			}
			b.WriteString(path.Base(f.File) + ":" + strconv.Itoa(f.Line))
			frames--
		}
		if !more {
			break
		}
	}
	return b.String()
}

// skipped reports whether a frame is part of the file system: this package, afero
// and what the caller asked to leave out.
func skipped(f runtime.Frame, skip []string) bool {
	if strings.HasPrefix(f.Function, "runtime.") || strings.HasPrefix(f.Function, "github.com/spf13/afero.") {
		return true
	}
	if strings.HasPrefix(f.Function, "github.com/untorn-db/untorn/simfs.") && !strings.HasSuffix(f.File, "_test.go") {
		return true
	}
	for _, s := range skip {
		if strings.HasPrefix(f.Function, s) {
			return true
		}
	}
	return false
}
