package replay

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/simfs/explore"
)

// State is a sweep that was not finished. Options.Resume goes on with it, and the
// report is then the one that a sweep without a break would have made: but for the
// times, and for failures that the break kept from being made small, which it makes
// small now.
//
// In a file it is a JSON object on each line: what is to be done, then the rows, each
// with the keys of the images that were seen, 22 bytes or so each.
type State struct {
	head stateHead
	rows []stateRow
}

// stateVersion is that of the files. Another one is refused.
const stateVersion = 1

type stateHead struct {
	Version   int      `json:"untorn_sweep"`
	Scenarios []string `json:"scenarios"`
	Disks     []string `json:"disks"`
	First     uint64   `json:"first"` // seeds
	Last      uint64   `json:"last"`
	Images    int      `json:"images"`
	Shrink    int      `json:"shrink"`
	Next      int64    `json:"next"`    // the first place in the order of the sweep that nobody began with
	Missing   []int64  `json:"missing"` // places before that were not finished
}

type stateRow struct {
	Row      Row             `json:"row"`
	Steps    map[int64]int64 `json:"steps"`
	Opens    map[int64]int64 `json:"opens"`
	Ghosts   int64           `json:"ghosts"` // images that were seen first by seeds that were not finished
	Witness  witness         `json:"witness"`
	Failures []stateFailure  `json:"failures"`
	Seen     string          `json:"seen"` // the keys, one behind the other, in base64

	keys *explore.Set // the same, while they are not a text
}

// witness is what a seed of a row gave: that it gives the same when a sweep goes on
// shows that the program is still the same.
type witness struct {
	Seed   uint64 `json:"seed"` // 0: none was run
	Digest string `json:"digest"`
}

type stateFailure struct {
	Plan     string `json:"plan"`
	Unstable string `json:"unstable"`
	Step     int    `json:"step"`
	Expected string `json:"expected"`
	Found    string `json:"found"`
	Class    string `json:"class"`

	Promised []string `json:"promised"`
	Shown    []string `json:"shown"`
}

// Seeds says how many of the seeds are done, of how many, over all rows.
func (s *State) Seeds() (done, total int64) {
	return s.head.Next - int64(len(s.head.Missing)), s.head.total()
}

// Options are those of the sweep that is gone on with. Time, Jobs and the functions are
// not in it.
func (s *State) Options() Options {
	h := &s.head
	return Options{Scenarios: h.Scenarios, Disks: h.Disks, Seeds: Seeds{h.First, h.Last}, Images: h.Images, Shrink: h.Shrink, Resume: s}
}

func (h *stateHead) total() int64 {
	return Seeds{h.First, h.Last}.Len() * int64(len(h.Scenarios)*len(h.Disks))
}

// state is what the sweep has come to. Nobody works on it any more.
func (s *sweep) state() *State {
	o := &s.Options
	h := stateHead{Version: stateVersion, Scenarios: o.Scenarios, Disks: o.Disks, First: o.Seeds.First, Last: o.Seeds.Last,
		Images: o.Images, Shrink: o.Shrink, Next: s.next, Missing: append([]int64{}, s.missing...)}
	if h.Scenarios == nil {
		h.Scenarios = scenarios.Names()
	}
	if h.Disks == nil {
		h.Disks = []string{"posix"}
	}
	for place := range s.working {
		h.Missing = append(h.Missing, place)
	}
	slices.Sort(h.Missing)
	state := &State{head: h}
	for _, t := range s.rows {
		row := stateRow{Row: t.row(), Steps: t.StepsPerSeed, Opens: t.OpensPerSeed, Ghosts: t.ghosts, Witness: t.witness, Failures: []stateFailure{}}
		row.Row.Violations = []Violation{}
		for i := range t.Failures {
			f := &t.Failures[i]
			row.Failures = append(row.Failures, stateFailure{string(f.Plan.Format()), f.Unstable, f.Step, f.Expected, f.Found, f.class, f.Account.Promised, f.Account.Shown})
		}
		row.keys = t.seen
		state.rows = append(state.rows, row)
	}
	return state
}

