// Package ddmin leaves out of a list what is not needed.
//
//	steps = ddmin.Fewest(steps, func(fewer []Step) bool { return stillFails(fewer) })
package ddmin

import "slices"

// Fewest returns a part of all, in its order, for which fails reports true and
// of which no single item can be left out. fails(all) is taken to be true; fails
// is not given all itself. Large pieces are tried first, from the end. A fails
// that reports false from some moment on ends it soon.
func Fewest[T any](all []T, fails func([]T) bool) []T {
	list := slices.Clone(all)
	for size := len(list); size > 0; {
		dropped := false
		for at := len(list); at > 0; {
			from := max(at-size, 0)
			if fewer := slices.Delete(slices.Clone(list), from, at); fails(fewer) {
				list, dropped = fewer, true
			}
			at = from
		}
		switch {
		case size > 1:
			size = max(1, min(size, len(list))/2)
		case !dropped || len(list) == 0:
			return list
		}
	}
	return list
}
