package tamper

import (
	"context"
	"fmt"
	"math/bits"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simfs/explore"
)

// Standard is how many mutations are made if nothing else is said.
const Standard = 100_000

// Config says how much is done.
type Config struct {
	// Mutations of what belongs to the logs, at least so many if there are; those of
	// what nothing binds come in addition. 0: Standard.
	Mutations int
	Seed      uint64
	Workers   int      // 0: one for each processor
	Logs      []string // names of the logs; nil: all
	Kinds     []string // names of kinds, or parts of them; nil: all

	// Wrap hands out the logs that are asked, for tests of the suite. nil: as they
	// are.
	Wrap func(*engine.Log) Log
	// Progress is told how many are done, of those that are known by now, and how many
	// finds there are, by several goroutines but never at once.
	Progress func(done, total, finds int)
}

// LogNames lists the logs.
func LogNames() (names []string) {
	for _, s := range stories() {
		names = append(names, s.name)
	}
	return names
}

// Check reports names that no log and no kind has.
func (c *Config) Check() error {
	names := LogNames()
	for _, name := range c.Logs {
		if !slices.Contains(names, name) {
			last := len(names) - 1
			return fmt.Errorf("no log %q: there are %s and %s", name, strings.Join(names[:last], ", "), names[last])
		}
	}
	for _, name := range c.Kinds {
		if !slices.ContainsFunc(kinds(), func(k *kind) bool { return strings.Contains(k.name, name) }) {
			return fmt.Errorf("no kind of mutation has %q in its name", name)
		}
	}
	return nil
}

// Row is what became of the mutations of one kind, over all logs.
type Row struct {
	Kind  string `json:"kind"`
	Group string `json:"group"`

	Mutations int `json:"mutations"`
	Head      int `json:"named_by_head"`         // Open, Verify or the head that was kept names it
	Receipt   int `json:"named_by_receipt"`      // Open, Verify or the last receipt does
	Alone     int `json:"named_by_receipt_only"` // Open or the last receipt does, without Verify
	Without   int `json:"named_without_head"`    // Open or Verify does
	Keys      int `json:"named_by_keys"`         // the same, where Verify has the keys of those who may have signed
	Ended     int `json:"end_gone"`              // nothing of these does: what is left is the log without its last batches
	LastGroup int `json:"last_group"`            // the same, and it is the last synced group of a log that was not closed
	Unproven  int `json:"unproven"`              // the same for a reader: opened for writing all is there
	Rewritten int `json:"needs_head"`            // nothing of these does: it is another log, valid in itself
	Same      int `json:"same"`                  // nothing does, and nothing is another
	Refused   int `json:"refused_to_write"`      // opened for writing: an error
	Cut       int `json:"cut"`                   // opened for writing: the last batches are gone, as a torn end is
	Unchecked int `json:"shown_unverified"`      // reads alone show what was changed, and Verify or the head names it
	Served    int `json:"served"`                // shown, where it must not be, or though it was verified
	Missed    int `json:"missed"`                // finds of any other kind
}

// Find is a mutation that was not treated as it must be.
type Find struct {
	Kind     string `json:"kind"`
	Log      string `json:"log"`
	Mutation string `json:"mutation"`
	What     string `json:"what"`
}

// String is the find on one line.
func (f Find) String() string {
	return fmt.Sprintf("%s, log %q: %s: %s", f.Kind, f.Log, f.Mutation, f.What)
}

// LogInfo is what a log is.
type LogInfo struct {
	Name     string `json:"name"`
	Segments int    `json:"segments"`
	Batches  int    `json:"batches"`
	Events   int    `json:"events"`
	Bound    int    `json:"bytes"` // that belong to the log
	Slack    int    `json:"slack"` // other bytes of its files
	Closed   bool   `json:"closed"`
}

// Report is what a run found.
type Report struct {
	Seed  uint64
	Logs  []LogInfo
	Rows  []Row
	Finds []Find // the first of each kind
	Found int    // all
}

