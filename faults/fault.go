package faults

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// OpKind is a kind of operation.
type OpKind uint8

// The kinds of operation, in the order in which Counts lists them.
const (
	Open        OpKind = iota // Open, and OpenFile that may not create
	Create                    // Create, and OpenFile that may create
	Mkdir                     // Mkdir, MkdirAll
	Read                      // File.Read
	ReadAt                    // File.ReadAt
	Write                     // File.Write, File.WriteString
	WriteAt                   // File.WriteAt
	Sync                      // File.Sync of a file
	SyncData                  // File.SyncData
	SyncDir                   // FS.SyncDir, and File.Sync of a directory
	Truncate                  // File.Truncate
	Preallocate               // File.Preallocate
	Rename                    // Rename
	Remove                    // Remove, RemoveAll
	Stat                      // Stat and Lstat, File.Stat
	Readdir                   // File.Readdir, File.Readdirnames
	Lock                      // FS.TryLock
	Close                     // File.Close
	numOps
)

// Ops returns all kinds of operation, in order.
func Ops() []OpKind {
	ops := make([]OpKind, numOps)
	for i := range ops {
		ops[i] = OpKind(i)
	}
	return ops
}

// String returns the word that a fault's text uses.
func (o OpKind) String() string {
	if o >= numOps {
		return "op(" + strconv.Itoa(int(o)) + ")"
	}
	return [...]string{
		Open: "open", Create: "create", Mkdir: "mkdir", Read: "read", ReadAt: "readat", Write: "write",
		WriteAt: "writeat", Sync: "sync", SyncData: "syncdata", SyncDir: "syncdir", Truncate: "truncate",
		Preallocate: "preallocate", Rename: "rename", Remove: "remove", Stat: "stat", Readdir: "readdir",
		Lock: "lock", Close: "close",
	}[o]
}

// Kind is what goes wrong.
type Kind uint8

// What can go wrong; doc.go says what each does.
const (
	Fail      Kind = iota // Errno
	Short                 // N bytes are moved; Errno
	NoSpace               // N bytes of room; Delayed, Mode
	Flip                  // bit N
	Zero                  // sector N
	Stale                 // sector N
	Misdirect             // N bytes further on
	Lose                  //
	FailSync              // Mode
	Held                  //
	Slow                  // N nanoseconds
	numKinds
)

// Kinds returns all kinds of fault, in order.
func Kinds() []Kind {
	kinds := make([]Kind, numKinds)
	for i := range kinds {
		kinds[i] = Kind(i)
	}
	return kinds
}

// String returns the word that a fault's text uses.
func (k Kind) String() string {
	if k >= numKinds {
		return "kind(" + strconv.Itoa(int(k)) + ")"
	}
	return [...]string{
		Fail: "fail", Short: "short", NoSpace: "enospc", Flip: "flip", Zero: "zero", Stale: "stale",
		Misdirect: "misdirect", Lose: "lose", FailSync: "failsync", Held: "held", Slow: "slow",
	}[k]
}

// Hits reports whether a fault of kind k can happen to an operation o.
func (k Kind) Hits(o OpKind) bool {
	switch k {
	case Fail, Slow:
		return o < numOps
	case Short, Flip, Zero, Misdirect:
		return o == Read || o == ReadAt || o == Write || o == WriteAt
	case Stale, Lose:
		return o == Write || o == WriteAt
	case NoSpace:
		return o == Write || o == WriteAt || o == Preallocate
	case FailSync:
		return o == Sync || o == SyncData || o == SyncDir
	case Held:
		return o == Lock
	}
	return false
}

// Errno is an error that an operation returns. The zero value is EIO.
type Errno uint8

// The errors that an operation may return.
const (
	EIO Errno = iota
	ENOSPC
	EDQUOT
	EFBIG
	EROFS
	EACCES
	EPERM
	ENOENT
	EEXIST
	EMFILE
	ENFILE
	ENOMEM
	ENOLCK
	EBUSY
	EINTR
	ENOTSUP // errors.ErrUnsupported: the caller should fall back
	numErrnos
)

