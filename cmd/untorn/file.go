package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
)

// The most bytes of the files that flags name; for the events and receipts of untorn
// check it is maxLine.
const (
	maxKeys  = 16 << 20
	maxProof = 1 << 30 // 70 bytes for each batch between the event and the head
)

// readFile reads a file, or a pipe such as a shell's <(command), of at most so many
// bytes. A pipe that nobody writes to is an empty file: nothing waits for a writer to
// come.
func readFile(name string, most int64) (_ []byte, err error) {
	// Before it is opened: to open a device, or a terminal, may do something.
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	what := ""
	switch mode := info.Mode(); {
	case mode.IsRegular(), mode&fs.ModeNamedPipe != 0:
	case mode.IsDir():
		what = "a directory"
	case mode&fs.ModeSocket != 0:
		what = "a socket"
	default:
		what = "a device"
	}
	if what != "" {
		return nil, fmt.Errorf("%s is %s: name a file", name, what)
	}
	file, err := os.OpenFile(name, os.O_RDONLY|noWaiting, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s has more than %d MiB: it is another file than was meant", name, most>>20)
	}
	return text, err
}
