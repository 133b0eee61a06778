// Command untorn works on an event log in a directory: append, read, tail,
// verify, inspect, graph, key, sign, prove, check.
//
//	printf '%s\n' '{"stream":"order-42","type":"order.placed","data":{"total":3}}' | untorn append --dir data
//	untorn read --dir data --stream order-42
//	untorn tail --dir data -f
//	untorn verify --dir data
//	untorn inspect --dir data
//	untorn graph --dir data 1
//
//	untorn key --out ops.pem --id ops >>keys
//	untorn sign --dir data --key ops.pem
//	untorn verify --dir data --keys keys
//	untorn prove --dir data 1 >proof.json
//	untorn check --proof proof.json --keys keys
//
// The way of the data:
//
//	stdin ──lines──▶ append ──batches──▶ log ──▶ read, tail, verify, inspect, graph, prove ──▶ stdout
//	                                      └── what went wrong, and what to do about it ──▶ stderr
//
// Only append and sign take the log's lock; the others open it read-only and write
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
	"path/filepath"
	"strconv"
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
	form  string // what stands after the name: what has to, and [flags] for the rest
	// operand is the name, in form, of the one argument that is no flag; it stands before,
	// between or after the flags; "": there is none.
	operand string
	// prepare declares the flags and returns what runs once they are parsed.
	prepare func(flags *flag.FlagSet) func(e *env) error
}

func commands() []command {
	return []command{appendCommand(), readCommand(), tailCommand(), verifyCommand(), inspectCommand(), graphCommand(),
		keyCommand(), signCommand(), proveCommand(), checkCommand()}
}

// names lists the commands for a message.
func names() string {
	var all []string
	for _, c := range commands() {
		all = append(all, c.name)
	}
	return either(all)
}

// either is a list from which one is taken.
func either(all []string) string {
	last := len(all) - 1
	return strings.Join(all[:last], ", ") + " or " + all[last]
}

// usage is how the command is written.
func (c *command) usage() string { return "untorn " + c.name + " " + c.form }

// usageError is a command line or an input that cannot be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// misplaced is a command line on which an argument is missing or too many: runCommand says
// how the command is written.
type misplaced struct{ error }

func incomplete(format string, args ...any) error {
	return usageError{misplaced{fmt.Errorf(format, args...)}}
}

// run does what main is there for, and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &env{stdin: stdin, stdout: bufio.NewWriterSize(stdout, 64<<10), stderr: stderr}
	err := dispatch(e, args)
	if flushed := e.stdout.Flush(); err == nil && flushed != nil {
		err = fmt.Errorf("write the output: %w", flushed)
	}
	if err == nil {
		return exitFine
	}
	fmt.Fprintf(stderr, "untorn: %s\n", oneLine(err.Error()))
	var misused usageError
	if errors.As(err, &misused) {
		return exitUsage
	}
	return exitWrong
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
		return usage("no command: use %s; untorn help says more", names())
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
		if c.name == name {
			return runCommand(e, &c, args)
		}
	}
	return usage("unknown command %q: use %s", name, names())
}

func runCommand(e *env, c *command, args []string) error {
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	do := c.prepare(flags)
	operands, err := parse(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		commandHelp(e, c, flags)
		return nil
	}
	if err != nil {
		return usage("%s: %w: see untorn %s --help", c.name, err, c.name)
	}
	err = tooMany(c, flags, operands)
	if err == nil {
		if len(operands) == 1 {
			e.operand = operands[0]
		}
		err = do(e)
	}
	var wrong misplaced
	switch {
	case errors.As(err, &wrong):
		return fmt.Errorf("%s: %w; usage: %s", c.name, err, c.usage())
	case err != nil:
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}

// tooMany refuses arguments that are no flags, but for the one that the command takes.
func tooMany(c *command, flags *flag.FlagSet, operands []string) error {
	spare := operands
	if c.operand != "" && len(spare) > 0 {
		spare = spare[1:]
	}
	dir := flags.Lookup("dir")
	switch {
	case len(spare) == 0:
		return nil
	case c.operand == "" && dir != nil && dir.Value.String() == "":
		return incomplete("unexpected %q: write --dir %s if that is the log's directory", spare[0], spare[0])
	case c.operand != "":
		return incomplete("unexpected %q after %q: one %s at a time", spare[0], operands[0], c.operand)
	}
	return incomplete("unexpected %q: it belongs to no flag", spare[0])
}

// parse parses the flags, and returns the arguments between and after them. Package
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

func commandHelp(e *env, c *command, flags *flag.FlagSet) {
	fmt.Fprintf(e.stdout, "untorn %s: %s\n\nusage: %s\n\n%s\n\n", strings.TrimSpace(c.name+" "+c.operand), c.short, c.usage(), c.long)
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
			return "", incomplete("no --dir: name the log's directory")
		}
		return *dir, nil
	}
}

// sequenceFlag declares a flag that is a place in the log, or in a stream.
func sequenceFlag(flags *flag.FlagSet, to *uint64, name, what string) {
	flags.Func(name, what, func(text string) (err error) {
		if *to, err = strconv.ParseUint(text, 10, 64); err == nil {
			return nil
		}
		if name == "from" && flags.Lookup("to") != nil {
			return errors.New("write a number, as in --from 1 --to 3")
		}
		return errors.New("write a number, such as 7")
	})
}

// countFlag declares a flag that counts something.
func countFlag(flags *flag.FlagSet, to *int, name string, value int, what string) {
	*to = value
	flags.Func(name, what, func(text string) (err error) {
		if *to, err = strconv.Atoi(text); err != nil {
			return errors.New("write a number, such as 7")
		}
		return nil
	})
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

// openToWrite opens a log, or makes one, and takes its lock.
func openToWrite(options engine.Options) (*engine.Log, error) {
	log, err := engine.Open(options)
	switch {
	case errors.Is(err, engine.ErrCorrupt):
		return nil, fmt.Errorf("%w: untorn read --salvage reads what is whole", err)
	case errors.Is(err, engine.ErrLocked):
		return nil, fmt.Errorf("%s has the log in %s open for writing: wait until it has ended, or end it; untorn read and untorn tail -f read beside it", holder(options.Dir), options.Dir)
	}
	return log, err
}

// holder names who has the lock of a log, as its file says: it is for persons.
func holder(dir string) string {
	text, err := readFile(filepath.Join(dir, "LOCK"), 32)
	if number, wrong := strconv.ParseUint(string(text), 10, 31); err == nil && wrong == nil && number > 0 {
		return fmt.Sprintf("process %d", number)
	}
	return "another process"
}

// damage returns the damage that a salvaging open went around as one error.
func damage(log *engine.Log) error {
	found := log.Recovery().Damage
	if len(found) == 0 {
		return nil
	}
	return fmt.Errorf("%w in %s: %w", engine.ErrCorrupt, count(uint64(len(found)), "place", "places"), found[0])
}
