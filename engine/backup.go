package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine/diskfs"
	"github.com/untorn-db/untorn/engine/internal/segment"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/engine/record"
)

// A backup is a log by itself, and a closed one:
//
//	log      1 ── sealed ──   2 ── sealed ──   3 ── durable ──┬─ not yet ─
//	         │ link           │ link, or copy  │ copy         ┆
//	backup   1 ── sealed ──   2 ── sealed ──   3 ── durable ──┴─ END
//
// Into an empty directory it is made under a mark that says what it is, and which
// is removed last:
//
//	mark, synced ─→ segments, synced ─→ names synced ─→ verified ─→ no mark, synced
//
// A backup that is there is continued by copies beside it, which take their names
// one after the other, so that at any moment there is a closed log:
//
//	copies, synced ─→ verified ─→ rename, sync, rename, sync …

// BackupTarget says where a backup is made, and how.
type BackupTarget struct {
	// Dir is the directory, which is created, parents included. With FS set it is a
	// path inside FS, "" meaning its root.
	Dir string
	// FS replaces the real file system, as Options.FS does.
	FS afero.Fs
	// Copy has all segments copied. Without it, sealed segments of which nobody ever
	// writes a byte again are linked, where both file systems are one that can: that
	// costs no room and no time, and what damages such a file damages log and backup.
	Copy bool
	// Progress, if not nil, is told how many bytes are done, of how many: those that
	// are copied, and those that are read to verify. It is called in the caller's
	// goroutine.
	Progress func(done, total int64)
}

// Backup is what Log.Backup and Restore have made, or found in place.
type Backup struct {
	LogID uuid.UUID
	Head  LogHead // of the log there
	Bytes int64   // of its segments

	// The segments, by how they came there: copied, linked, or kept from the backup
	// that was there before.
	Copied, Linked, Kept int
	CopiedBytes          int64

	// NotDurable counts the last batches of the log that are not in the backup, since
	// nothing said that they are durable.
	NotDurable uint64

	// Signed, of Restore, is the newest head that was found signed, or zero.
	Signed proof.SignedHead
}

var (
	// ErrNothingDurable: there is no durable batch, so there is nothing to back up.
	ErrNothingDurable = errors.New("the log has no durable batch yet: there is nothing to back up")
	// ErrUnfinished: the directory holds what a backup or restore that was cut off has
	// left, which is no log.
	ErrUnfinished = errors.New("the directory holds a backup or restore that was not finished: make it again, or remove the directory")
	// ErrTarget is matched by *TargetError.
	ErrTarget = errors.New("the target is not empty")
	// ErrNotClosed: a log that is to be restored ends in batches that nothing says are
	// durable, or in bytes that are no batch.
	ErrNotClosed = errors.New("the log was not closed: open it once, and close it, or back it up")
	// ErrNotSigned: a log that is to be restored has no signature, and there are keys.
	ErrNotSigned = errors.New("the log has no signature, so nobody vouches for it")
)

// TargetError says why a backup or restore cannot be made into a directory. Nothing
// in it was changed. It matches ErrTarget.
type TargetError struct {
	Dir    string
	Reason string
	Err    error // what the log there says, or nil
}

func (e *TargetError) Error() string {
	text := e.Reason
	if e.Dir != "" {
		text = e.Dir + ": " + text
	}
	if e.Err != nil {
		text += fmt.Sprint(": ", within(e.Err))
	}
	return text + ": name another directory"
}

// Is reports whether target is ErrTarget.
func (e *TargetError) Is(target error) bool { return target == ErrTarget }
func (e *TargetError) Unwrap() error        { return e.Err }

