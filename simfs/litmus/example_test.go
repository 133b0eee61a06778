package litmus_test

import (
	"fmt"

	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/litmus"
)

func ExampleCheck() {
	p, err := litmus.Parse("order", `# Two new files: the second alone
# Without a journal the second may be there and the first not.
create f
create g
----
allow posix: g=
forbid ext4 ext4-writeback xfs btrfs sequential: g=
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, g := range []simfs.Guarantees{simfs.Posix(), simfs.Ext4()} {
		r, err := litmus.Check(p, g)
		fmt.Println(g.Name, r.Eager.Leaves, r.Lazy.Leaves, len(r.Naive.Outcomes), r.OK(), err)
	}
	// Output:
	// posix 4 4 4 true <nil>
	// ext4 3 3 3 true <nil>
}
