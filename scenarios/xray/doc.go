// Package xray says of each place where a program syncs whether anything needs
// it.
//
//	cases ──run once──▶ which sites each reaches
//	  │
//	  └──run again, with the syncs of one site dropped, delayed or weakened──▶
//	        a promise is broken: needed     no case finds out: redundant
//
//	cases, err := xray.Scenarios(xray.Selection{Disks: []string{"posix", "ext4"}, Seeds: 3})
//	report, err := xray.Scan(ctx, xray.Config{Cases: cases})
//	for _, s := range report.Sites {
//		fmt.Println(s.Verdict, s.Site)
//	}
//
// A site is the innermost two frames above the file system; package weaken says
// how it is written and what is done to it. A program's sources tell of the sites
// that no case reaches: every call of Sync, SyncData and SyncDir in the folders of
// those that were reached, and every call of the functions that make them.
//
// # What a verdict means
//
// Needed comes with a case that shows it and, where the case has a plan, a plan
// that replays it by itself. Redundant means that no case of those given did,
// which is as much as they search: crash images are sampled where there are many.
// A site that one way of weakening has shown to be needed gets fewer tries for
// the others (Config.More).
//
// # Contract
//
// The report is the same in every process and for any number of workers, but for
// the times. A case that goes wrong with every sync in place ends the scan.
package xray