// Backup copies the durable part of the log, as it is at one moment of the call,
// into a directory: a closed log, whose head is the log's durable head of that
// moment. Everything in it is durable, and verified as Verify does, when Backup
// returns nil. Calls of other methods go on meanwhile.
//
// It may be called on a log that is open for writing, one that has failed included,
// or on one that another process writes and this one has open with ReadOnly. That
// other process may have batches that it knows to be durable before the log says
// so: they are not in the backup, and NotDurable counts them, with the buffered ones.
//
// The directory must be empty, or hold an earlier backup of this log as it was made,
// which is then continued: only what is new is copied. It may hold what an earlier
// Backup has left that was cut off. Anything else is a *TargetError. Whoever is cut
// off at any operation leaves a directory that Open refuses with ErrUnfinished; or,
// where there was a backup before, a closed log that is that backup or a later one.
// After an error, or when the context ends, nothing is left behind.
//
// Other errors are ErrNothingDurable, ErrLocked when somebody has the directory's log
// open for writing, ErrNoSpace, ErrRecovered when the log has to be opened again,
// ErrClosed, *CorruptError, or what the disk says.
//
// A backup has the id of its log. Only one of the two may be appended to: the other is
// a fork, whose events have the same sequences. Their heads tell them apart.
func (l *Log) Backup(ctx context.Context, to BackupTarget) (Backup, error) {
	b, err := l.backup(ctx, &copying{target: to})
	if err != nil {
		return Backup{}, fmt.Errorf("engine: back up: %w", noSpace(err))
	}
	return b, nil
}

// Restore copies a log, as a rule a backup, into a new directory. It verifies the
// log before, and what was written after. From.ReadOnly is understood; nothing of
// the log is linked or changed.
//
// A damaged log is refused with a *CorruptError, one that was not closed with
// ErrNotClosed. With keys it is verified as VerifySigned does, and must have a
// signature, or the error matches ErrNotSigned. Kept are heads that it must have, as in
// Verify, or the error matches ErrNotFound.
//
// The target must be empty, hold what a Restore has left that was cut off, or hold
// exactly the log already; else the error is a *TargetError. All else is as with
// Backup. What is said there about forks holds for the restored log.
func Restore(ctx context.Context, from Options, to BackupTarget, keys *proof.Keys, kept ...LogHead) (Backup, error) {
	from.ReadOnly, from.Salvage = true, false
	to.Copy = true
	l, err := Open(from)
	if err != nil {
		return Backup{}, fmt.Errorf("engine: restore: %w", within(err))
	}
	c := &copying{target: to, restores: true, keys: keys, kept: kept}
	b, err := l.backup(ctx, c)
	_ = l.Close() // nothing was written to it
	if err != nil {
		return Backup{}, fmt.Errorf("engine: restore: %w", within(noSpace(err)))
	}
	return b, nil
}

const (
	// unfinishedName marks a directory whose segments are no log yet.
	unfinishedName = "UNFINISHED-BACKUP"
	unfinishedText = "A backup or a restore was being made in this directory and was not finished.\n" +
		"What is here is no log. Make it again, or remove the directory.\n"
	// suffixCopy ends the name of a segment that is to take its place in a backup.
	suffixCopy = ".copy"
	// copyPiece is how much is copied between two looks at the context.
	copyPiece = 1 << 20
)

// copying is one call of Backup or Restore.
type copying struct {
	target BackupTarget
	// Of Restore: the log must have been closed, and is verified before; a log that is
	// in the target must be this one.
	restores bool
	keys     *proof.Keys // that it is verified with, if any
	kept     []LogHead   // that it must have

	log  *Log
	part durablePart
	dir  *directory
	made []string // directories that were missing, the deepest first

	result      Backup
	done, total int64 // bytes
}

// durablePart is what of a log is durable at one moment.
type durablePart struct {
	id       [16]byte
	durable  point
	pending  uint64 // batches behind it
	segments []partSegment
	signed   bool           // there are signatures
	session  record.Session // of the END
}

// partSegment is a segment, or its beginning: what stands behind end is no part.
type partSegment struct {
	number uint64
	header record.SegmentHeader
	end    int64
	final  bool // nobody writes to the file any more, whatever crashes
}

