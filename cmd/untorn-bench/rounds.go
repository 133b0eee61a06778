package main

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// Runner runs rounds in a directory of its own.
type Runner struct {
	Dir    string
	Length time.Duration
	Random *rand.Rand
	Stop   func() error                     // non-nil: no further span is begun
	Say    func(format string, args ...any) // progress

	opened int
}

// Result is what a workload's rounds brought.
type Result struct {
	Workload Workload
	Peers    []Peer
	Samples  map[string][]Sample // by peer, one a round
	Failed   map[string]error    // peers that left the rounds
}

// Run plays rounds: each peer once a round, in random order. A peer that fails is
// left out from then on.
func (r *Runner) Run(w Workload, peers []Peer, rounds int) (*Result, error) {
	result := &Result{Workload: w, Samples: map[string][]Sample{}, Failed: map[string]error{}}
	for _, p := range peers {
		if p.Takes(w) {
			result.Peers = append(result.Peers, p)
		}
	}
	return result, r.More(result, rounds)
}

// More plays further rounds.
func (r *Runner) More(result *Result, rounds int) error {
	for range rounds {
		for _, k := range r.Random.Perm(len(result.Peers)) {
			if err := r.Stop(); err != nil {
				return err
			}
			p := result.Peers[k]
			if result.Failed[p.Name] != nil {
				continue
			}
			sample, err := r.once(result.Workload, p)
			switch {
			case err == nil:
				result.Samples[p.Name] = append(result.Samples[p.Name], sample)
			case p.Limit:
				return fmt.Errorf("%s: %s: %w", result.Workload, p.Name, err)
			default:
				r.Say("%s: %s failed: %v", result.Workload, p.Name, err)
				result.Failed[p.Name] = err
				delete(result.Samples, p.Name)
			}
		}
	}
	return nil
}

// once measures one peer in a fresh directory.
func (r *Runner) once(w Workload, p Peer) (sample Sample, err error) {
	r.opened++
	dir := filepath.Join(r.Dir, fmt.Sprintf("%d", r.opened))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return Sample{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	store, err := p.Open(Setup{Dir: dir, Keep: r.Dir, Writers: w.Writers, Buffered: w.Buffered})
	if err != nil {
		return Sample{}, err
	}
	runtime.GC()
	if err := settle(r.Dir); err != nil {
		return Sample{}, errors.Join(err, store.Close())
	}
	sample, err = measure(store, r.Dir, w, r.Length/8, r.Length)
	if err == nil && sample.Events == 0 {
		err = errors.New("not one call was answered in time")
	}
	return sample, errors.Join(err, store.Close())
}

// Best is the peer with the highest rate; "" without any.
func (r *Result) Best() string {
	best, most := "", 0.0
	for _, p := range r.Peers {
		if rate := median(r.Rates(p.Name)); !p.Limit && p.Name != ourName && rate > most {
			best, most = p.Name, rate
		}
	}
	return best
}

// ourName is untorn's among the peers.
const ourName = "untorn"

// Rates are the events per second of a peer's rounds.
func (r *Result) Rates(name string) []float64 {
	return r.each(name, Sample.Rate)
}

// each is one figure of every round of a peer.
func (r *Result) each(name string, figure func(Sample) float64) []float64 {
	var values []float64
	for _, s := range r.Samples[name] {
		values = append(values, figure(s))
	}
	return values
}

// Void tells which rounds do not count for ratios.
func (r *Result) Void() []bool { return void(r.Rates("raw")) }

// Valid is how many rounds count.
func (r *Result) Valid() int {
	n := 0
	for _, out := range r.Void() {
		if !out {
			n++
		}
	}
	return n
}

// Ratio is that of one peer over another, over the rounds that count. ok is false
// if there is none.
func (r *Result) Ratio(name, over string) (ratio Ratio, ok bool) {
	if len(r.Samples[name]) == 0 || len(r.Samples[over]) == 0 {
		return Ratio{}, false
	}
	ratio = ratioOf(kept(ratios(r.Rates(name), r.Rates(over)), r.Void()))
	return ratio, !math.IsNaN(ratio.Median)
}

// Ratios plays paired rounds of raw, the floors, untorn and the best of the other
// peers, until so many of them count; at most twice as many in all.
func (r *Runner) Ratios(w Workload, peers []Peer, rounds int) (*Result, error) {
	chosen, err := r.scout(w, peers)
	if err != nil {
		return nil, err
	}
	result, err := r.Run(w, chosen, rounds)
	if err != nil {
		return nil, err
	}
	for left := rounds; result.Valid() < rounds && left > 0; left-- {
		if err := r.More(result, 1); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// scout lets all peers play two short rounds, and returns raw, the floors, untorn and
// the best of the others.
func (r *Runner) scout(w Workload, peers []Peer) ([]Peer, error) {
	short := *r
	short.Length /= 4
	others := slices.DeleteFunc(slices.Clone(peers), func(p Peer) bool { return p.Limit || p.Name == ourName })
	best := ""
	if len(others) > 0 {
		result, err := short.Run(w, others, 2)
		if err != nil {
			return nil, err
		}
		best = result.Best()
		r.opened = short.opened
		r.Say("%s: the best of the others is %s", w, best)
	}
	return slices.DeleteFunc(slices.Clone(peers), func(p Peer) bool {
		return !p.Limit && p.Name != ourName && p.Name != best
	}), nil
}
