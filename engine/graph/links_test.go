package graph

import (
	"slices"
	"testing"
	"unsafe"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// TestLinks adds links in pieces, and finds what a look at all of them finds; no
// earlier state changes, and there are few runs.
func TestLinks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all links
		var naive []link
		type state struct {
			links
			count int
		}
		var states []state
		for range rapid.IntRange(1, 30).Draw(t, "pieces") {
			var piece []link
			for range rapid.IntRange(0, 9).Draw(t, "links") {
				sequence := uint64(len(naive) + len(piece) + 1)
				piece = append(piece, link{uuid.UUID{15: rapid.Byte().Draw(t, "id") % 6}, sequence})
			}
			naive = append(naive, piece...)
			all = all.with(piece)
			clear(piece) // it is not kept
			states = append(states, state{all, len(naive)})
		}
		for _, s := range states {
			total := 0
			for i, run := range s.links {
				total += len(run)
				if !slices.IsSortedFunc(run, compare) || cap(run) > 2*len(run)+8 {
					t.Fatalf("run %d: %v, room for %d", i, run, cap(run))
				}
				if i > 0 && len(s.links[i-1]) <= 2*len(run) {
					t.Fatalf("a run of %d links before one of %d", len(s.links[i-1]), len(run))
				}
			}
			if total != s.count {
				t.Fatalf("%d links of %d", total, s.count)
			}
			for id := range byte(7) {
				var want []uint64
				for _, l := range naive[:s.count] {
					if l.id == (uuid.UUID{15: id}) {
						want = append(want, l.sequence)
					}
				}
				if got := s.naming(uuid.UUID{15: id}); !slices.Equal(got, want) {
					t.Fatalf("id %d of %d links: got %v, want %v", id, s.count, got, want)
				}
			}
		}
	})
}

// TestLinkSize: the package's documentation says how much memory a graph takes.
func TestLinkSize(t *testing.T) {
	if size := unsafe.Sizeof(link{}); size != 24 {
		t.Errorf("a link has %d bytes", size)
	}
}

// TestLessonsOverlap: of a lesson only what is news is learnt.
func TestLessonsOverlap(t *testing.T) {
	id := uuid.UUID{1}
	k := (&knowledge{}).with(&lesson{through: 3, causes: []link{{id, 1}, {id, 3}}, correlation: []link{{id, 2}}})
	k = k.with(&lesson{through: 5, causes: []link{{id, 2}, {id, 3}, {id, 5}}, correlation: []link{{id, 1}, {id, 4}}})
	if got, want := k.causes.naming(id), []uint64{1, 3, 5}; !slices.Equal(got, want) || k.through != 5 {
		t.Errorf("through %d: %v, want %v", k.through, got, want)
	}
	if got, want := k.correlation.naming(id), []uint64{2, 4}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