func (l *Log) backup(ctx context.Context, c *copying) (Backup, error) {
	if _, err := (Options{Dir: c.target.Dir, FS: c.target.FS}).withDefaults(); err != nil {
		return Backup{}, err
	}
	c.log = l
	var err error
	if c.part, err = l.durablePart(ctx); err != nil {
		return Backup{}, err
	}
	if err := c.checkSource(ctx); err != nil {
		return Backup{}, err
	}
	if err := c.into(ctx); err != nil {
		if errors.Is(err, fs.ErrClosed) && !errors.Is(err, ErrClosed) { // by a Close meanwhile
			err = fmt.Errorf("%w: %w", ErrClosed, err)
		}
		return Backup{}, err
	}
	r := &c.result
	r.LogID, r.Head, r.NotDurable = c.part.id, c.part.durable.logHead(), c.part.pending
	for _, s := range c.part.segments {
		r.Bytes += s.end
	}
	l.opts.Logger.Info("log backed up", "dir", c.target.Dir, "batches", r.Head.Batch, "copied", r.Copied, "linked", r.Linked, "kept", r.Kept)
	return *r, nil
}

// durablePart returns what is durable now. A commit that is at work is waited for.
func (l *Log) durablePart(ctx context.Context) (p durablePart, err error) {
	if l.opts.ReadOnly {
		if err := l.refresh(ctx); err != nil {
			return p, err
		}
	}
	if err := l.token.take(ctx, &l.mu, l.opts.Waits); err != nil {
		return p, err
	}
	defer l.token.release(&l.mu)
	if _, err := io.ReadFull(l.random, p.session[:]); err != nil {
		return p, fmt.Errorf("draw the session: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return p, ErrClosed
	}
	if l.durable.batch == 0 {
		return p, ErrNothingDurable
	}
	p.id, p.durable, p.pending = l.logID, l.durable, l.written.batch-l.durable.batch
	_, p.signed = l.index.ShownNote(SignatureNote)
	for _, number := range l.numbers {
		s := l.segments[number]
		if s.header.PreviousBatch >= p.durable.batch {
			break // nothing in it is durable
		}
		part := partSegment{number: number, header: s.header, end: l.durable.end}
		if next := l.segments[number+1]; next != nil {
			part.end = int64(next.header.PreviousEnd)
			// Without a durable batch in the next segment a crash may take that away, and
			// the log would go on in this one. Carried batches prove nothing; see FORMAT.md.
			part.final = p.durable.batch > next.header.PreviousBatch+uint64(next.header.Carried)
		}
		p.segments = append(p.segments, part)
	}
	return p, nil
}

// bytes is what the segments from an index on have.
func (p *durablePart) bytes(from int) (n int64) {
	for _, s := range p.segments[from:] {
		n += s.end
	}
	return n
}

// ends is the point behind the last batch of the segment with an index, as the header
// of the next one tells it.
func (p *durablePart) ends(i int) point {
	if i+1 == len(p.segments) {
		return p.durable
	}
	return pointBefore(&p.segments[i+1].header)
}

func (c *copying) checkSource(ctx context.Context) error {
	c.total = 2 * c.part.bytes(0)
	if !c.restores {
		return nil
	}
	if r := c.log.recovery; r.Torn || c.part.pending > 0 {
		return fmt.Errorf("%w (behind batch %d)", ErrNotClosed, c.part.durable.batch)
	}
	c.total += c.part.bytes(0)
	v, err := c.log.verify(ctx, &verifying{keys: c.keys, told: c.progress}, c.kept)
	if err == nil && c.keys != nil && !v.Signed.Signed() {
		return ErrNotSigned
	}
	c.result.Signed = v.Signed
	return err
}

// progress tells of so many bytes more.
func (c *copying) progress(n int64) {
	c.done += n
	if c.target.Progress != nil {
		c.target.Progress(min(c.done, c.total), c.total)
	}
}

// into makes the copy in its directory, whatever is there.
func (c *copying) into(ctx context.Context) (err error) {
	c.made = missingDirectories(c.target)
	if c.dir, err = openDirectory(Options{FS: c.target.FS, Dir: c.target.Dir}); err != nil {
		removeDirectories(c.target, c.made)
		return err
	}
	// A directory of somebody else's gets no lock file either.
	if err := c.checkNames(); err != nil {
		err = cmp.Or(err, c.dir.close())
		removeDirectories(c.target, c.made)
		return err
	}
	unlock, err := c.dir.lock(0, c.log.opts.Waits)
	if err != nil {
		if errors.Is(err, ErrLocked) {
			err = fmt.Errorf("%s: %w", c.target.Dir, err)
		}
		err = cmp.Or(err, c.dir.close())
		removeDirectories(c.target, c.made)
		return err
	}
	names, err := c.dir.list()
	if err == nil {
		what := whatIsThere(names)
		err = c.ours(what)
		switch {
		case err != nil:
		case what.unfinished || what.segments == 0:
			err = c.anew(ctx)
		default:
			c.made = nil
			err = c.goOn(ctx, names)
		}
	}
	if err != nil && len(c.made) > 0 {
		_ = c.dir.remove(lockName)
	}
	err = cmp.Or(err, unlock(), c.dir.close())
	if err != nil {
		removeDirectories(c.target, c.made)
	}
	return err
}

// checkNames refuses a directory with files of somebody else's.
func (c *copying) checkNames() error {
	names, err := c.dir.list()
	if err != nil {
		return err
	}
	return c.ours(whatIsThere(names))
}

// ours refuses a directory that holds no log but other files.
func (c *copying) ours(what inTarget) error {
	if what.other != "" && (what.unfinished || what.segments == 0) {
		return c.refuse(nil, "it has a file %s in it, which is of no log", what.other)
	}
	return nil
}

func (c *copying) refuse(cause error, format string, args ...any) error {
	return &TargetError{Dir: c.target.Dir, Reason: fmt.Sprintf(format, args...), Err: cause}
}

// inTarget is what names in a directory say.
type inTarget struct {
	unfinished bool
	segments   int
	other      string // a name that no log and no backup has
}

func whatIsThere(names []string) (what inTarget) {
	for _, name := range names {
		_, suffix, ok := segment.ParseName(name)
		switch {
		case name == unfinishedName:
			what.unfinished = true
		case ok && suffix == segment.Suffix:
			what.segments++
		case !ok && name != lockName && !isCopy(name):
			what.other = name
		}
	}
	return what
}

// isCopy reports whether a file is a segment that did not take its place.
func isCopy(name string) bool {
	base, ok := strings.CutSuffix(name, suffixCopy)
	_, _, number := segment.ParseName(base + segment.Suffix)
	return ok && number
}

// anew makes a copy in a directory that holds no log, under the mark.
func (c *copying) anew(ctx context.Context) error {
	err := c.putMark()
	if err == nil {
		err = c.fill(ctx)
	}
	if err != nil {
		c.clear()
		return err
	}
	// From here on there is a log.
	if err := c.dir.remove(unfinishedName); err != nil {
		if c.dir.has(unfinishedName) {
			c.clear()
		} else {
			c.made = nil
		}
		return err
	}
	c.made = nil
	return c.dir.syncNames()
}

// putMark says, durably, that what is in the directory is no log. A mark that is there
// stays: without it what it stands for would be taken for a log.
func (c *copying) putMark() error {
	file, err := c.dir.open(unfinishedName, openOrCreate)
	if err != nil {
		return err
	}
	err = writeAt(file, []byte(unfinishedText), 0) // for a person: its name is what counts
	if err := cmp.Or(err, file.Close()); err != nil {
		return err
	}
	if err := c.dir.sync(); err != nil {
		return fmt.Errorf("make the name of the directory durable: %w", err)
	}
	return c.dir.syncNames()
}

// fill makes all segments, and verifies them.
func (c *copying) fill(ctx context.Context) error {
	if err := c.empty(); err != nil {
		return err
	}
	for i := range c.part.segments {
		s := &c.part.segments[i]
		name := segment.Name(s.number)
		// What keeps a file from being linked does not keep it from being copied, or is
		// told then.
		if s.final && !c.target.Copy && c.log.dir.link(name, c.dir) == nil {
			c.result.Linked++
			c.total -= s.end
			continue
		}
		if err := c.copySegment(ctx, s, name); err != nil {
			return err
		}
	}
	if err := c.dir.syncNames(); err != nil {
		return err
	}
	return c.verify(ctx, nil, nil)
}

// empty removes whatever stands under the mark. Nothing there is ever written to: it
// may be a link.
func (c *copying) empty() error {
	names, err := c.dir.list()
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == lockName || name == unfinishedName {
			continue
		}
		if err := c.dir.remove(name); err != nil {
			return err
		}
	}
	return nil
}

