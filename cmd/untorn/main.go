// Command untorn works on an event log in a directory: append, read, tail,
// verify, inspect, graph, key, prove, check.
//
//	printf '%s\n' '{"stream":"order-42","type":"order.placed","data":{"total":3}}' | untorn append --dir data
//	untorn read --dir data --stream order-42
//	untorn tail --dir data -f
//	untorn verify --dir data
//	untorn inspect --dir data
//	untorn graph --dir data 1
//
//	untorn key --out ops.pem --id ops >keys
//	untorn append --dir data --sign ops.pem
//	untorn verify --dir data --keys keys
//	untorn prove --dir data 1 >proof.json
//	untorn check --proof proof.json --keys keys
//
// The way of the data:
//
//	stdin ──lines──▶ append ──batches──▶ log ──▶ read, tail, verify, inspect, graph, prove ──▶ stdout
//	                                      └── what went wrong, and what to do about it ──▶ stderr
//
// Only append takes the log's lock; the others open it read-only and write
// nothing, also while somebody appends.
//
// Exit codes: 0 fine; 1 the log is damaged, did not match, or could not do what
// was asked; 2 the command line or the input cannot be understood.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode"

	"github.com/untorn-db/untorn/engine"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// The exit codes.
const (
	exitFine  = 0
	exitWrong = 1
	exitUsage = 2
)

// env is what a command works with.
type env struct {
	stdin  io.Reader
	stdout *bufio.Writer
	stderr io.Writer

	operand string // what stands on the command line besides flags, if the command takes it
}

// note tells something that is no failure.
func (e *env) note(format string, args ...any) {
	fmt.Fprintf(e.stderr, "untorn: note: %s\n", oneLine(fmt.Sprintf(format, args...)))
}

// command is one of untorn's.
type command struct {
	name  string
	short string
	long  string
	// operand is the name, in the help, of the one argument that is no flag, and that
	// must be there, before, between or behind the flags; "": it takes none.
	operand string
	// prepare declares the flags and returns what runs once they are parsed.
	prepare func(flags *flag.FlagSet) func(e *env) error
}

func commands() []command {
	return []command{appendCommand(), readCommand(), tailCommand(), verifyCommand(), inspectCommand(), graphCommand(),
		keyCommand(), proveCommand(), checkCommand()}
}

// usageError is a command line or an input that cannot be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run does what main is there for, and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &env{stdin: stdin, stdout: bufio.NewWriterSize(stdout, 64<<10), stderr: stderr}
	err := dispatch(e, args)
	if flushed := e.stdout.Flush(); err == nil && flushed != nil {
		err = fmt.Errorf("write the output: %w", flushed)
	}
	var misused usageError
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, &misused):
		fmt.Fprintf(stderr, "untorn: %s\n", oneLine(err.Error()))
		return exitUsage
	default:
		fmt.Fprintf(stderr, "untorn: %s\n", oneLine(err.Error()))
		return exitWrong
	}
}

// oneLine keeps an error on one line, whatever it wraps.
func oneLine(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) { // of a file's name, say: it would reach the terminal
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

func dispatch(e *env, args []string) error {
	if len(args) == 0 {
		return usage("no command: use append, read, tail, verify, inspect, graph, key, prove or check; untorn help says more")
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		if len(args) > 0 && name == "help" {
			return dispatch(e, append(args[:1:1], "--help"))
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
		operands, err := parse(flags, args)
		switch {
		case errors.Is(err, flag.ErrHelp):
			commandHelp(e, c, flags)
			return nil
		case err != nil:
			return usage("%s: %w: see untorn %s --help", c.name, err, c.name)
		case c.operand == "" && len(operands) > 0:
			return usage("%s: unexpected %q: flags come with --, see untorn %s --help", c.name, operands[0], c.name)
		case len(operands) > 1:
			return usage("%s: unexpected %q behind %q: one %s at a time", c.name, operands[1], operands[0], c.operand)
		case len(operands) == 1:
			e.operand = operands[0]
		}
		if err := do(e); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		return nil
	}
	return usage("unknown command %q: use append, read, tail, verify, inspect, graph, key, prove or check", name)
}

// parse parses the flags, and returns the arguments between and behind them. Package
// flag stops at the first of those.
func parse(flags *flag.FlagSet, args []string) (operands []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if args = flags.Args(); len(args) == 0 {
			return operands, nil
		}
		operands, args = append(operands, args[0]), args[1:]
	}
}

func help(e *env) {
	fmt.Fprint(e.stdout, "untorn works on an event log in a directory.\n\n")
	for _, c := range commands() {
		fmt.Fprintf(e.stdout, "  untorn %-8s %s\n", c.name, c.short)
	}
	fmt.Fprint(e.stdout, "\nuntorn COMMAND --help lists the flags of a command.\n"+
		"Exit codes: 0 fine; 1 damage, a mismatch or a refusal; 2 a command line or an input that cannot be understood.\n")
}

func commandHelp(e *env, c command, flags *flag.FlagSet) {
	fmt.Fprintf(e.stdout, "untorn %s: %s\n\n%s\n\n", strings.TrimSpace(c.name+" "+c.operand), c.short, c.long)
	flags.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		dashes := "--"
		if len(f.Name) == 1 {
			dashes = "-"
		}
		fmt.Fprintf(e.stdout, "  %-23s %s\n", strings.TrimSpace(dashes+f.Name+" "+value), text)
	})
}

// dirFlag declares --dir, which every command needs.
func dirFlag(flags *flag.FlagSet) (check func() (string, error)) {
	dir := flags.String("dir", "", "the log's `directory`; required")
	return func() (string, error) {
		if *dir == "" {
			return "", usage("no --dir: name the log's directory")
		}
		return *dir, nil
	}
}

func jsonFlag(flags *flag.FlagSet, what string) *bool {
	return flags.Bool("json", false, what)
}

func salvageFlag(flags *flag.FlagSet) *bool {
	return flags.Bool("salvage", false, "open a damaged log, and go on with what is whole; exits with 1 if there is damage")
}

// openToRead opens a log without a lock and without writing to it.
func (e *env) openToRead(dir string, salvage bool) (*engine.Log, error) {
	log, err := e.openQuietly(dir, salvage)
	if err == nil && log.Stats().Batches == 0 && len(log.Recovery().Damage) == 0 {
		e.note("nothing was ever appended in %s: is it the right directory?", dir)
	}
	return log, err
}

// openQuietly is openToRead for a log that may be empty.
func (e *env) openQuietly(dir string, salvage bool) (*engine.Log, error) {
	log, err := engine.Open(engine.Options{Dir: dir, ReadOnly: true, Salvage: salvage})
	switch {
	case errors.Is(err, engine.ErrCorrupt):
		return nil, fmt.Errorf("%w: nothing was changed; untorn read --salvage reads what is whole", err)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no log in %s: name its directory, or make one with untorn append", dir)
	}
	return log, err
}

// damage returns the damage that a salvaging open went around as one error.
func damage(log *engine.Log) error {
	found := log.Recovery().Damage
	if len(found) == 0 {
		return nil
	}
	return fmt.Errorf("%w in %s: %w", engine.ErrCorrupt, count(uint64(len(found)), "place", "places"), found[0])
}
