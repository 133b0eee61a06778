package segment

import (
	"strconv"
	"strings"
)

// Suffixes of the files of a log.
const (
	Suffix    = ".seg" // a segment, prepared or in use
	SuffixNew = ".new" // a segment that is not finished
)

const digits = 12

// MaxNumber is the highest number of a segment.
const MaxNumber = 1<<32 - 1

// Name is the file name of segment number n.
func Name(n uint64) string { return decimal(n) + Suffix }

// NameNew is the file name under which segment number n is made, before a
// rename puts it in place.
func NameNew(n uint64) string { return decimal(n) + SuffixNew }

// decimal is n with all its digits.
func decimal(n uint64) string {
	text := strconv.FormatUint(n, 10)
	return "000000000000"[min(len(text), digits):] + text
}

// ParseName returns the number and the suffix of a segment's file name.
func ParseName(name string) (n uint64, suffix string, ok bool) {
	if len(name) != digits+len(Suffix) {
		return 0, "", false
	}
	suffix = name[digits:]
	if suffix != Suffix && suffix != SuffixNew || strings.Trim(name[:digits], "0123456789") != "" {
		return 0, "", false
	}
	n, err := strconv.ParseUint(name[:digits], 10, 64)
	return n, suffix, err == nil && n > 0 && n <= MaxNumber
}