// clear removes all that was made in a directory without a log. What it says to that
// has been said by the error before, and where it cannot, the mark stays.
func (c *copying) clear() {
	// Without the mark no segment may come back.
	if c.empty() == nil && c.dir.syncNames() == nil {
		_ = c.dir.remove(unfinishedName)
	}
}

// goOn continues the backup that is in the directory, if it is one of this log.
func (c *copying) goOn(ctx context.Context, names []string) error {
	there, err := c.open(Options{FS: c.dir.fs, Dir: c.dir.dir})
	if err != nil {
		return c.refuse(err, "it holds a log, or what was one")
	}
	head, from, err := c.follows(there)
	_ = there.Close() // nothing was written to it
	if err != nil {
		return err
	}
	for _, name := range names {
		if isCopy(name) {
			if err := c.dir.remove(name); err != nil {
				return err
			}
		}
	}
	fresh := c.part.segments[from:]
	c.result.Kept = from
	c.total = c.part.bytes(0) + c.part.bytes(from)
	if c.restores {
		c.total += c.part.bytes(0)
	}
	err = c.beside(ctx, fresh, head)
	placed := 0
	for err == nil && placed < len(fresh) {
		number := fresh[placed].number
		if err = c.dir.rename(copyName(number), segment.Name(number)); err == nil {
			placed++
			err = c.dir.syncNames()
		}
	}
	if err != nil {
		for _, s := range fresh[placed:] {
			_ = c.dir.remove(copyName(s.number))
		}
		return err
	}
	// Whoever made what is there may have died before the names were durable.
	if err := c.dir.sync(); err != nil {
		return fmt.Errorf("make the name of the directory durable: %w", err)
	}
	return c.dir.syncNames()
}