// mostFinds is how many finds of a kind and a log are listed.
const mostFinds = 3

// task is some of the mutations of one kind of one log.
type task struct {
	kind, log int
	from, to  int // of the picks
	all, take int
	row       Row
	beside    Row // of those that turn out to touch no byte of the log
	finds     []Find
}

// taskSize is how many mutations are made at once.
const taskSize = 64

// Run makes the logs and tampers with them. The error says that the logs cannot
// be made, that ctx ended, or that one that nobody tampered with is not what it
// should be. Where ctx ended, the report, if there is one, tells of what was judged.
func Run(ctx context.Context, c Config) (*Report, error) {
	if c.Mutations == 0 {
		c.Mutations = Standard
	}
	if c.Wrap == nil {
		c.Wrap = func(l *engine.Log) Log { return l }
	}
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("tamper: %w", err)
	}
	s := &suite{ctx: ctx, config: c}
	for _, story := range stories() {
		if c.Logs != nil && !slices.Contains(c.Logs, story.name) {
			continue
		}
		v, err := newSubject(ctx, &story, c.Seed)
		if err != nil {
			return nil, err
		}
		s.logs = append(s.logs, v)
	}
	for _, k := range kinds() {
		if c.Kinds == nil || slices.ContainsFunc(c.Kinds, func(name string) bool { return strings.Contains(k.name, name) }) {
			s.kinds = append(s.kinds, k)
		}
	}
	for _, v := range s.logs {
		if err := s.control(v); err != nil {
			return nil, err
		}
	}
	tasks := s.plan()
	s.run(tasks)
	made := 0
	for _, t := range tasks {
		if k := s.kinds[t.kind]; k.counts() {
			made += t.row.Mutations
		}
	}
	flips := s.planFlips(c.Mutations - made)
	s.run(flips)
	tasks = append(tasks, flips...)
	if err := ctx.Err(); err != nil {
		return s.report(tasks), fmt.Errorf("tamper: %w", err)
	}
	return s.report(tasks), nil
}

type suite struct {
	ctx    context.Context
	config Config
	logs   []*subject
	kinds  []*kind
	room   engine.Room

	mu                 sync.Mutex
	done, total, finds int // guarded by mu; total is of the tasks so far
}

