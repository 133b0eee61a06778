package command

import (
	"errors"
	"flag"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// parse parses the flags, and returns the operands between and behind them. Package
// flag stops at the first of those.
func parse(flags *flag.FlagSet, args []string) (operands []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, explain(flags, err)
		}
		if args = flags.Args(); len(args) == 0 {
			return operands, nil
		}
		operands, args = append(operands, args[0]), args[1:]
	}
}

// explain says what to write where package flag only says what is wrong.
func explain(flags *flag.FlagSet, err error) error {
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		var known []string
		flags.VisitAll(func(f *flag.Flag) { known = append(known, f.Name) })
		if near := nearest(name, known); near != "" {
			return fmt.Errorf("%w: did you mean %s?", err, dashed(near))
		}
	}
	wrong := regexp.MustCompile(`(?s)^(invalid (?:boolean )?value .* for (?:flag )?-(.*)): (?:parse error|value out of range)$`).FindStringSubmatch(err.Error())
	if wrong == nil {
		return err
	}
	hint := "write a number, such as 7"
	if getter, ok := flags.Lookup(wrong[2]).Value.(flag.Getter); ok {
		switch getter.Get().(type) {
		case time.Duration:
			hint = "write a duration, such as 90s or 10m"
		case bool:
			hint = "leave the value out"
		}
	}
	return errors.New(wrong[1] + ": " + hint)
}

// dashed is a flag as it is written.
func dashed(name string) string {
	if len([]rune(name)) == 1 {
		return "-" + name
	}
	return "--" + name
}

// nearest is the word for which another may be a slip of the pen, or "".
func nearest(slip string, words []string) (near string) {
	least := max(1, len(slip)/3)
	for _, word := range words {
		if d := distance(slip, word); d <= least && d < len(word) {
			near, least = word, d-1
		}
	}
	return near
}

// distance is how many bytes of a word are missing, too many, others or swapped with
// their neighbour: the optimal string alignment distance.
func distance(a, b string) int {
	var before, row []int
	next := make([]int, len(b)+1)
	for j := range next {
		next[j] = j
	}
	for i := range len(a) {
		before, row, next = row, next, make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
	}
	return next[len(b)]
}

// Given is the flags that stand on the command line, whatever their values.
func Given(flags *flag.FlagSet) map[string]bool {
	names := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { names[f.Name] = true })
	return names
}
