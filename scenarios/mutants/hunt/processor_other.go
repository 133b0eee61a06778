//go:build !unix

package main

import "time"

// processor is how long this process runs: on one processor, about how long it
// has had it.
func processor() time.Duration { return time.Since(start) }

var start = time.Now()
