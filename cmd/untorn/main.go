// Command untorn works on an event log in a directory: append, read, tail, dump, import,
// verify, inspect, graph, backup, restore, key, sign, prove, check. help, completion and
// man are about the command itself.
//
//	printf '%s\n' '{"stream":"order-42","type":"order.placed","data":{"total":3}}' | untorn append --dir data
//	untorn read --dir data --stream order-42
//	untorn tail --dir data -f
//	untorn verify --dir data
//	untorn inspect --dir data
//	untorn graph --dir data 1
//	untorn dump --dir data | untorn import --dir copy
//
//	untorn backup --dir data --to /backups/data
//	untorn restore --from /backups/data --dir restored
//
//	untorn key --out ops.pem --id ops >>keys
//	untorn sign --dir data --key ops.pem
//	untorn verify --dir data --keys keys
//	untorn prove --dir data 1 >proof.json
//	untorn check --proof proof.json --keys keys
//
// The way of the data:
//
//	stdin ──lines──▶ append, import ──batches──▶ log ──▶ read, tail, dump, verify, inspect, graph, prove ──▶ stdout
//	                                              │ └──▶ backup, restore ──▶ another directory
//	                                              └── what went wrong, and what to do about it ──▶ stderr
//
// Only append, import and sign take the log's lock; the others open it read-only and write
// nothing to it, also while somebody appends.
//
// Exit codes: 0 fine; 1 the log is damaged, did not match, or could not do what
// was asked; 2 the command line or the input cannot be understood.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/engine"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run does what main is there for, and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := program()
	return p.Run(context.Background(), args, stdin, stdout, stderr)
}

func program() command.Program {
	return command.Program{
		Name:  "untorn",
		Short: "untorn works on an event log in a directory.",
		What:  "work on an event log in a directory",
		Long: `An event log is a directory of files that grows at its end: events, each in a stream, in batches that are there
whole or not at all, under one hash. untorn appends to it, reads it, follows it, and proves what is in it.

Only untorn append, import and sign take the log's lock; the others open it read-only and write nothing to it, also
while somebody appends. Notes and errors go to stderr, one line each; an error says what to do about it. With --json,
what is printed is for programs.`,
		Groups: []command.Group{
			{Title: "Write and read", Commands: []command.Command{appendCommand(), readCommand(), tailCommand()}},
			{Title: "Take a log elsewhere", Commands: []command.Command{dumpCommand(), importCommand()}},
			{Title: "Look into a log", Commands: []command.Command{verifyCommand(), inspectCommand(), graphCommand()}},
			{Title: "Keep a copy", Commands: []command.Command{backupCommand(), restoreCommand()}},
			{Title: "Prove what was there", Commands: []command.Command{keyCommand(), signCommand(), proveCommand(), checkCommand()}},
		},
		Exits: []command.Exit{
			{Code: command.ExitFine, Says: "fine"},
			{Code: command.ExitWrong, Says: "damage, a mismatch or a refusal"},
			{Code: command.ExitUsage, Says: "a command line or an input that cannot be understood"},
		},
		Environment: []command.Term{
			{Name: "NO_COLOR", Says: "if it is not empty, nothing is coloured unless --color always asks for it"},
			{Name: "TERM", Says: "dumb stands for a terminal without colours"},
		},
		Files: []command.Term{
			{Name: "DIR/LOCK", Says: "held by the process that has the log open for writing, whose number is in it"},
			{Name: "DIR/*.seg", Says: "the segments, with all there is"},
			{Name: "DIR/UNFINISHED-BACKUP", Says: "what is in DIR is no log: a backup or restore was cut off there"},
		},
		SeeAlso: []string{"untorn-sim(1)", "https://github.com/untorn-db/untorn"},
		Meant:   command.Meant{Flag: "dir", What: "the log's directory"},
	}
}

// dirFlag declares --dir, which every command needs.
func dirFlag(flags *flag.FlagSet) (check func() (string, error)) {
	dir := flags.String("dir", "", "the log's `directory`; required")
	return func() (string, error) {
		if *dir == "" {
			return "", command.Incomplete("no --dir: name the log's directory")
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
func openToRead(e *command.Env, dir string, salvage bool) (*engine.Log, error) {
	log, err := openQuietly(dir, salvage)
	if err == nil {
		noteEmpty(e, dir, log)
	}
	return log, err
}

func noteEmpty(e *command.Env, dir string, log *engine.Log) {
	if log.Stats().Batches == 0 && len(log.Recovery().Damage) == 0 {
		e.Note("nothing was ever appended in %s: is it the right directory?", dir)
	}
}

// openQuietly is openToRead for a log that may be empty.
func openQuietly(dir string, salvage bool) (*engine.Log, error) {
	log, err := engine.Open(engine.Options{Dir: dir, ReadOnly: true, Salvage: salvage})
	err = said(err)
	switch {
	case errors.Is(err, engine.ErrCorrupt):
		return nil, fmt.Errorf("%w: nothing was changed; untorn read --salvage reads what is whole", err)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no log in %s: name its directory, or make one with untorn append", dir)
	}
	return log, err
}

// said is an error of the engine's without the names of package and call: that of the
// command stands before it.
func said(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, prefix := range []string{"engine: ", "back up: ", "restore: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return &saidError{err, text}
}

type saidError struct {
	err  error
	text string
}

func (e *saidError) Error() string { return e.text }
func (e *saidError) Unwrap() error { return e.err }

// openToWrite opens a log, or makes one, and takes its lock.
func openToWrite(options engine.Options) (*engine.Log, error) {
	log, err := engine.Open(options)
	err = said(err)
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
	if number := lockedBy(dir); number > 0 {
		return fmt.Sprintf("process %d", number)
	}
	return "another process"
}

// lockedBy is the number of the process that has taken the lock of a log last, or 0.
func lockedBy(dir string) int {
	text, err := readFile(filepath.Join(dir, "LOCK"), 32)
	number, wrong := strconv.ParseUint(string(text), 10, 31)
	if err != nil || wrong != nil {
		return 0
	}
	return int(number)
}

// damage returns the damage that a salvaging open went around as one error.
func damage(log *engine.Log) error {
	found := log.Recovery().Damage
	if len(found) == 0 {
		return nil
	}
	return fmt.Errorf("%w in %s: %w", engine.ErrCorrupt, command.Count(uint64(len(found)), "place", "places"), found[0])
}
