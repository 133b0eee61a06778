package command

import (
	"errors"
	"fmt"
)

// The exit codes that every program has. Others are its own: see Fail.
const (
	ExitFine  = 0
	ExitWrong = 1
	ExitUsage = 2 // a command line or an input that cannot be understood
)

// Exit is an exit code of a program.
type Exit struct {
	Code int
	Says string // "interrupted, or the time was over before all was done"
}

// exitError is an error with an exit code.
type exitError struct {
	error
	code      int
	misplaced bool
}

func (e exitError) Unwrap() error { return e.error }

// Fail is an error that ends the program with this code.
func Fail(code int, format string, args ...any) error {
	return exitError{fmt.Errorf(format, args...), code, false}
}

// Usage is the error of a command line or an input that cannot be understood.
func Usage(format string, args ...any) error { return Fail(ExitUsage, format, args...) }

// Incomplete is the error of a command line on which something is missing, or too much:
// the message goes on with how the command is written.
func Incomplete(format string, args ...any) error {
	return exitError{fmt.Errorf(format, args...), ExitUsage, true}
}

// Code is the exit code of what a command has returned.
func Code(err error) int {
	var coded exitError
	switch {
	case err == nil:
		return ExitFine
	case errors.As(err, &coded):
		return coded.code
	}
	return ExitWrong
}

// misplaced reports whether the command line has something missing, or too much.
func misplaced(err error) bool {
	var coded exitError
	return errors.As(err, &coded) && coded.misplaced
}
