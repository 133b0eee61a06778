// Package planted is bugs between a log and its disk, for tests to find. Only
// tests import it.
//
//	log ──▶ planted bug ──▶ simfs
//	        hides an error of the disk
//
// Each is a scenarios.Config.Wrap:
//
//	report, err := scenarios.Errors(ctx, p, scenarios.Config{Wrap: planted.DeafToNames})
//	fmt.Println(report.Violated > 0) // true
//
// # Contract
//
// A bug shows neither where only an error happens, since what is served comes from
// memory or the page cache, nor where only the power goes: it takes both. Where
// nothing fails, the disk is what it is without the bug.
package planted
