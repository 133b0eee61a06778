// Package commandtest checks a program of package command by its table: that scripts
// exercise every command, flag and exit code, that wrong input is refused in one line,
// and that examples, completion and the manual page are right.
//
//	func TestScripts(t *testing.T) {
//		testscript.Run(t, testscript.Params{Dir: "testdata/script", Cmds: map[string]func(*testscript.TestScript, bool, []string){
//			"exits": commandtest.Exits, "refused": commandtest.Refused,
//		}})
//	}
//
//	func TestCoverage(t *testing.T)   { commandtest.Coverage(t, program(), os.DirFS(".")) }
//	func TestCompletion(t *testing.T) { commandtest.Completion(t, program()) }
//	func TestManual(t *testing.T)     { commandtest.Manual(t, program()) }
//
//	table ──▶ commands, flags, codes ─┐
//	                                  ├──▶ what no line exercises
//	testdata/script/*.txtar ──▶ lines ┤
//	*_test.go ──▶ arguments ──────────┘
package commandtest
