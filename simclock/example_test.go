package simclock_test

import (
	"context"
	"fmt"

	"github.com/untorn-db/untorn/simclock"
)

// Tasks that would run at the same time take turns, in an order that the seed draws:
// the same each time, and every order comes with some seed.
func ExampleScheduler() {
	order := func(seed uint64) string {
		said := ""
		s := simclock.NewScheduler(simclock.New(simclock.Epoch()), simclock.Order{Seed: seed})
		s.Run("main", func() {
			all, left := s.Signal("all have spoken"), 3
			for _, name := range []string{"a", "b", "c"} {
				s.Go(name, func() {
					said += name
					s.Switch("between two words")
					said += name
					if left--; left == 0 {
						all.Set()
					}
				})
			}
			if err := all.Wait(context.Background()); err != nil {
				fmt.Println(err)
			}
		})
		return said
	}
	different := map[string]bool{}
	for seed := range uint64(2000) {
		different[order(seed)] = true
	}
	first, again := order(1), order(1)
	fmt.Println(first == again, len(different)) // 6!/(2!·2!·2!)
	// Output: true 90
}
