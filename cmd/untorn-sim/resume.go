package main

import (
	"flag"
	"slices"
	"strings"

	"github.com/untorn-db/untorn/cmd/internal/command"
)

// again is the command line that goes on with what was interrupted: the flags that
// were given, but for those named without, with is for the flag named set, and the
// operands. set "": all as it was.
func again(e *command.Env, flags *flag.FlagSet, operands []string, set, is string, without ...string) string {
	words := []string{"go run ./cmd/" + e.Program, flags.Name()}
	for _, operand := range operands {
		words = append(words, command.Quote(operand))
	}
	put := func(name, value string) { words = append(words, "--"+name+" "+command.Quote(value)) }
	done := set == ""
	flags.Visit(func(f *flag.Flag) {
		boolean, _ := f.Value.(interface{ IsBoolFlag() bool })
		switch value := f.Value.String(); {
		case slices.Contains(without, f.Name):
		case f.Name == set:
			put(set, is)
			done = true
		case boolean != nil && boolean.IsBoolFlag() && value == "true":
			words = append(words, "--"+f.Name)
		case boolean != nil && boolean.IsBoolFlag():
			words = append(words, "--"+f.Name+"=false")
		default:
			if list, ok := f.Value.(interface{ Values() []string }); ok { // it may be repeated
				for _, value := range list.Values() {
					put(f.Name, value)
				}
				return
			}
			put(f.Name, value)
		}
	})
	if !done {
		put(set, is)
	}
	return strings.Join(words, " ")
}

// interrupted is the error of a command that was, with what it was doing, and the
// line that goes on.
func interrupted(line, format string, args ...any) error {
	return command.Fail(exitBudget, "interrupted: "+format+"; go on with: %s", append(args, line)...)
}
