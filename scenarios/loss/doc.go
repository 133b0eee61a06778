// Package loss says what a crash took from a disk: who had written it, and which
// sync would have kept it.
//
//	moments, err := explore.Follow(ctx, config, program, path)
//	for _, choice := range moments[n].Choices {
//		if loss.Lost(choice) {
//			op, run, ok := loss.Operation(moments, n, choice.Var.Options[0].Op) // who made a version
//			sync, ok := loss.Missing(moments, n, choice)
//			fmt.Println(sync.Of)              // a sync of the directory "db"
//		}
//	}
//
// What is said is what the operations of the disk show. A sync that never reached
// the disk is none: whether the program did not ask for it, or somebody between the
// two did not pass it on, cannot be seen from there.
package loss
