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
// Exit codes: 0 fine; 1 a promise was broken; 2 the command line or a plan
// cannot be understood; 3 something is not deterministic, or a certificate does
// not hold; 4 interrupted, or the time was over before all was done.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
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
	exitFine   = 0
	exitWrong  = 1
	exitUsage  = 2
	exitDiffer = 3
	exitBudget = 4
)

// env is what a command works with.
type env struct {
	ctx    context.Context
	stdout *bufio.Writer
	stderr io.Writer
}

// command is one of untorn-sim's.
type command struct {
	name  string
	args  string
	short string
	long  string
	// prepare declares the flags and returns what runs once they are parsed,
	// with what is no flag.
	prepare func(flags *flag.FlagSet) func(e *env, args []string) error
}

func commands() []command {
	return []command{listCommand(), runCommand(), replayCommand(), shrinkCommand(), exploreCommand(), litmusCommand(), errorsCommand(), syncfailCommand(), tamperCommand(), xrayCommand(), profileCommand()}
}

// names lists the commands.
func names() string {
	var list []string
	for _, c := range commands() {
		list = append(list, c.name)
	}
	return strings.Join(list[:len(list)-1], ", ") + " or " + list[len(list)-1]
}

// exitError is an error with an exit code.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

func usage(format string, args ...any) error { return fail(exitUsage, format, args...) }

func fail(code int, format string, args ...any) error {
	return exitError{fmt.Errorf(format, args...), code}
}

// run does what main is there for, and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal ends the process
	e := &env{ctx: ctx, stdout: bufio.NewWriterSize(stdout, 64<<10), stderr: stderr}
	err := dispatch(e, args)
	if flushed := e.stdout.Flush(); err == nil && flushed != nil {
		err = fmt.Errorf("write the output: %w", flushed)
	}
	if err == nil {
		return exitFine
	}
	fmt.Fprintf(stderr, "untorn-sim: %s\n", oneLine(err.Error()))
	var coded exitError
	if errors.As(err, &coded) {
		return coded.code
	}
	return exitWrong
}

// oneLine keeps an error on one line, whatever it wraps.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

func dispatch(e *env, args []string) error {
	if len(args) == 0 {
		return usage("no command: use %s; untorn-sim help says more", names())
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		if len(args) > 1 || len(args) == 1 && name != "help" {
			return usage("unexpected %q: untorn-sim help takes one command", args[len(args)-1])
		}
		if len(args) > 0 {
			return dispatch(e, []string{args[0], "--help"})
		}
		help(e)
		return nil
	}
	for _, c := range commands() {
		if c.name != name {
			continue
		}
		flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
		flags.SetOutput(io.Discard)
		do := c.prepare(flags)
		rest, err := parse(flags, args)
		switch {
		case errors.Is(err, flag.ErrHelp):
			commandHelp(e, c, flags)
			return nil
		case err != nil:
			return usage("%s: %w: see untorn-sim %s --help", c.name, err, c.name)
		}
		if err := do(e, rest); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		return nil
	}
	return usage("unknown command %q: use %s", name, names())
}

// parse parses flags wherever they stand, and returns what is no flag.
func parse(flags *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return rest, nil
		}
		rest, args = append(rest, flags.Arg(0)), flags.Args()[1:]
	}
}

// given is the flags that stand on the command line, whatever their values.
func given(flags *flag.FlagSet) map[string]bool {
	names := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { names[f.Name] = true })
	return names
}

func help(e *env) {
	fmt.Fprint(e.stdout, "untorn-sim cuts the power of an event log at every step of seeded workloads, and checks what is left.\n\n")
	for _, c := range commands() {
		fmt.Fprintf(e.stdout, "  untorn-sim %-20s %s\n", strings.TrimSpace(c.name+" "+c.args), c.short)
	}
	fmt.Fprint(e.stdout, "\nuntorn-sim COMMAND --help lists the flags of a command.\n"+
		"Exit codes: 0 fine; 1 a promise was broken; 2 a command line or a plan that cannot be understood;\n"+
		"3 not deterministic, or a certificate that does not hold; 4 interrupted, or the time was over before all was done.\n")
}

func commandHelp(e *env, c command, flags *flag.FlagSet) {
	fmt.Fprintf(e.stdout, "untorn-sim %s: %s\n\n%s\n\n", strings.TrimSpace(c.name+" "+c.args), c.short, c.long)
	flags.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		fmt.Fprintf(e.stdout, "  %-19s %s\n", strings.TrimSpace("--"+f.Name+" "+value), text)
	})
}

// object prints a JSON object on a line of its own.
func (e *env) object(v any) error {
	encoder := json.NewEncoder(e.stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// words splits a list such as "posix,ext4".
func words(list string) []string { return strings.Split(list, ",") }
