package scenarios

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
)

// parseItem reads the text of one draft of a batch:
//
//	[SCOPE/]STREAM TYPE [size=N] [meta=N] [expect=V|none|exists] [cause=I] [key=K]
//	[ext=N] [lane=N] [depth=N] [flags=N] [payload=V] [correlation=N] [erasable]
//
// The payload is text that names the step and the item, repeated to its size.
func parseItem(text string, step, item int) (engine.Draft, error) {
	words := strings.Fields(text)
	bad := func(format string, args ...any) (engine.Draft, error) {
		return engine.Draft{}, fmt.Errorf("step %d, item %d: %s", step, item, fmt.Sprintf(format, args...))
	}
	if len(words) < 2 {
		return bad("%q: want STREAM TYPE and options", text)
	}
	var d engine.Draft
	d.Scope, d.Stream, _ = strings.Cut(words[0], "/")
	if d.Stream == "" {
		d.Scope, d.Stream = "", words[0]
	}
	d.Type = words[1]
	for _, word := range words[2:] {
		key, value, _ := strings.Cut(word, "=")
		if key == "expect" {
			switch value {
			case "none":
				d.Expect = engine.NoStream
				continue
			case "exists":
				d.Expect = engine.StreamExists
				continue
			}
		}
		if key == "key" {
			d.Key = value
			continue
		}
		if key == "erasable" {
			d.Erasable = true
			continue
		}
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return bad("%q is no number", word)
		}
		switch key {
		case "size":
			if n > 1<<20 {
				return bad("%q: at most %d bytes", word, 1<<20)
			}
			d.Data = filler(fmt.Sprintf("%d.%d ", step, item), int(n))
		case "meta":
			if n > 1<<20 {
				return bad("%q: at most %d bytes", word, 1<<20)
			}
			d.Metadata = filler(fmt.Sprintf("m%d.%d ", step, item), int(n))
		case "ext":
			d.Extensions = map[string][]byte{}
			for i := range min(n, 100) {
				d.Extensions[fmt.Sprintf("x%d", i)] = filler("e", int(i))
			}
		case "expect":
			d.Expect = engine.Exactly(n)
		case "cause":
			d.CausedBy = engine.Item(int(n))
		case "lane":
			d.Lane = uint32(n)
		case "depth":
			d.Depth = uint32(n)
		case "flags":
			d.Flags = uint32(n)
		case "payload":
			d.PayloadVersion = uint32(n)
		case "correlation":
			d.Correlation = uuid.UUID{15: byte(n), 14: byte(n >> 8), 0: 1}
		default:
			return bad("%q is not known: there are size, meta, ext, expect, cause, key, lane, depth, flags, payload, correlation, erasable", word)
		}
	}
	return d, nil
}

// parseNote reads the text of one note of a batch:
//
//	NAME [size=N]
//
// The data is text that names the step and the note, repeated to its size, and
// never less.
func parseNote(text string, step, note int) (engine.NoteDraft, error) {
	words := strings.Fields(text)
	if len(words) == 0 || len(words) > 2 {
		return engine.NoteDraft{}, fmt.Errorf("step %d, note %d: %q: want NAME and perhaps size=N", step, note, text)
	}
	head, size := fmt.Sprintf("%d.n%d ", step, note), uint64(0)
	if len(words) == 2 {
		value, ok := strings.CutPrefix(words[1], "size=")
		n, err := strconv.ParseUint(value, 10, 16)
		if !ok || err != nil {
			return engine.NoteDraft{}, fmt.Errorf("step %d, note %d: %q: want size=N, at most 65535", step, note, words[1])
		}
		size = n
	}
	return engine.NoteDraft{Name: words[0], Data: filler(head, max(int(size), len(head)))}, nil
}

// noteArg is the number of a note in a step's argument, such as n0.
func noteArg(key string) (number int, ok bool) {
	rest, ok := strings.CutPrefix(key, "n")
	number, err := strconv.Atoi(rest)
	return number, ok && err == nil
}

// filler repeats a text to a size.
func filler(text string, size int) []byte {
	b := make([]byte, 0, size+len(text))
	for len(b) < size {
		b = append(b, text...)
	}
	return b[:size]
}
