package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// syncData makes the bytes of a file durable, but not what a read does not need.
func syncData(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }

// settle makes everything durable that is waiting in the file system of a
// directory, so that nobody's round pays for another's.
func settle(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// deviceBytes is what has been written to the device below a directory so far,
// the file system's journal included, and what other processes write, too. The
// process's own write_bytes (/proc/self/io) will not do: a kernel with large
// folios counts the whole folio, up to 2 MiB, for a write of 100 bytes into it.
// -1: unknown.
func deviceBytes(dir string) int64 {
	var s unix.Stat_t
	if unix.Stat(dir, &s) != nil {
		return -1
	}
	text, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/stat", unix.Major(s.Dev), unix.Minor(s.Dev)))
	if err != nil {
		return -1
	}
	fields := strings.Fields(string(text))
	if len(fields) < 7 {
		return -1
	}
	sectors, err := strconv.ParseInt(fields[6], 10, 64) // of 512 bytes, whatever the device's are
	if err != nil {
		return -1
	}
	return 512 * sectors
}

// inMemory reports whether a directory's file system has no disk below it.
func inMemory(dir string) bool {
	var s unix.Statfs_t
	return unix.Statfs(dir, &s) == nil && (s.Type == unix.TMPFS_MAGIC || s.Type == unix.RAMFS_MAGIC)
}