// Save writes the state to a file, whole or not at all.
func (s *State) Save(path string) error {
	err := WriteFile(path, func(w io.Writer) error {
		b := bufio.NewWriter(w)
		encoder := json.NewEncoder(b)
		encoder.SetEscapeHTML(false)
		err := encoder.Encode(s.head)
		for _, row := range s.rows {
			if row.keys != nil {
				row.Seen = base64.RawStdEncoding.EncodeToString(row.bytes())
			}
			err = errors.Join(err, encoder.Encode(&row))
		}
		return errors.Join(err, b.Flush())
	})
	if err != nil {
		return fmt.Errorf("save the state of the sweep: %w", err)
	}
	return nil
}

// LoadState reads what Save has written. What is wrong with the text is an error with
// the file's name and the line.
func LoadState(path string) (*State, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load the state of a sweep: %w", err)
	}
	defer f.Close()
	decoder := json.NewDecoder(bufio.NewReader(f))
	decoder.DisallowUnknownFields()
	s := new(State)
	fail := func(line int, format string, args ...any) (*State, error) {
		return nil, fmt.Errorf("%s, line %d: %w", path, line, fmt.Errorf(format, args...))
	}
	if err := decoder.Decode(&s.head); err != nil {
		return fail(1, "want what an interrupted untorn-sim run has left: %w", err)
	}
	h := &s.head
	switch {
	case h.Version != stateVersion:
		return fail(1, "version %d: this program knows version %d", h.Version, stateVersion)
	case len(h.Scenarios) == 0 || len(h.Disks) == 0 || (Seeds{h.First, h.Last}).check() != nil || s.Options().Check() != nil:
		return fail(1, "no such sweep: scenarios %v, disks %v, seeds %v", h.Scenarios, h.Disks, Seeds{h.First, h.Last})
	case h.Next < 0 || h.Next > h.total() || !slices.IsSorted(h.Missing) || len(h.Missing) > 0 && (h.Missing[0] < 0 || h.Missing[len(h.Missing)-1] >= h.Next):
		return fail(1, "seed %d of %d is the next, and %v are missing: that cannot be", h.Next, h.total(), h.Missing)
	}
	for n := range len(h.Scenarios) * len(h.Disks) {
		var row stateRow
		if err := decoder.Decode(&row); err != nil {
			return fail(n+2, "%w", err)
		}
		if err := row.check(h, n); err != nil {
			return fail(n+2, "%w", err)
		}
		s.rows = append(s.rows, row)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fail(len(s.rows)+2, "something behind the rows")
	}
	return s, nil
}

// bytes are the keys.
func (r *stateRow) bytes() []byte {
	if r.keys == nil {
		keys, _ := base64.RawStdEncoding.DecodeString(r.Seen) // which was checked
		return keys
	}
	var keys []byte
	for key := range r.keys.All() {
		keys = append(keys, key[:]...)
	}
	return keys
}

// check says what is wrong with row n.
func (r *stateRow) check(h *stateHead, n int) error {
	scenario, disk := h.Scenarios[n/len(h.Disks)], h.Disks[n%len(h.Disks)]
	digest, err := hex.DecodeString(r.Row.Digest)
	keys, bad := base64.RawStdEncoding.DecodeString(r.Seen)
	switch {
	case r.Row.Scenario != scenario || r.Row.Disk != disk:
		return fmt.Errorf("%s on %s, want %s on %s", r.Row.Scenario, r.Row.Disk, scenario, disk)
	case err != nil || len(digest) != 32:
		return fmt.Errorf("digest %q: want 64 hexadecimal digits", r.Row.Digest)
	case bad != nil || len(keys)%len(explore.Key{}) != 0:
		return errors.New("the keys of the images cannot be read")
	case r.Row.Seeds > 0 && r.Witness.Seed == 0:
		return errors.New("no seed vouches for the others")
	}
	for i, f := range r.Failures {
		if _, err := plan.Parse([]byte(f.Plan)); err != nil {
			return fmt.Errorf("the plan of failure %d: %w", i+1, err)
		}
	}
	return nil
}

