package graph

import (
	"bytes"
	"cmp"
	"slices"
	"sort"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

// link says that the event with a sequence names an id.
type link struct {
	id       uuid.UUID
	sequence uint64
}

func compare(a, b link) int {
	if c := bytes.Compare(a.id[:], b.id[:]); c != 0 {
		return c
	}
	return cmp.Compare(a.sequence, b.sequence)
}

// links are all links of one kind, in runs: each sorted, each of later events
// than the one before, and more than twice as long as the one behind it. So
// there are few of them, and a link is copied few times. A run never changes.
type links [][]link

// with returns the links and some of later events, which need not be sorted. It
// keeps neither the list nor anything of l that it would change.
func (l links) with(later []link) links {
	if len(later) == 0 {
		return l
	}
	run := slices.Clone(later)
	slices.SortFunc(run, compare)
	n := len(l)
	for n > 0 && len(l[n-1]) <= 2*len(run) {
		run = merge(l[n-1], run)
		n--
	}
	return append(slices.Clone(l[:n]), run)
}

func merge(a, b []link) []link {
	all := make([]link, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if compare(a[0], b[0]) <= 0 {
			all, a = append(all, a[0]), a[1:]
		} else {
			all, b = append(all, b[0]), b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// naming returns the sequences of the events that name an id, rising.
func (l links) naming(id uuid.UUID) []uint64 {
	var sequences []uint64
	for _, run := range l {
		i := sort.Search(len(run), func(i int) bool { return bytes.Compare(run[i].id[:], id[:]) >= 0 })
		for ; i < len(run) && run[i].id == id; i++ {
			sequences = append(sequences, run[i].sequence)
		}
	}
	return sequences
}

// knowledge is what a graph has learnt of a log up to an event. It never changes.
type knowledge struct {
	through     uint64 // sequence of the last event that was read; 0: none
	causes      links  // by the id of the cause
	correlation links  // by correlation, of the events that have not their own id for it
}

// lesson is what was read since, in the order of the log.
type lesson struct {
	through             uint64
	events              int
	causes, correlation []link
}

// mostEvents is how many events a lesson may have. With many, runs are merged
// seldom; what two calls read at the same time is learnt from one of them.
const mostEvents = 64 << 10

func (s *lesson) add(event *engine.Event) {
	s.through = event.Sequence
	s.events++
	if event.CausedBy != uuid.Nil {
		s.causes = append(s.causes, link{event.CausedBy, event.Sequence})
	}
	if event.Correlation != event.ID {
		s.correlation = append(s.correlation, link{event.Correlation, event.Sequence})
	}
}

func (s *lesson) clear() {
	*s = lesson{causes: s.causes[:0], correlation: s.correlation[:0]}
}

// with returns the knowledge and what of a lesson is news to it.
func (k *knowledge) with(s *lesson) *knowledge {
	news := func(all []link) []link {
		return all[sort.Search(len(all), func(i int) bool { return all[i].sequence > k.through }):]
	}
	return &knowledge{
		through:     s.through,
		causes:      k.causes.with(news(s.causes)),
		correlation: k.correlation.with(news(s.correlation)),
	}
}
