package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{3, 1}, 2},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		given := slices.Clone(c.values)
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.values, got, c.want)
		}
		if !slices.Equal(given, c.values) {
			t.Errorf("median changed %v to %v", given, c.values)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing is %v", got)
	}
}

func TestBootstrap(t *testing.T) {
	if low, high := bootstrap([]float64{2, 2, 2, 2}); low != 2 || high != 2 {
		t.Errorf("equal values: [%v, %v]", low, high)
	}
	values := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	low, high := bootstrap(values)
	// By the binomial distribution the 4th and the 12th of 15 bound the median with
	// 96.5%.
	if low < 3 || low > 5 || high < 11 || high > 13 {
		t.Errorf("the interval of the median of 1 … 15 is [%v, %v], want about [4, 12]", low, high)
	}
	slices.Reverse(values)
	lowAgain, highAgain := bootstrap(values)
	if lowAgain < 3 || highAgain > 13 {
		t.Errorf("in another order: [%v, %v]", lowAgain, highAgain)
	}
	if l, h := bootstrap(values); l != lowAgain || h != highAgain {
		t.Error("the same values gave two intervals")
	}
}

// TestBootstrapCovers draws samples whose median is known, and counts how often
// it is in the interval.
func TestBootstrapCovers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	inside := 0
	const samples = 200
	for range samples {
		values := make([]float64, 15)
		for i := range values {
			values[i] = 1 + 0.1*random.NormFloat64()
		}
		if low, high := bootstrap(values); low <= 1 && 1 <= high {
			inside++
		}
	}
	if inside < samples*88/100 {
		t.Errorf("the median was inside %d of %d intervals", inside, samples)
	}
}

func TestVoid(t *testing.T) {
	raw := []float64{100, 101, 99, 74, 126, 124, 100}
	want := []bool{false, false, false, true, true, false, false}
	if got := void(raw); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := void(raw[2:5]); slices.Contains(got, true) {
		t.Errorf("of three rounds, void are %v", got)
	}
	if got := kept([]float64{1, 2, 3, 4, 5, 6, 7}, want); !slices.Equal(got, []float64{1, 2, 3, 6, 7}) {
		t.Errorf("kept %v", got)
	}
}

func TestRatiosArePaired(t *testing.T) {
	if got := ratios([]float64{50, 10}, []float64{100, 40}); !slices.Equal(got, []float64{0.5, 0.25}) {
		t.Errorf("got %v", got)
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		ratio  Ratio
		target float64
		want   string
	}{
		{Ratio{0.6, 0.58, 0.62, 15}, 0.58, "met"},
		{Ratio{0.56, 0.54, 0.58, 15}, 0.58, "met"}, // the upper end reaches it
		{Ratio{0.56, 0.54, 0.57, 15}, 0.58, "missed"},
		{Ratio{0.9, 0.8, 0.96, 15}, 0.58, "too noisy"},
		{Ratio{0.9, 0.89, 0.91, 14}, 0.58, "too few rounds"},
	} {
		if got := c.ratio.Verdict(c.target); got != c.want {
			t.Errorf("%+v against %v: %s, want %s", c.ratio, c.target, got, c.want)
		}
	}
}