// String returns the name, such as "ENOSPC".
func (e Errno) String() string {
	name, _ := e.entry()
	return name
}

// Err returns the operating system's error.
func (e Errno) Err() error {
	_, err := e.entry()
	return err
}

func (e Errno) entry() (name string, err syscall.Errno) {
	switch e {
	case EIO:
		return "EIO", syscall.EIO
	case ENOSPC:
		return "ENOSPC", syscall.ENOSPC
	case EDQUOT:
		return "EDQUOT", syscall.EDQUOT
	case EFBIG:
		return "EFBIG", syscall.EFBIG
	case EROFS:
		return "EROFS", syscall.EROFS
	case EACCES:
		return "EACCES", syscall.EACCES
	case EPERM:
		return "EPERM", syscall.EPERM
	case ENOENT:
		return "ENOENT", syscall.ENOENT
	case EEXIST:
		return "EEXIST", syscall.EEXIST
	case EMFILE:
		return "EMFILE", syscall.EMFILE
	case ENFILE:
		return "ENFILE", syscall.ENFILE
	case ENOMEM:
		return "ENOMEM", syscall.ENOMEM
	case ENOLCK:
		return "ENOLCK", syscall.ENOLCK
	case EBUSY:
		return "EBUSY", syscall.EBUSY
	case EINTR:
		return "EINTR", syscall.EINTR
	case ENOTSUP:
		return "ENOTSUP", syscall.ENOTSUP
	}
	return "errno(" + strconv.Itoa(int(e)) + ")", syscall.EIO
}

// Mode is how a sync fails: what becomes of the dirty pages, what reads return
// afterwards, who is told and what the next sync does. The file system below
// knows what each means.
type Mode string

// The modes in which a sync fails.
const (
	Ext4      Mode = "ext4"       // pages marked clean, reads give new bytes, the disk has old ones, told once
	XFS       Mode = "xfs"        // the same
	Ext4Data  Mode = "ext4-data"  // the same, but it is the next sync that is told
	Btrfs     Mode = "btrfs"      // pages go back to what is durable, told once
	KeepDirty Mode = "keep-dirty" // pages stay dirty, the next sync tries again
	Shutdown  Mode = "shutdown"   // every later operation fails
	Silent    Mode = "silent"     // as ext4, and nobody is told
)

// Modes returns all modes.
func Modes() []Mode { return []Mode{Ext4, XFS, Ext4Data, Btrfs, KeepDirty, Shutdown, Silent} }

func (m Mode) known() bool { return slices.Contains(Modes(), m) }

// Lasting is how long a fault lasts.
type Lasting uint8

// How long a fault lasts.
const (
	Once   Lasting = iota // it hits the operations that its key names
	Sticky                // from the first of them on it hits every operation of that kind and class
	Here                  // the sector that it hit is bad until it is written or goes
	numLastings
)

// String returns the word at the end of a fault's text; it is empty for Once.
func (l Lasting) String() string {
	switch l {
	case Once:
		return ""
	case Sticky:
		return "sticky"
	case Here:
		return "here"
	}
	return "lasting(" + strconv.Itoa(int(l)) + ")"
}

// AnyStep is the step of a fault that may happen in any of them.
const AnyStep = -1

// Fault is one thing that goes wrong: a key (step, operation, class, ordinal) and
// what happens to the operations that match it. It is a plain comparable value.
type Fault struct {
	Step    int    // the step, 0 or more; or AnyStep
	Op      OpKind // the kind of operation
	Class   string // the class of its path; "" is any
	Ordinal int    // which of the matching operations, from 1; 0 is each of them

	Kind    Kind
	N       int64   // bytes, a bit, a sector or nanoseconds, as the kind says
	Errno   Errno   // of Fail and Short
	Mode    Mode    // of FailSync, and of NoSpace when it is delayed
	Delayed bool    // of NoSpace: the sync fails, not the write
	Lasting Lasting // how long
}

