package trace

import (
	"cmp"
	"maps"
	"slices"
)

// What a Change is of.
const (
	OfName  = "name"
	OfSize  = "size"
	OfCells = "cells"
)

// Disk is what is known of a disk behind an entry. The zero value is an empty one.
type Disk struct {
	Files map[int]*File    // by number; those that are gone, too
	Names map[string]Piece // by path; only those that are there, or are pending
}

// File is a file or a directory.
type File struct {
	Path  string  // by which it is known
	Size  Piece   // State "" where nothing was told of it
	Cells []Piece // the same
}

// Piece is a cell, a size or a name.
type Piece struct {
	State   State
	By      int   // N of the entry that made the newest version, if it is or was pending
	Size    int64 // of a size, in bytes
	File    int   // of a name: what it stands for, or stood for
	Removal bool  // of a name: its newest version is that it is not there
}

// Apply makes of the disk behind one entry the disk behind the next.
func (d *Disk) Apply(changes []Change) {
	if d.Files == nil {
		d.Files, d.Names = map[int]*File{}, map[string]Piece{}
	}
	for _, c := range changes {
		f := d.Files[c.File]
		if f == nil {
			f = new(File)
			d.Files[c.File] = f
		}
		if leaves := c.Of == OfName && (c.Removal || c.State == Gone); !leaves || f.Path == "" {
			f.Path = c.Path
		}
		p := Piece{State: c.State, By: c.By}
		switch c.Of {
		case OfCells:
			for len(f.Cells) < c.To {
				f.Cells = append(f.Cells, Piece{})
			}
			for i := c.From; i < c.To; i++ {
				f.Cells[i] = p
			}
		case OfSize:
			p.Size = c.Size
			f.Size = p
		case OfName:
			p.File, p.Removal = c.File, c.Removal
			kept := c.State == Kept || c.State == Durable
			if d.Names[c.Path] = p; c.State == Gone || kept && c.Removal || c.State == Lost && !c.Removal {
				delete(d.Names, c.Path)
			}
		}
	}
}

// Pending lists what a power loss may take or leave: names, then sizes, then
// cells, neighbours that one entry wrote together.
func (d *Disk) Pending() []Change {
	var list []Change
	for _, path := range slices.Sorted(maps.Keys(d.Names)) {
		if p := d.Names[path]; p.State == Pending {
			list = append(list, Change{Of: OfName, File: p.File, Path: path, State: Pending, By: p.By, Removal: p.Removal})
		}
	}
	numbers := slices.Sorted(maps.Keys(d.Files))
	for _, n := range numbers {
		if f := d.Files[n]; f.Size.State == Pending {
			list = append(list, Change{Of: OfSize, File: n, Path: f.Path, Size: f.Size.Size, State: Pending, By: f.Size.By})
		}
	}
	for _, n := range numbers {
		f := d.Files[n]
		for i, p := range f.Cells {
			if p.State == Pending {
				list = append(list, Change{Of: OfCells, File: n, Path: f.Path, From: i, To: i + 1, State: Pending, By: p.By})
			}
		}
	}
	return Merged(list)
}

// Merged sorts changes, names before sizes before cells, and makes one of
// neighbouring cells that say the same.
func Merged(list []Change) []Change {
	rank := func(of string) int { return slices.Index([]string{OfName, OfSize, OfCells}, of) }
	slices.SortStableFunc(list, func(a, b Change) int {
		if c := cmp.Compare(rank(a.Of), rank(b.Of)); c != 0 {
			return c
		}
		if a.Of == OfName {
			return cmp.Compare(a.Path, b.Path)
		}
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.From, b.From))
	})
	merged := list[:0]
	for _, c := range list {
		if n := len(merged); n > 0 && c.Of == OfCells {
			last := merged[n-1]
			if last.To = c.From; last == (Change{Of: c.Of, File: c.File, Path: c.Path, From: last.From, To: c.From, State: c.State, By: c.By}) && merged[n-1].To == c.From {
				merged[n-1].To = c.To
				continue
			}
		}
		merged = append(merged, c)
	}
	return merged
}
