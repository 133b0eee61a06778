package main

import (
	"math"
	"math/rand/v2"
	"slices"
)

// median of some values; NaN for none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// resamples is how many a bootstrap draws.
const resamples = 10_000

// bootstrap is the 95% interval of the median: the percentile bootstrap of Efron
// and Tibshirani (An Introduction to the Bootstrap, chapter 13). The same values
// give the same interval.
func bootstrap(values []float64) (low, high float64) {
	if len(values) == 0 {
		return math.NaN(), math.NaN()
	}
	random := rand.New(rand.NewPCG(uint64(len(values)), 95))
	medians := make([]float64, resamples)
	drawn := make([]float64, len(values))
	for i := range medians {
		for k := range drawn {
			drawn[k] = values[random.IntN(len(values))]
		}
		medians[i] = median(drawn)
	}
	slices.Sort(medians)
	return medians[resamples*25/1000], medians[resamples*975/1000-1]
}

// ratios are the paired ones: of each round, the first over the second.
func ratios(rates, over []float64) []float64 {
	paired := make([]float64, min(len(rates), len(over)))
	for i := range paired {
		paired[i] = rates[i] / over[i]
	}
	return paired
}

// void needs so many rounds: a median of fewer does not say which of them is off.
const fewestForVoid = 5

// mostOff is how far raw may be off its own median before its round is void.
const mostOff = 0.25

// void tells which rounds to leave out: in which raw is off its own median by
// more than mostOff, since then the disk or a neighbour was at something else.
func void(raw []float64) []bool {
	middle := median(raw)
	out := make([]bool, len(raw))
	if len(raw) < fewestForVoid {
		return out
	}
	for i, rate := range raw {
		out[i] = math.Abs(rate/middle-1) > mostOff
	}
	return out
}

// kept are the values of the rounds that are not void.
func kept(values []float64, void []bool) []float64 {
	var left []float64
	for i, value := range values {
		if !void[i] {
			left = append(left, value)
		}
	}
	return left
}

// What a ratio must be for its verdict.
const (
	leastRounds = 15   // that are not void
	mostWidth   = 0.15 // of the interval
)

// Ratio is the median of paired ratios, with its 95% interval.
type Ratio struct {
	Median, Low, High float64
	Rounds            int // that counted
}

func ratioOf(paired []float64) Ratio {
	low, high := bootstrap(paired)
	return Ratio{median(paired), low, high, len(paired)}
}

// Verdict holds a ratio against a target: it is met where the interval's upper
// end reaches it, and the interval is narrow enough to say so.
func (r Ratio) Verdict(target float64) string {
	switch {
	case r.Rounds < leastRounds:
		return "too few rounds"
	case r.High-r.Low >= mostWidth:
		return "too noisy"
	case r.High >= target:
		return "met"
	default:
		return "missed"
	}
}
