package main

import (
	"fmt"
	"io"
	"os"
)

// The most bytes of the files that flags name; for the events and receipts of untorn
// check it is maxLine.
const (
	maxKeys  = 16 << 20
	maxProof = 1 << 30 // 70 bytes for each batch between the event and the head
)

// readFile reads a file, or a pipe such as a shell's <(command), of at most so many
// bytes. It waits for the writer of a pipe, as cat does.
func readFile(name string, most int64) (_ []byte, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a directory: name a file", name)
	}
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s has more than %d MiB: it is another file than was meant", name, most>>20)
	}
	return text, err
}
