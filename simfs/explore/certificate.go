package explore

import (
	"encoding/hex"
	"fmt"
	"math/big"

	"github.com/untorn-db/untorn/simfs"
)

// standing sums up how many images the searched crash points have.
type standing struct {
	sum    big.Int
	atMost bool
}

func (s *standing) add(image *simfs.Image) {
	n, exact := image.Count()
	s.sum.Add(&s.sum, n)
	s.atMost = s.atMost || !exact
}

// certify fills in what the report says of the lazy search.
func (x *explorer) certify() {
	if !x.config.Lazy {
		return
	}
	r, c := &x.report, &x.config
	r.Stand, r.StandAtMost = &x.stand.sum, x.stand.atMost
	r.Greedy = x.greedy.list()
	d := x.sum.text(c.model()).text(r.Stand.String()).text(r.Why) // the sum has every leaf, and what came of it
	key := d.then(uint64(r.CrashPoints), uint64(r.Leaves), uint64(r.Recoveries), uint64(r.Subsumed), uint64(r.Violated)).key()
	r.Certificate = hex.EncodeToString(key[:])
}

// model says what was searched, in a text for the certificate.
func (c *Config) model() string {
	return fmt.Sprintf("%s cell=%d garbage=%v points=%d kinds=%d depth=%d leaves=%d", c.Guarantees.Fields(), c.CellSize, c.Garbage, c.Points, c.Kinds, c.Depth, c.MaxLeaves)
}

// log2Text is the binary logarithm of n with one digit behind the point, rounded
// down, without a float that could differ between machines.
func log2Text(n *big.Int) string {
	if n == nil || n.Sign() <= 0 {
		return "-"
	}
	whole := n.BitLen() - 1
	// n^10 is 2 to the power of ten times the logarithm.
	tenth := new(big.Int).Exp(n, big.NewInt(10), nil).BitLen() - 1
	return fmt.Sprintf("%d.%d", whole, tenth-10*whole)
}
