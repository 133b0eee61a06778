package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Event is what a store is handed: bytes for a stream. Number is the stream's
// number: 0, 1, 2 …, for stores that need no name.
type Event struct {
	Stream string
	Number int
	Data   []byte
}

// Workload is what the callers do: so many goroutines, each with one call at a
// time, of so many events, as fast as they are answered.
type Workload struct {
	Name     string
	Writers  int
	Batch    int // events a call
	Size     int // bytes of an event
	Buffered bool
}

// batchStreams is how many streams the events of one call are spread over.
const batchStreams = 10

// Workloads are all of them, in the order of the tables.
func Workloads() []Workload {
	var all []Workload
	for _, w := range []Workload{
		{Name: "single", Writers: 1, Batch: 1},
		{Name: "writers-16", Writers: 16, Batch: 1},
		{Name: "writers-64", Writers: 64, Batch: 1},
		{Name: "batch-100", Writers: 1, Batch: 100},
		{Name: "buffered-100", Writers: 1, Batch: 100, Buffered: true},
	} {
		for _, size := range []int{100, 1024} {
			w.Size = size
			all = append(all, w)
		}
	}
	return all
}

// String is the workload's name with its size, such as "single/100".
func (w Workload) String() string { return fmt.Sprintf("%s/%d", w.Name, w.Size) }

// Title is the workload in words.
func (w Workload) Title() string {
	size := "100 B"
	if w.Size == 1024 {
		size = "1 KiB"
	}
	switch {
	case w.Buffered:
		return fmt.Sprintf("batch of %d, not synced, %s", w.Batch, size)
	case w.Batch > 1:
		return fmt.Sprintf("batch of %d, %s", w.Batch, size)
	case w.Writers > 1:
		return fmt.Sprintf("%d writers, %s", w.Writers, size)
	default:
		return fmt.Sprintf("1 writer, %s", size)
	}
}

// pickWorkloads takes those that are named, by name or by name and size; none
// means all.
func pickWorkloads(names string) ([]Workload, error) {
	all := Workloads()
	if names == "" {
		return all, nil
	}
	wanted := strings.Split(names, ",")
	for _, name := range wanted {
		if !slices.ContainsFunc(all, func(w Workload) bool { return name == w.Name || name == w.String() }) {
			var known []string
			for _, w := range all {
				known = append(known, w.String())
			}
			return nil, fmt.Errorf("no workload %q; there are %s; the size may be left out", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(all, func(w Workload) bool {
		return !slices.Contains(wanted, w.Name) && !slices.Contains(wanted, w.String())
	}), nil
}

// Events is what one writer appends, again and again. Each writer has streams of
// its own, and bytes that do not compress.
func (w Workload) Events(writer int) []Event {
	events := make([]Event, w.Batch)
	random := rand.New(rand.NewPCG(uint64(writer), uint64(w.Size)))
	for i := range events {
		number := writer*batchStreams + i%batchStreams
		data := make([]byte, w.Size)
		for k := range data {
			data[k] = byte(random.Uint32())
		}
		events[i] = Event{Stream: fmt.Sprintf("stream-%d", number), Number: number, Data: data}
	}
	return events
}
