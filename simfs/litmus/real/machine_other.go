//go:build !linux

package real

import (
	"errors"
	"math/rand/v2"

	"github.com/untorn-db/untorn/simfs/litmus"
)

// machine cannot be had here.
type machine struct{}

func newMachine(o Options) (*machine, error) {
	return nil, missing("%s: loop devices are mounted on Linux only", o.System)
}

func (m *machine) round(litmus.Program, *rand.Rand) ([]image, error) {
	return nil, errors.ErrUnsupported
}

func (m *machine) close() error { return nil }
