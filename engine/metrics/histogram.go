package metrics

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"
)

// bounds is how many buckets with a bound a histogram has. Those of durations end
// at 1 µs, 2 µs, 4 µs … 16.8 s.
const bounds = 25

// histogram counts values, by their size. What is smaller than first, or as large,
// is in bucket 0; bucket i ends with first·2^i, included; the last has no end.
type histogram struct {
	first  int64   // ≥ 1
	scale  float64 // of what it counts in one of what it shows
	counts [bounds + 1]atomic.Uint64
	sum    atomic.Int64
}

func (h *histogram) seconds() { h.first, h.scale = int64(time.Microsecond), float64(time.Second) }
func (h *histogram) plain()   { h.first, h.scale = 1, 1 }

// add counts a value. A negative one counts as 0.
func (h *histogram) add(value int64) {
	value = max(value, 0)
	i := 0
	if value > h.first {
		i = min(bits.Len64(uint64((value-1)/h.first)), bounds)
	}
	h.counts[i].Add(1)
	h.sum.Add(value)
}

func (h *histogram) took(d time.Duration) { h.add(int64(d)) }

func (h *histogram) snapshot() Histogram {
	s := Histogram{Sum: float64(h.sum.Load()) / h.scale, Buckets: make([]Bucket, bounds)}
	for i := range h.counts {
		s.Count += h.counts[i].Load()
		if i < bounds {
			s.Buckets[i] = Bucket{UpTo: float64(h.first<<i) / h.scale, Count: s.Count}
		}
	}
	return s
}

// Histogram is how many values there were, and how large. Durations are in seconds.
// As JSON it is its count, its mean and three quantiles.
type Histogram struct {
	Count   uint64
	Sum     float64
	Buckets []Bucket // rising; values above the last are in Count only
}

// Bucket counts the values of a histogram up to a bound.
type Bucket struct {
	UpTo  float64 // included
	Count uint64  // of all values up to here, those of the buckets before it included
}

// Quantile estimates the value below which a share of q of all values lies, for q
// from 0 to 1. It is 0 without values, and at most the bound of the last bucket.
func (h Histogram) Quantile(q float64) float64 {
	rank := min(max(q, 0), 1) * float64(h.Count)
	from, before := 0.0, uint64(0)
	for _, b := range h.Buckets {
		if n := b.Count - before; n > 0 && float64(b.Count) >= rank {
			return from + (b.UpTo-from)*max(0, rank-float64(before))/float64(n)
		}
		from, before = b.UpTo, b.Count
	}
	if h.Count == 0 {
		return 0
	}
	return from
}

// Mean is the mean of all values, 0 without any.
func (h Histogram) Mean() float64 {
	if h.Count == 0 {
		return 0
	}
	return h.Sum / float64(h.Count)
}

// MarshalJSON is for those who look at /debug/vars, to three digits.
func (h Histogram) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `{"count":%d,"mean":%.3g,"p50":%.3g,"p90":%.3g,"p99":%.3g}`,
		h.Count, h.Mean(), h.Quantile(0.5), h.Quantile(0.9), h.Quantile(0.99)), nil
}
