// Package ddmin leaves out of a list what is not needed.
//
//	steps = ddmin.Fewest(steps, func(fewer []Step) bool { return stillFails(fewer) })
package ddmin

import "slices"

// Fewest returns a part of all, in its order, for which fails reports true and
// of which no single item can be left out. fails(all) is taken to be true; fails
// is not given all itself. Large pieces are tried first. A fails
// that reports false from some moment on ends it soon.
func Fewest[T any](all []T, fails func([]T) bool) []T {
	list := slices.Clone(all)
	for size := len(list); size > 0; {
		dropped := false
		for at := 0; at < len(list); {
			if fewer := slices.Delete(slices.Clone(list), at, min(at+size, len(list))); fails(fewer) {
				list, dropped = fewer, true
			} else {
				at += size
			}
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
