// Command untorn-sim runs the event log on simulated disks whose power fails at
// every step, and replays what that found.
//
// Seeded workloads, and what becomes of a failure:
//
//	untorn-sim list
//	untorn-sim run --scenario batch,mixed --seeds 1-1000 --disk posix,ext4
//	untorn-sim replay 42 --scenario batch --disk posix
//	untorn-sim replay failures/batch-posix-42-I1.plan -v
//	untorn-sim shrink failures/batch-posix-42-I1.plan
//	untorn-sim trace failures/batch-posix-42-I1.small.plan
//	untorn-sim diff there.jsonl here.jsonl
//	untorn-sim report failures/batch-posix-42-I1.plan -o report.html
//
//	seeds ──run──▶ failure: text on stdout, plan in a file ──replay──▶ the same text
//	                                             └──shrink──▶ a small plan, and why it fails
//
// One workload, searched to the end:
//
//	untorn-sim explore --disk all --depth 2     every crash, with a certificate
//	untorn-sim explore --check FILE             the same certificate once more
//	untorn-sim errors --disk posix              every file operation fails, and a crash behind it
//	untorn-sim syncfail                         every sync fails, in each way of real file systems
//
// What the log needs, and what the disks keep:
//
//	untorn-sim xray                             which sync is needed, and for what
//	untorn-sim profile                          the weakest disks that will do
//	untorn-sim tamper                           logs whose files are changed: named, never served
//	untorn-sim litmus                           small programs, checked by three searches
//
// The command itself:
//
//	untorn-sim help                             what there is; --help explains a command, with examples
//	untorn-sim completion bash|zsh|fish         a script with which a shell completes command lines
//	untorn-sim man                              the manual page
//
// Exit codes: 0 fine; 1 a promise was broken; 2 the command line or a plan
// cannot be understood; 3 something is not deterministic, two runs differ, or a
// certificate does not hold; 4 interrupted, or the time was over before all was done.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/scenarios"
	"github.com/untorn-db/untorn/simfs"
)

func main() {
	// The live heap is tiny: collecting seldom is worth a quarter of the speed, and
	// the limit keeps a large sweep small.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(800)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(1 << 30)
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// The exit codes.
const (
	exitFine   = command.ExitFine
	exitWrong  = command.ExitWrong
	exitUsage  = command.ExitUsage
	exitDiffer = 3
	exitBudget = 4
)

// run does what main is there for, and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends the process
	p := program()
	return p.Run(ctx, args, os.Stdin, stdout, stderr)
}

func program() command.Program {
	return command.Program{
		Name:  "untorn-sim",
		Short: "untorn-sim cuts the power of an event log at every step of seeded workloads, and checks what is left.",
		What:  "cut the power of an event log, and check what is left",
		Long: `The log runs on simulated disks, which lose at a power failure what they may lose: writes that no sync has made
durable, in any order, whole or torn. At every step of a workload the power goes, the log is opened again on
what may be left, and what had been promised is checked.

Workloads are drawn from seeds, or stand in plans, which are text files. The same seed, plan and disk do the same
every time, on every machine: a failure is replayed, made small and explained. untorn-sim list names the
scenarios, the disks, and the invariants that are checked.

An interrupt ends a command with what was found so far, a second one at once.`,
		Groups: []command.Group{
			{Title: "Seeded workloads, and what becomes of a failure", Commands: []command.Command{listCommand(), runCommand(), replayCommand(), shrinkCommand(), traceCommand(), diffCommand(), reportCommand()}},
			{Title: "One workload, searched to the end", Commands: []command.Command{exploreCommand(), errorsCommand(), syncfailCommand()}},
			{Title: "What the log needs, and what the disks keep", Commands: []command.Command{xrayCommand(), profileCommand(), tamperCommand(), litmusCommand()}},
		},
		Exits: []command.Exit{
			{Code: exitFine, Says: "fine"},
			{Code: exitWrong, Says: "a promise was broken"},
			{Code: exitUsage, Says: "a command line or a plan that cannot be understood"},
			{Code: exitDiffer, Says: "not deterministic, two runs that differ, or a certificate that does not hold"},
			{Code: exitBudget, Says: "interrupted, or the time was over before all was done"},
		},
		Environment: []command.Term{
			{Name: "GOGC, GOMEMLIMIT", Says: "how memory is collected, as every Go program reads them; without them, seldom, and up to 1 GiB"},
			{Name: "NO_COLOR", Says: "if it is not empty, nothing is coloured"},
		},
		Files: []command.Term{
			{Name: "failures/*.plan", Says: "where plans of what failed are saved, unless --plans names another directory"},
		},
		SeeAlso: []string{"untorn(1)", "https://github.com/untorn-db/untorn"},
	}
}

// scenarioNames is what --scenario may be where it takes several, and diskNames --disk.
func scenarioNames() command.Values {
	return command.Values{Words: append(scenarios.Names(), "all"), List: true}
}

func diskNames() command.Values {
	return command.Values{Words: append(simfs.PresetNames(), "all"), List: true}
}

// words splits a list such as "posix,ext4".
func words(list string) []string { return strings.Split(list, ",") }