func (c *copying) open(o Options) (*Log, error) {
	o.ReadOnly, o.Waits = true, c.log.opts.Waits
	return open(o)
}

// follows returns the head of the log in the target, and the index of the first
// segment that goes on behind it; or why it is not continued. Whether the log has that
// head is seen when the segments are verified.
func (c *copying) follows(there *Log) (head LogHead, from int, err error) {
	p := &c.part
	last := there.durable
	switch {
	case there.lastSegment == 0:
		return head, 0, c.refuse(nil, "it holds a log without a batch")
	case there.logID != p.id:
		return head, 0, c.refuse(nil, "it holds another log, with the id %v", uuid.UUID(there.logID))
	case there.recovery.Torn || there.written.batch > last.batch:
		return head, 0, c.refuse(nil, "it holds a log that was written to, and not closed")
	case last.batch > p.durable.batch:
		return head, 0, c.refuse(nil, "it holds the log up to batch %d, and this one is known to be durable up to batch %d", last.batch, p.durable.batch)
	case c.restores && (last.batch != p.durable.batch || last.head != p.durable.head):
		return head, 0, c.refuse(nil, "it holds the log up to batch %d", last.batch)
	}
	from = len(there.numbers) - 1
	same := from < len(p.segments)
	for i, number := range there.numbers {
		same = same && p.segments[i].number == number && (i == from || p.segments[i].header == there.segments[number].header)
	}
	if same && p.segments[from].header == there.segments[there.lastSegment].header && last.end >= p.segments[from].end {
		// All that it has to have is there, with an END behind it, as behind every segment
		// of a backup. What a recovery has left out of it since stands in the next one.
		from++
	}
	if !same || from < len(p.segments) && p.ends(from).batch < last.batch {
		return head, 0, c.refuse(nil, "it holds the log up to batch %d, and the log has gone another way", last.batch)
	}
	return last.logHead(), from, nil
}

