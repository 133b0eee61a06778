//go:build !unix

package scenarios

import "time"

// cpuTime is not known here.
func cpuTime() time.Duration { return 0 }