// String returns the fault's one line, which Parse reads. For a fault that is not
// valid it says as much as can be said.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString("step=" + star(f.Step != AnyStep, strconv.Itoa(f.Step)))
	b.WriteString(" " + f.Op.String() + " ")
	switch {
	case f.Class == "":
		b.WriteString("*")
	case bare(f.Class):
		b.WriteString(f.Class)
	default:
		b.WriteString(strconv.Quote(f.Class))
	}
	b.WriteString(" #" + star(f.Ordinal != 0, strconv.Itoa(f.Ordinal)) + ": " + f.Kind.String())
	n := " " + strconv.FormatInt(f.N, 10)
	switch f.Kind {
	case Fail:
		b.WriteString(" " + f.Errno.String())
	case Short:
		b.WriteString(n)
		if f.Errno != EIO {
			b.WriteString(" " + f.Errno.String())
		}
	case NoSpace:
		b.WriteString(n)
		if f.Delayed {
			b.WriteString(" delayed " + string(f.Mode))
		}
	case Flip, Zero, Stale, Misdirect:
		b.WriteString(n)
	case FailSync:
		b.WriteString(" " + string(f.Mode))
	case Slow:
		b.WriteString(" " + time.Duration(f.N).String())
	}
	if f.Lasting != Once {
		b.WriteString(" " + f.Lasting.String())
	}
	return b.String()
}

func star(some bool, s string) string {
	if some {
		return s
	}
	return "*"
}

// bare reports whether a class can stand without quotes.
func bare(class string) bool {
	for i := 0; i < len(class); i++ {
		c := class[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_') {
			return false
		}
	}
	return class != ""
}

// Validate returns nil, or every reason for which the fault cannot happen
// anywhere.
func (f Fault) Validate() error {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if f.Step < AnyStep || f.Step > math.MaxInt32 {
		wrong("step %d: a step is a number from 0 to 2147483647, or *", f.Step)
	}
	if f.Ordinal < 0 || f.Ordinal > math.MaxInt32 {
		wrong("#%d: operations are counted from 1; * is each of them", f.Ordinal)
	}
	if f.Op >= numOps {
		wrong("no operation %d", f.Op)
	}
	if f.Kind >= numKinds {
		wrong("no kind %d", f.Kind)
	}
	if f.Errno >= numErrnos {
		wrong("no errno %d", f.Errno)
	}
	if f.Lasting >= numLastings {
		wrong("no lasting %d", f.Lasting)
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}

	if !f.Kind.Hits(f.Op) {
		wrong("%s does not happen to %s", f.Kind, f.Op)
	}
	if f.Errno != EIO && f.Kind != Fail && f.Kind != Short {
		wrong("%s has no errno", f.Kind)
	}
	if f.Errno != EIO && f.Kind == Short && f.Op == Read {
		wrong("a short read returns no error; write fail, or use readat")
	}
	if f.Delayed && f.Kind != NoSpace {
		wrong("only enospc is delayed")
	}
	switch needs := f.Kind == FailSync || f.Kind == NoSpace && f.Delayed; {
	case needs && !f.Mode.known():
		wrong("no mode %q: it is one of %v", f.Mode, Modes())
	case needs && f.Kind == NoSpace && (f.Mode == Silent || f.Mode == Ext4Data || f.Mode == Shutdown):
		wrong("delayed enospc is told by the sync, which mode %s does not", f.Mode)
	case !needs && f.Mode != "":
		wrong("%s has no mode", f.Kind)
	}
	switch f.Kind {
	case Fail, Lose, FailSync, Held:
		if f.N != 0 {
			wrong("%s has no number", f.Kind)
		}
	case Misdirect:
		if f.N == 0 || f.N == math.MinInt64 {
			wrong("misdirect %d: by how many bytes, forwards or (negative) backwards", f.N)
		}
	case Short:
		if f.Op == Read && f.N == 0 {
			wrong("a short read has at least 1 byte")
		}
		fallthrough
	default:
		if f.N < 0 {
			wrong("%s %d: less than nothing", f.Kind, f.N)
		}
	}
	if f.Lasting == Here && !((f.Op == Read || f.Op == ReadAt) && (f.Kind == Fail || f.Kind == Flip || f.Kind == Zero)) {
		wrong("a bad sector (here) is for fail, flip and zero of read and readat")
	}
	return errors.Join(problems...)
}