// run does tasks, side by side.
func (s *suite) run(tasks []*task) {
	for _, t := range tasks {
		s.total += t.to - t.from // nobody else is at work
	}
	explore.Each(s.config.Workers, len(tasks), func(i int) {
		if s.ctx.Err() != nil {
			return
		}
		t := tasks[i]
		whole := *t
		s.do(t)
		if s.ctx.Err() != nil {
			*t = whole // its last judgements may be of a log that was cut short
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.done += t.to - t.from
		s.finds += len(t.finds)
		if s.config.Progress != nil {
			s.config.Progress(s.done, s.total, s.finds)
		}
	})
}

// control judges a log that nobody has tampered with: all must be well, or the
// suite would name everything.
func (s *suite) control(v *subject) error {
	d := s.judge(v, &mutation{kind: &kind{group: outside}, files: v.files})
	if d.head || d.receipt || d.keys || !d.same || d.served != "" || d.strange != "" || d.cut != 0 || d.lost != "" || d.refused {
		return fmt.Errorf("tamper: the log %q as it is: %+v", v.story.name, d)
	}
	return nil
}

// plan divides the mutations among kinds and logs: each kind has its share of
// what is asked for. Some change nothing, and are left out.
func (s *suite) plan() (tasks []*task) {
	shares := 0
	for _, k := range s.kinds {
		shares += max(k.share, 1)
	}
	for i, k := range s.kinds {
		if k.share == flipShare {
			continue
		}
		for j, v := range s.logs {
			take := min(k.count(v), max(1, s.config.Mutations*max(k.share, 1)/shares/len(s.logs)))
			tasks = append(tasks, split(i, j, take, k.count(v))...)
		}
	}
	return tasks
}

// planFlips makes so many more mutations of flips, divided among the logs by their
// bytes.
func (s *suite) planFlips(n int) (tasks []*task) {
	bytes := 0
	for _, v := range s.logs {
		bytes += len(v.bound)
	}
	for i, k := range s.kinds {
		if k.share != flipShare {
			continue
		}
		for j, v := range s.logs {
			take := min(k.count(v), int(int64(max(n, 0))*int64(len(v.bound))/int64(bytes))+1)
			tasks = append(tasks, split(i, j, take, k.count(v))...)
		}
	}
	return tasks
}

func split(kind, log, take, all int) (tasks []*task) {
	for from := 0; from < take; from += taskSize {
		tasks = append(tasks, &task{kind: kind, log: log, from: from, to: min(take, from+taskSize), all: all, take: take})
	}
	return tasks
}

// pick is the index of pick i of a sample of a list: every one once, spread over
// the list.
func pick(i, take, all int, seed uint64) int {
	if take >= all {
		return i
	}
	bound := func(i int) int {
		hi, lo := bits.Mul64(uint64(i), uint64(all))
		at, _ := bits.Div64(hi, lo, uint64(take))
		return int(at)
	}
	n := &numbers{state: seed ^ uint64(i)<<20}
	return bound(i) + n.below(bound(i+1)-bound(i))
}

// make makes mutation i of a task, or returns nil if it would change nothing.
func (s *suite) make(t *task, i int) (*mutation, error) {
	k, v := s.kinds[t.kind], s.logs[t.log]
	if k.share != flipShare || t.take < len(v.bound) {
		i = pick(i, t.take, t.all, s.config.Seed+uint64(t.kind)<<8+uint64(t.log))
	}
	m, err := k.make(v, i, &numbers{state: s.config.Seed ^ uint64(t.kind)<<40 ^ uint64(t.log)<<50 ^ uint64(i)})
	if m != nil {
		m.kind = k
	}
	return m, err
}

func (s *suite) do(t *task) {
	k, v := s.kinds[t.kind], s.logs[t.log]
	for i := t.from; i < t.to; i++ {
		m, err := s.make(t, i)
		if err != nil {
			t.row.Missed++
			t.find(v, k, "making it", "%v", err)
			continue
		}
		if m != nil {
			t.row.Mutations++
			s.count(t, v, m, s.judge(v, m))
		}
	}
}

// judge judges, and makes a verdict of a panic.
func (s *suite) judge(v *subject, m *mutation) (d verdict) {
	defer func() {
		if p := recover(); p != nil {
			d.strange = fmt.Sprintf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return (&judge{ctx: s.ctx, v: v, room: &s.room, wrap: s.config.Wrap}).judge(m)
}

func (t *task) find(v *subject, k *kind, about, format string, args ...any) {
	t.finds = append(t.finds, Find{k.name, v.story.name, about, fmt.Sprintf(format, args...)})
}

// count says what a verdict means for its kind.
func (s *suite) count(t *task, v *subject, m *mutation, d verdict) {
	r, g := &t.row, m.kind.group
	if (g == damage || m.kind.mayMiss && d.same) && v.intact(m) {
		r, g = &t.beside, outside
		r.Mutations++
		t.row.Mutations--
	}
	add := func(n *int, when bool) {
		if when {
			*n++
		}
	}
	add(&r.Head, d.head)
	add(&r.Receipt, d.receipt)
	add(&r.Alone, d.alone)
	add(&r.Without, d.named)
	add(&r.Keys, d.keys)
	add(&r.Refused, d.refused)
	add(&r.Cut, !d.refused && d.cut > 0)
	find := func(format string, args ...any) {
		r.Missed++
		t.find(v, m.kind, m.about, format, args...)
	}
	unseen := func() {
		// It knows nothing of the batches behind its own, such as a last signature.
		knows := d.shown < int(v.receipts[len(v.receipts)-1].Batch) || d.shown == len(v.form.batches)
		if !d.receipt && knows && (g == damage || g == forged) {
			find("neither Verify nor the last receipt names it")
		}
	}
	switch {
	case d.strange != "":
		find("%s", d.strange)
	case m.kind.byKeys && !d.keys:
		find("the keys of those who may have signed it do not name it")
	case d.served != "" && (g == damage || g == outside):
		r.Served++
		find("served: %s", d.served)
	case d.served != "" && !d.head && g != erased:
		r.Served++
		find("served, and verified: %s", d.served)
	case d.lost != "":
		find("%s", d.lost)
	case g == outside && !d.same && (!d.named || m.kind.group == outside):
		find("it is no part of the log, and changes something: named %v, shown %d batches", d.named, d.shown)
	case !d.head && g == erased:
		r.Same++
		add(&r.Unchecked, d.served != "")
	case !d.head && !d.same:
		find("nothing names it, and it changes something: shown %d batches", d.shown)
	case !d.head && g != loose && g != outside:
		find("neither Verify nor the head names it")
	case !d.head:
		r.Same++
	case d.named:
		add(&r.Unchecked, d.served != "")
	case d.served == "" && d.shown < len(v.form.batches):
		switch {
		case !v.story.closed && d.shown >= len(v.form.batches)-v.lastGroup():
			r.LastGroup++
		case !d.refused && d.cut == 0:
			r.Unproven++
		default:
			r.Ended++
		}
		unseen()
		if proof := v.proof(m, d.shown+1); proof != "" && g == damage {
			find("without a head it is taken for a log that ends behind batch %d, though %s proves the next", d.shown, proof)
		}
	case g != damage && v.valid(m, d.verified):
		r.Rewritten++
		add(&r.Unchecked, d.served != "")
		unseen()
	default:
		find("without a head nothing names it: shown %d batches, %s", d.shown, d.served)
	}
}

// lastGroup is how many batches the last group of a story has: one, and a signature
// of the group before it.
func (v *subject) lastGroup() int {
	if n := len(v.form.batches); len(v.form.batches[n-1].events) == 0 {
		return 2
	}
	return 1
}

func (s *suite) report(tasks []*task) *Report {
	r := &Report{Seed: s.config.Seed}
	for _, v := range s.logs {
		info := LogInfo{Name: v.story.name, Batches: len(v.form.batches), Events: len(v.events), Bound: len(v.bound), Slack: len(v.slack), Closed: v.story.closed}
		for _, f := range v.form.segments {
			if f.counts {
				info.Segments++
			}
		}
		r.Logs = append(r.Logs, info)
	}
	for i, k := range s.kinds {
		row := Row{Kind: k.name, Group: k.group.String()}
		listed := map[int]int{}
		for _, t := range tasks {
			if t.kind != i {
				continue
			}
			row.add(&t.row)
			r.Found += len(t.finds)
			for _, f := range t.finds {
				if listed[t.log]++; listed[t.log] <= mostFinds {
					r.Finds = append(r.Finds, f)
				}
			}
		}
		r.Rows = append(r.Rows, row)
	}
	beside := Row{Kind: "of the damage above, beside the log", Group: outside.String()}
	for _, t := range tasks {
		beside.add(&t.beside)
	}
	if beside.Mutations > 0 {
		r.Rows = append(r.Rows, beside)
	}
	return r
}

func (r *Row) counts() []*int {
	return []*int{&r.Mutations, &r.Head, &r.Receipt, &r.Alone, &r.Without, &r.Keys, &r.Ended, &r.LastGroup, &r.Unproven, &r.Rewritten, &r.Same,
		&r.Refused, &r.Cut, &r.Unchecked, &r.Served, &r.Missed}
}

func (r *Row) add(other *Row) {
	to := r.counts()
	for i, n := range other.counts() {
		*to[i] += *n
	}
}

// counts reports whether a kind changes what belongs to a log, and hashes bind.
func (k *kind) counts() bool {
	return k.group == damage || k.group == forged || k.group == rewritten
}

// String names the group.
func (g group) String() string {
	return [...]string{"damage", "forged", "rewritten", "not bound", "outside", "erased"}[g]
}
