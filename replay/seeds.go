package replay

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxSeeds is how many seeds one sweep takes at most.
const MaxSeeds = 1_000_000_000

// Seeds is a range of seeds, both ends included. Seeds begin at 1: a plan with
// seed 0 came from none.
type Seeds struct {
	First, Last uint64
}

// ParseSeeds reads "42" or "1-1000".
func ParseSeeds(text string) (Seeds, error) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	var s Seeds
	var err error
	if s.First, err = strconv.ParseUint(first, 10, 64); err == nil {
		s.Last, err = strconv.ParseUint(last, 10, 64)
	}
	if err != nil {
		return Seeds{}, fmt.Errorf("seeds %q: write one seed such as 42, or a range such as 1-1000", text)
	}
	return s, s.check()
}

func (s Seeds) check() error {
	switch {
	case s.First == 0:
		return fmt.Errorf("seeds %s: seeds begin at 1", s)
	case s.First > s.Last:
		return fmt.Errorf("seeds %s: the first is behind the last: swap them", s)
	case s.Last-s.First >= MaxSeeds:
		return fmt.Errorf("seeds %s: at most %d at once", s, MaxSeeds)
	}
	return nil
}

// Len is how many seeds there are.
func (s Seeds) Len() int64 { return int64(s.Last - s.First + 1) }

func (s Seeds) String() string {
	if s.First == s.Last {
		return strconv.FormatUint(s.First, 10)
	}
	return fmt.Sprintf("%d-%d", s.First, s.Last)
}
