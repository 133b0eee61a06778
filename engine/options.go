package engine

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine/record"
)

// Options says how to open a log. The zero value with a Dir opens a safe one.
type Options struct {
	// Dir is the log's directory. It is created, parents included, and made
	// durable by name. With FS set it is a path inside FS, "" meaning its root.
	Dir string
	// FS replaces the real file system. Besides afero.Fs the engine uses, where
	// it has them, SyncDir, TryLock, LinkTo, SyncData and Preallocate (see the package
	// documentation). Its files must do ReadAt and WriteAt from several goroutines at
	// once. Those of afero.MemMapFs do not, and Open refuses it; package simfs has a
	// disk in memory.
	FS afero.Fs
	// ID is the log's: a log that is made gets it, and one that is there must have it,
	// or Open fails with ErrOtherLog. Zero: a new log draws one, and any other will do.
	// Only a copy that Apply fills should have the id of another log.
	ID uuid.UUID

	// ReadOnly opens without a lock and without writing a byte. It serves what
	// is whole, durable or not, and says in Recovery how much is proven durable.
	//
	// What others append is seen when somebody looks: Subscribe does, and Refresh.
	// All other calls see what the last look saw, or Open.
	ReadOnly bool
	// FollowEvery, only with ReadOnly, is how often a subscription that waits looks
	// for what others have appended; 0 means 100 ms.
	FollowEvery time.Duration
	// Salvage, only with ReadOnly, serves what is whole in a damaged log. What
	// is damaged is listed in Recovery.
	Salvage bool
	// LockWait is how long Open waits for another holder of the lock; 0: not.
	LockWait time.Duration

	// SegmentSize is the size at which a segment is left for the next, in bytes;
	// 0 means 64 MiB; from 64 KiB to 4 GiB.
	SegmentSize int64
	// Align starts every synced group on a multiple of so many bytes, for disks
	// without powersafe overwrite: 0 (off) or 4096. An existing segment keeps
	// the alignment it was made with.
	Align int
	// Preallocate is the largest step, in bytes, by which room is made ahead of
	// need, with zeros where groups are synced; 0 means 1 MiB, negative means off.
	Preallocate int64

	MaxPayload     int // bytes of Draft.Data; 0 means 16 MiB, at most 64 MiB
	MaxMetadata    int // bytes of Draft.Metadata, and of Extensions; 0 means 64 KiB, at most 1 MiB
	MaxBatchEvents int // 0 means 4096, at most 65535
	MaxBatchBytes  int // bytes of a batch as stored; 0 means 32 MiB, at most SegmentSize − 8 KiB

	// SyncEvery and SyncCount bound how long a Buffered event stays unsynced:
	// 0 means 10 ms and 1,000 events.
	SyncEvery time.Duration
	SyncCount int

	// Signing has heads of the log signed; nil: nobody does.
	Signing *Signing

	// Gates are asked, in order, whether a batch may be appended. nil: all may.
	Gates []Gate

	Clock  Clock        // nil: the system's
	Rand   io.Reader    // nil: crypto/rand; ids, salts, seeds and session bytes come from here
	Waits  Waits        // nil: goroutines
	Logger *slog.Logger // nil: silent

	Room *Room // nil: the log makes all its memory itself

	// Metrics is told what the log does, and how long it takes; nil: nothing is
	// measured. It must not be changed while the log is open.
	Metrics *Metrics
	// Observer is told the named points of commits and recoveries. It must not
	// call the log.
	Observer func(Point)
}

const (
	blockSize     = record.BlockSize
	minSegment    = 64 << 10
	maxSegment    = 4 << 30
	maxNameLength = 255
)

var silent = slog.New(slog.DiscardHandler)

// withDefaults returns the options with every zero value replaced, or all the
// problems at once.
func (o Options) withDefaults() (Options, error) {
	var problems []string
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf(format, args...))
	}
	if o.Dir == "" && o.FS == nil {
		problem("Dir is empty: name the log's directory")
	}
	if _, ok := o.FS.(*afero.MemMapFs); ok {
		problem("FS is an afero.MemMapFs, whose files return wrong bytes when two goroutines use one: simfs.New makes a disk in memory")
	}
	if o.Salvage && !o.ReadOnly {
		problem("Salvage needs ReadOnly")
	}
	if o.Align != 0 && o.Align != blockSize {
		problem("Align is %d: use 0 or %d", o.Align, blockSize)
	}
	ranged := func(name string, value *int64, standard, least, most int64) {
		if *value == 0 {
			*value = min(standard, most)
		}
		if *value < least || *value > most {
			problem("%s is %d: use %d to %d, or 0 for %d", name, *value, least, most, standard)
		}
	}
	rangedInt := func(name string, value *int, standard, least, most int64) {
		wide := int64(*value)
		ranged(name, &wide, standard, least, most)
		*value = int(wide)
	}
	ranged("SegmentSize", &o.SegmentSize, 64<<20, minSegment, maxSegment)
	rangedInt("MaxPayload", &o.MaxPayload, 16<<20, 1, 64<<20)
	rangedInt("MaxMetadata", &o.MaxMetadata, 64<<10, 1, 1<<20)
	rangedInt("MaxBatchEvents", &o.MaxBatchEvents, 4096, 1, 65535)
	rangedInt("MaxBatchBytes", &o.MaxBatchBytes, 32<<20, 1, min(max(o.SegmentSize, minSegment)-record.DataStart, record.MaxBatchSize))
	rangedInt("SyncCount", &o.SyncCount, 1000, 1, 1<<31-1)
	if o.SyncEvery < 0 {
		problem("SyncEvery is %v: use a positive duration, or 0 for 10ms", o.SyncEvery)
	}
	if o.SyncEvery == 0 {
		o.SyncEvery = 10 * time.Millisecond
	}
	if o.FollowEvery < 0 {
		problem("FollowEvery is %v: use a positive duration, or 0 for 100ms", o.FollowEvery)
	}
	if o.FollowEvery > 0 && !o.ReadOnly {
		problem("FollowEvery needs ReadOnly")
	}
	if o.FollowEvery == 0 {
		o.FollowEvery = 100 * time.Millisecond
	}
	if o.LockWait < 0 {
		problem("LockWait is %v: use a positive duration, or 0 for no wait", o.LockWait)
	}
	if o.Preallocate == 0 {
		o.Preallocate = 1 << 20
	}
	o.Gates = slices.Clone(o.Gates)
	checkGates(&o, problem)
	checkSigning(&o, problem)
	if len(problems) > 0 {
		return o, fmt.Errorf("%w options: %s", ErrInvalid, strings.Join(problems, "; "))
	}
	if o.Clock == nil {
		o.Clock = systemClock{}
	}
	if o.Rand == nil {
		o.Rand = systemRand()
	}
	if o.Waits == nil {
		o.Waits = goroutines{}
	}
	if o.Logger == nil {
		o.Logger = silent
	}
	return o, nil
}