// beside copies segments under names that count for nothing, and verifies the log
// that they make with those that are there. It has the head that is there.
func (c *copying) beside(ctx context.Context, fresh []partSegment, head LogHead) error {
	copies := map[string]string{} // under what names they lie
	for i := range fresh {
		name := copyName(fresh[i].number)
		mine := c.log.dir.has(name)
		if err := c.copySegment(ctx, &fresh[i], name); err != nil {
			return err
		}
		if !mine && c.log.dir.has(name) {
			return c.refuse(nil, "it holds the log itself")
		}
		copies[segment.Name(fresh[i].number)] = name
	}
	err := c.verify(ctx, copies, []LogHead{head})
	var damage *CorruptError
	switch {
	case errors.Is(err, ErrNotFound):
		return c.refuse(nil, "it holds a log that went another way: this one has no such head as that of its batch %d", head.Batch)
	case errors.As(err, &damage) && copies[segment.Name(damage.Segment)] == "":
		return c.refuse(damage, "it holds a log that is damaged, or went another way")
	}
	return err
}

func copyName(number uint64) string {
	return strings.TrimSuffix(segment.Name(number), segment.Suffix) + suffixCopy
}

// copySegment copies a segment up to its end, and ends it.
func (c *copying) copySegment(ctx context.Context, s *partSegment, name string) (err error) {
	known, source, err := c.log.acquire(uint32(s.number))
	if err != nil {
		return err
	}
	defer c.log.release(known)
	to, err := c.dir.createNew(name)
	if err != nil {
		return err
	}
	defer func() {
		if closed := to.Close(); err == nil {
			err = closed
		}
	}()
	piece := make([]byte, min(s.end, copyPiece))
	for at := int64(0); at < s.end; at += int64(len(piece)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		piece = piece[:min(s.end-at, copyPiece)]
		if err := readAt(source, piece, at); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = &CorruptError{Segment: s.number, Offset: at, Where: "interior", Reason: fmt.Sprintf("it ends before byte %d", s.end)}
			}
			return c.log.recoveredOr(err)
		}
		if err := writeAt(to, piece, at); err != nil {
			return err
		}
		c.result.CopiedBytes += int64(len(piece))
		c.progress(int64(len(piece)))
	}
	if err := writeAt(to, c.ending(s), s.end); err != nil {
		return err
	}
	if err := to.Sync(); err != nil {
		return err
	}
	c.result.Copied++
	return nil
}

// ending is what stands behind the last batch of a copied segment: END where Close
// writes it, and the zeros behind that. It is there in every segment, so that each
// ends a closed log while those behind it have not got their names.
func (c *copying) ending(s *partSegment) []byte {
	last := c.part.ends(int(s.number - c.part.segments[0].number))
	at := segment.AlignUp(s.end, blockSize)
	mark := record.Mark{Session: c.part.session, Sequence: last.sequence + 1, Batch: last.batch, Time: last.time, Synced: last.batch}
	end := record.AppendEnd(make([]byte, at-s.end), record.NewPlace(s.header.Seed), at, &mark)
	return append(end, make([]byte, record.MarkSize)...)
}

