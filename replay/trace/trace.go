package trace

// Version is that of the format, in Header.Trace.
const Version = 1

// Trace is what one run of a plan did.
type Trace struct {
	Header  Header
	Entries []Entry
}

// Header is the first line of a trace.
type Header struct {
	Trace    int    `json:"trace"` // Version
	Scenario string `json:"scenario"`
	Disk     string `json:"disk"`
	Seed     uint64 `json:"seed"` // 0: the plan came from none
	Plan     string `json:"plan"` // its text
	Cell     int    `json:"cell"` // bytes of a cell
	// What is broken at the end; all "" where every promise was kept.
	Invariant string `json:"invariant,omitempty"`
	Promise   string `json:"promise,omitempty"` // the invariant in words
	Expected  string `json:"expected,omitempty"`
	Found     string `json:"found,omitempty"`
}

// Kind is what an entry tells of.
type Kind string

// The kinds, in the order of the lanes of a picture.
const (
	Step    Kind = "step"    // a step of the plan begins
	Call    Kind = "call"    // a caller asks the log for something
	Answer  Kind = "answer"  // … and is answered
	Point   Kind = "point"   // the log has come to a named point of a commit, a rotation or a recovery
	Op      Kind = "op"      // an operation of the file system
	Fault   Kind = "fault"   // an injected fault has hit an operation, which may not have come to the disk
	Crash   Kind = "crash"   // the power failed, or the process was killed; the life ends
	Opened  Kind = "opened"  // the log was opened: what it found, and what it did about it
	Verdict Kind = "verdict" // a promise was broken, or all were kept; the last entry
)

// Kinds lists them in that order.
func Kinds() []Kind {
	return []Kind{Step, Call, Answer, Point, Op, Fault, Crash, Opened, Verdict}
}

// Entry is one line of a trace behind the first.
type Entry struct {
	N      int    `json:"n"`                // its place, from 0
	Life   int    `json:"life"`             // 0: the workload; n: what came after crash n
	Step   int    `json:"step,omitempty"`   // number of the plan's step that it belongs to; 0: none
	Client string `json:"client,omitempty"` // the client of the step, "" for none
	Time   string `json:"time,omitempty"`   // simulated, RFC 3339 with nanoseconds
	Kind   Kind   `json:"kind"`
	Text   string `json:"text"`           // in words, on one line
	Line   string `json:"line,omitempty"` // of a Crash: as a crash line of the plan
	Failed bool   `json:"failed,omitempty"`

	Op      *Operation `json:"op,omitempty"`     // of an Op
	Changes []Change   `json:"disk,omitempty"`   // what became of the disk
	Digest  string     `json:"digest,omitempty"` // of all up to the end of a step, 16 hex digits: at its last entry
}

// Operation is one of the file system.
type Operation struct {
	Index   int      `json:"index"`            // in its life, from 0, as crash lines count
	Verb    string   `json:"verb"`             // write, syncdata, rename, …
	Path    string   `json:"path"`             // by which the file was opened, or is named
	File    int      `json:"file,omitempty"`   // number of the open file that was used; 0: none was
	To      string   `json:"to,omitempty"`     // the new name of a rename
	Offset  int64    `json:"offset,omitempty"` // bytes
	Length  int64    `json:"length,omitempty"` // bytes; the size of a truncate
	Data    []byte   `json:"data,omitempty"`   // the first MaxData bytes that were written, in base64
	Error   string   `json:"error,omitempty"`
	Barrier bool     `json:"barrier,omitempty"` // it may make images impossible that were possible before
	Callers []string `json:"callers,omitempty"` // source lines that asked for it, the innermost first
}

// MaxData is how many bytes of a write a trace shows.
const MaxData = 4096

// State is what is known of a cell, a size or a name.
type State string

// The states.
const (
	Pending State = "pending" // written, and a power loss may take it or leave it
	Durable State = "durable" // no crash takes it
	Kept    State = "kept"    // a crash left it, though it was pending
	Lost    State = "lost"    // a crash took the newest version away
	Torn    State = "torn"    // a crash left some cells of a write: these are the ones it took
	Garbage State = "garbage" // a crash left what nobody wrote there
	Gone    State = "gone"    // there is none any more: cut off, or removed
)

// States lists them.
func States() []State { return []State{Pending, Durable, Kept, Lost, Torn, Garbage, Gone} }

// Change is what became of some of the disk. Exactly one of cells, size and name.
type Change struct {
	Of    string `json:"of"`             // cells, size or name
	File  int    `json:"file"`           // number of the file, which keeps it when it is renamed
	Path  string `json:"path"`           // by which it is known now
	From  int    `json:"from,omitempty"` // first cell
	To    int    `json:"to,omitempty"`   // first cell behind them
	Size  int64  `json:"size,omitempty"` // bytes, of a size
	State State  `json:"state"`
	By    int    `json:"by,omitempty"` // N of the entry that made the newest version, if it is or was pending
	// Removal: the newest version of the name is that it is not there.
	Removal bool `json:"removal,omitempty"`
}
