// Package profile finds the weakest disks that a program can live with.
//
//	           strongest
//	  holds   ┌────┴────┐
//	 ─────────●─────────●───────  minimal sets: take anything away, and it breaks
//	  breaks  └────┬────┘
//	            weakest
//
//	report, err := profile.Search(ctx, profile.Config{Holds: profile.Programs(
//		profile.Case{Name: "save", Config: explore.Config{MaxDeviation: 1}, Program: p})})
//	fmt.Println(report.Line("my program"))
//
// A set of guarantees that promises more leaves fewer crash images, so who holds
// on one holds on every stronger one: the sets are searched by their order
// (simfs.Guarantees.Weaker), each verdict decides all sets above or below it, and
// what comes out is all minimal sets, and what goes wrong right below each.
//
// # What a verdict means
//
// That a program breaks is certain, and comes with a way to break it again. That
// it holds means that the cases given did not break it; Report.Exact says whether
// every image was tried. Where not, all sets right above a minimal one are tried,
// too, and what lies below one that breaks is dropped again.
//
// # Contract
//
// The report is the same in every process and for any number of workers.
package profile