// ChangedError says that a sweep cannot be gone on with, since the program gives
// something else now.
type ChangedError struct {
	Scenario, Disk string
	Seed           uint64
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("seed %d of %s on %s gives another digest than before: the program has changed, run all seeds again", e.Seed, e.Scenario, e.Disk)
}

// resume puts a state in place of the empty rows. The error is a *ChangedError, or
// that ctx ended.
func (s *sweep) resume(ctx context.Context, from *State) error {
	failed := make([]error, len(s.rows))
	explore.Each(s.Jobs, len(s.rows), func(i int) { failed[i] = s.resumeRow(ctx, s.rows[i], &from.rows[i]) })
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	s.next, s.missing = from.head.Next, slices.Clone(from.head.Missing)
	s.done, _ = from.Seeds()
	s.sofar.Before = s.done
	for _, t := range s.rows {
		s.sofar.Recoveries += t.Recoveries
		s.sofar.ImagesUnique += t.ImagesUnique
		s.sofar.Violated += t.Violated
	}
	return nil
}

func (s *sweep) resumeRow(ctx context.Context, t *tally, from *stateRow) error {
	c := scenarios.Config{Workers: s.workers, Images: s.Images, Wrap: s.Wrap}
	if w := from.Witness; w.Seed > 0 {
		p, err := scenarios.Draw(t.Scenario, t.Disk, w.Seed)
		if err != nil {
			return err
		}
		result, err := runPlan(ctx, p, c)
		if err != nil {
			return err
		}
		if result.Digest != w.Digest {
			return &ChangedError{t.Scenario, t.Disk, w.Seed}
		}
	}
	t.Row = from.Row
	t.Failures = nil // a state that is no file has those of the sweep, small already
	for _, f := range from.Failures {
		failure, err := f.again(ctx, c)
		if err != nil {
			return err
		}
		t.Failures = append(t.Failures, failure)
	}
	t.StepsPerSeed, t.OpensPerSeed, t.Reached = own(from.Steps), own(from.Opens), own(from.Row.Reached)
	t.ghosts, t.witness = from.Ghosts, from.Witness
	digest, _ := hex.DecodeString(from.Row.Digest)
	for i := range t.sum {
		t.sum[i] = binary.BigEndian.Uint64(digest[8*i:])
	}
	for keys := from.bytes(); len(keys) > 0; keys = keys[len(explore.Key{}):] {
		t.seen.Add(explore.Key(keys))
	}
	t.insight.resume(&from.Row)
	return nil
}

// own is a copy of counts that can be added to.
func own[K comparable](counts map[K]int64) map[K]int64 {
	all := map[K]int64{}
	maps.Copy(all, counts)
	return all
}

// again is the failure as it was found.
func (f *stateFailure) again(ctx context.Context, c scenarios.Config) (Failure, error) {
	p, err := plan.Parse([]byte(f.Plan))
	if err != nil {
		return Failure{}, err
	}
	was := Failure{
		Scenario: p.Scenario, Disk: orPosix(p.Disk), Invariant: p.Invariant, Step: f.Step, Expected: f.Expected, Found: f.Found,
		Plan: p, Unstable: f.Unstable, class: f.Class,
		Account: scenarios.Account{Promised: f.Promised, Shown: f.Shown},
	}
	was.come(p)
	if f.Unstable != "" {
		return was, nil
	}
	result, err := runPlan(ctx, p.Clone(), c)
	if err != nil {
		return was, err
	}
	for _, found := range failures(result) {
		if found.same(was) {
			was.view = found.view
		}
	}
	return was, nil
}
