package synclab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs"
)

// entry is a record, and what is known about it.
type entry struct {
	Record
	acked   bool // it must be there: Put said so, or an opened store showed it
	exposed bool // unless a lie has taken it
	gone    bool // an opened store did not show it
}

// ledger is what a caller knows. A ledger is a value: whoever changes it copies
// the entries.
type ledger struct {
	entries []entry  // in the order in which they were first submitted
	fault   bool     // a sync has failed, or lied
	lied    bool     // a sync has lied
	lie     bool     // … and nobody was told since
	liedAt  int      // operations on the disk by then
	files   []string // that there were when a record was last acknowledged
}

func (l ledger) find(key string) int {
	return slices.IndexFunc(l.entries, func(e entry) bool { return e.Key == key })
}

func (l ledger) submitted(r Record) ledger {
	l.entries = append(slices.Clone(l.entries), entry{Record: r})
	return l
}

func (l ledger) acknowledged(disk *simfs.FS, key string) (ledger, error) {
	files, err := filesOf(disk)
	l.files = files
	i := l.find(key)
	if l.entries[i].acked {
		return l, err
	}
	l.entries = slices.Clone(l.entries)
	l.entries[i].acked, l.entries[i].exposed, l.entries[i].gone = true, l.lie, false
	return l, err
}

// shown: an opened store serves these and no others.
func (l ledger) shown(all []Record) ledger {
	l.entries = slices.Clone(l.entries)
	for i := range l.entries {
		e := &l.entries[i]
		switch there := slices.Contains(all, e.Record); {
		case there && !e.acked:
			e.acked, e.exposed = true, l.lie
		case !there:
			e.acked, e.gone = false, true
		}
	}
	return l
}

// needle is what is looked for in the bytes of a file: the start of a value,
// which no other has.
func needle(value string) string { return value[:strings.IndexByte(value, '>')+1] }

// exposedBy marks the records that were safe, and of which the program has
// begun to rely on what a lying sync covered: a copy in a file that the sync was
// of, or under a name that it was to make durable.
func (l ledger) exposedBy(disk *simfs.FS, synced string) ledger {
	l.entries = slices.Clone(l.entries)
	before := disk.Clone().Crash(simfs.PowerLoss).Resolve(simfs.Oldest()).Mount(nil)
	var files []string
	if info, err := disk.Stat(synced); err == nil && info.IsDir() {
		list, _ := afero.ReadDir(disk, synced)
		for _, f := range list {
			files = append(files, strings.TrimPrefix(synced+"/"+f.Name(), "./"))
		}
	} else {
		files = []string{synced}
	}
	for _, name := range files {
		now, err := afero.ReadFile(disk, name)
		if err != nil {
			continue
		}
		old, _ := afero.ReadFile(before, name)
		for i := range l.entries {
			e := &l.entries[i]
			text := needle(e.Value)
			e.exposed = e.exposed || strings.Contains(string(now), text) && !strings.Contains(string(old), text)
		}
	}
	return l
}

// compare judges what a store serves. lost is the records that a lie has taken.
func (l ledger) compare(all []Record) (lost []string, err error) {
	last := -1
	there := make([]bool, len(l.entries))
	for _, r := range all {
		i := l.find(r.Key)
		switch {
		case i < 0:
			return nil, fmt.Errorf("it serves a record that nobody has put: %q", r.Key)
		case l.entries[i].Value != r.Value:
			return nil, fmt.Errorf("it serves wrong bytes as %q", r.Key)
		case there[i]:
			return nil, fmt.Errorf("it serves %q twice", r.Key)
		case i < last:
			return nil, fmt.Errorf("it serves %q behind %q, which was put later", r.Key, l.entries[last].Key)
		case l.entries[i].gone && !l.entries[i].acked && !l.lied:
			return nil, fmt.Errorf("it serves %q, which an open store had left out", r.Key)
		}
		there[i], last = true, i
	}
	for i, e := range l.entries {
		switch {
		case there[i] || !e.acked:
		case !e.exposed:
			return nil, fmt.Errorf("%q is lost: it was acknowledged or shown, and its sync did not lie", e.Key)
		case i < last:
			return nil, fmt.Errorf("%q is lost, which nothing says, and %q behind it is served", e.Key, l.entries[last].Key)
		default:
			lost = append(lost, e.Key)
		}
	}
	return lost, nil
}

// proof returns a record behind the first lost one that was acknowledged and is
// still on the disk. A file that has lost its own beginning or its name proves
// nothing: a first write that was torn looks the same, or what a removed file left
// on the blocks of a new one.
func (l ledger) proof(disk *simfs.FS, lost []string) (string, error) {
	files, err := filesOf(disk)
	if err != nil {
		return "", err
	}
	files = slices.DeleteFunc(files, func(name string) bool { return !slices.Contains(l.files, name) })
	first := l.find(lost[0])
	for _, e := range l.entries[first+1:] {
		if !e.acked {
			continue
		}
		for _, name := range files {
			data, err := afero.ReadFile(disk, name)
			if err != nil {
				return "", err
			}
			lostHead := len(bytes.TrimLeft(data[:min(len(data), 16)], "\x00")) == 0
			if !lostHead && strings.Contains(string(data), needle(e.Value)) {
				return fmt.Sprintf("%q in %s", e.Key, name), nil
			}
		}
	}
	return "", nil
}

// filesOf lists the files of a disk.
func filesOf(disk *simfs.FS) (files []string, err error) {
	err = afero.Walk(disk, ".", func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

// outcome is what came of one image.
type outcome uint8

const (
	fine  outcome = iota
	lost          // acknowledged records, unavoidably
	named         // … and the store says so
)

// named judges a store that says it is damaged.
func (l ledger) named(p Program, disk *simfs.FS, cause error) (outcome, error) {
	if d, ok := p.(Damager); !ok || !d.Damage(cause) {
		return fine, fmt.Errorf("it does not open: %w", cause)
	}
	if !l.lied {
		return fine, fmt.Errorf("it says that it is damaged, and no sync has lied: %w", cause)
	}
	s, ok := p.(Salvager)
	if !ok {
		return named, nil
	}
	all, err := s.Salvage(disk)
	if err != nil {
		return fine, fmt.Errorf("it says that it is damaged, and what is whole cannot be read: %w", errors.Join(cause, err))
	}
	var keys []string
	for _, r := range all {
		if i := l.find(r.Key); i < 0 || l.entries[i].Value != r.Value {
			return fine, fmt.Errorf("what it salvages has wrong bytes as %q", r.Key)
		}
		keys = append(keys, r.Key)
	}
	for _, e := range l.entries {
		if e.acked && !e.exposed && !slices.Contains(keys, e.Key) {
			return fine, fmt.Errorf("%q cannot be salvaged: it was acknowledged or shown, and its sync did not lie; %w", e.Key, cause)
		}
	}
	return named, nil
}
