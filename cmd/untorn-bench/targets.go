package main

// Target is a ratio that untorn is to reach.
type Target struct {
	Over  string // raw or floor
	Least float64
}

// Targets are those of a workload.
func (w Workload) Targets() []Target {
	pick := func(small, large float64) float64 {
		if w.Size > 100 {
			return large
		}
		return small
	}
	switch w.Name {
	case "single":
		return []Target{{"raw", 0.95}}
	case "writers-16":
		return []Target{{"raw", pick(0.82, 0.70)}}
	case "writers-64":
		return []Target{{"raw", pick(0.58, 0.52)}}
	case "batch-100":
		return []Target{{"raw", pick(0.53, 0.45)}, {"floor", 0.8}}
	case "buffered-100":
		return []Target{{"floor", pick(0.65, 0.8)}}
	default:
		return nil
	}
}
