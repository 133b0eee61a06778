package simfs_test

import (
	"fmt"

	"github.com/untorn-db/untorn/simfs"
)

func Example() {
	disk := simfs.New(simfs.Options{Guarantees: simfs.XFS()})
	f, _ := disk.Create("tmp")
	f.WriteString("hello")
	disk.Rename("tmp", "final") // nobody synced
	image := disk.Crash(simfs.PowerLoss)
	for _, v := range image.Vars() {
		fmt.Println(v)
	}
	names := simfs.ChooserFunc(func(v simfs.Var) int {
		if v.Kind == simfs.VarSize {
			return 0
		}
		return len(v.Options) - 1
	})
	info, _ := image.Mount(names).Stat("final")
	fmt.Println("final has", info.Size(), "bytes")
	// Output:
	// journal of "": durable, journal@0, journal@2
	// name of "final": durable, link@2
	// name of "tmp": durable, link@0, unlink@2
	// size of "final": durable, write@1
	// cell of "final" 0: durable, write@1
	// final has 0 bytes
}