// verify reads what was made, and recomputes every hash of it: the log there is the
// durable part, has the kept heads, and was closed. Some of the segments may have
// other names yet.
func (c *copying) verify(ctx context.Context, names map[string]string, kept []LogHead) error {
	err := c.verifyCopy(ctx, names, kept)
	if errors.Is(err, ErrCorrupt) {
		err = fmt.Errorf("what was copied to %s does not verify, so the log is damaged, or what lies in the target: %w", c.target.Dir, within(c.log.recoveredOr(err)))
	}
	return err
}

func (c *copying) verifyCopy(ctx context.Context, names map[string]string, kept []LogHead) error {
	o, err := Options{FS: c.dir.fs, Dir: c.dir.dir, ReadOnly: true, Waits: c.log.opts.Waits}.withDefaults()
	if err != nil {
		return err
	}
	copied := &Log{opts: o, dir: &directory{fs: c.dir.fs, dir: c.dir.dir, unfinished: true, renamed: names}}
	o.Room.furnish(copied)
	defer copied.abandon()
	r := &recovering{Log: copied}
	if err := r.openSegments(); err != nil {
		return err
	}
	// What is in them is only looked at by verify: there is no index.
	if len(copied.numbers) != len(c.part.segments) {
		return &CorruptError{Segment: copied.lastSegment + 1, Where: "interior", Reason: fmt.Sprintf("there are %d segments instead of %d", len(copied.numbers), len(c.part.segments))}
	}
	for i, number := range copied.numbers {
		s, want := copied.segments[number], &c.part.segments[i]
		if s.header != want.header {
			return &CorruptError{Segment: number, Where: "interior", Reason: "it has another header than the log's"}
		}
		s.end, s.sealed, s.proven = want.end, true, true
	}
	copied.durable, copied.written = c.part.durable, c.part.durable
	if _, err := copied.verify(ctx, &verifying{told: c.progress, signed: c.part.signed}, kept); err != nil {
		return err
	}
	return copied.wasClosed()
}

// wasClosed checks that an END stands behind the last batch, and nothing behind it.
func (l *Log) wasClosed() error {
	s, file, err := l.acquire(uint32(l.lastSegment))
	if err != nil {
		return err
	}
	defer l.release(s)
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if _, err := file.Seek(s.end, io.SeekStart); err != nil {
		return err
	}
	scanner := segment.NewScanner(file, &s.header, s.end, info.Size())
	end := scanner.Next()
	closed := end.Kind == segment.FoundEnd && end.End.Batch == l.durable.batch && !end.End.Rotated
	if closed {
		scanner.Advance(end)
		closed = scanner.Next().Kind == segment.FoundNothing
	}
	switch err := scanner.Err(); {
	case err != nil:
		return err
	case !closed:
		return &CorruptError{Segment: s.number, Offset: s.end, Sequence: l.durable.sequence + 1, Where: "tail", Reason: "no END stands behind the last batch"}
	}
	return nil
}

// missingDirectories returns the paths of a target's directory and of those above it
// that are not there, the deepest first.
func missingDirectories(to BackupTarget) (missing []string) {
	if to.FS == nil {
		for dir := filepath.Clean(to.Dir); ; dir = filepath.Dir(dir) {
			there, err := diskfs.Open(dir, diskfs.Options{ReadOnly: true})
			if err == nil {
				there.Close()
			}
			if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(dir) == dir {
				return missing
			}
			missing = append(missing, dir)
		}
	}
	for dir := path.Clean("./" + to.Dir); dir != "." && dir != "/"; dir = path.Dir(dir) {
		if _, err := to.FS.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, dir)
	}
	return missing
}

// removeDirectories removes directories that were made, as far as they are empty.
func removeDirectories(to BackupTarget, made []string) {
	for _, dir := range made {
		if to.FS != nil {
			if err := to.FS.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return
			}
			continue
		}
		above, err := diskfs.Open(filepath.Dir(dir), diskfs.Options{ReadOnly: true})
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			above.Close()
			above, err = diskfs.Open(filepath.Dir(dir), diskfs.Options{})
		}
		if err != nil {
			return
		}
		err = above.Remove(filepath.Base(dir))
		above.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return
		}
	}
}
