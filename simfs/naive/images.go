package naive

import (
	"maps"
	"slices"
	"strings"
)

// Images returns every image that may be on the disk when the power goes after
// the program's last operation, sorted. An image is the whole tree on one line:
//
//	d/ d/g=a*512 f=      a directory, a file in it, an empty file
//	-                    nothing
func Images(p Program, opt Options) ([]string, error) {
	if err := opt.check(); err != nil {
		return nil, err
	}
	found := map[string]bool{}
	var err error
	switch opt.Preset {
	case "sequential":
		err = prefixes(p, opt, found)
	default:
		err = combinations(p, opt, found)
	}
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// prefixes: the disk holds what some first operations made of it, at least those
// before the last sync.
func prefixes(p Program, opt Options, found map[string]bool) error {
	whole, err := perform(p, opt)
	if err != nil {
		return err
	}
	for n := whole.floor + 1; n <= len(p); n++ {
		r, err := perform(p[:n], opt)
		if err != nil {
			return err
		}
		contents := map[int]string{}
		for i, t := range r.things {
			contents[i] = Runs(t.data[:t.size])
		}
		found[r.tree(r.live, contents)] = true
	}
	return nil
}

// combinations tries every set of metadata operations, and under it every
// content of every file.
func combinations(p Program, opt Options, found map[string]bool) error {
	r, err := perform(p, opt)
	if err != nil {
		return err
	}
	for _, set := range r.metaSets() {
		names := r.namesUnder(set)
		possible := map[int][]string{} // thing → contents
		for i, t := range r.things {
			if !t.dir {
				possible[i] = r.contentsUnder(t, set)
			}
		}
		r.product(names, possible, map[int]string{}, 0, found)
	}
	return nil
}

// product tries every combination of contents.
func (r *run) product(names map[entry]int, possible map[int][]string, chosen map[int]string, next int, found map[string]bool) {
	if next == len(r.things) {
		found[r.tree(names, chosen)] = true
		return
	}
	if r.things[next].dir {
		r.product(names, possible, chosen, next+1, found)
		return
	}
	for i, content := range possible[next] {
		if i > 0 && !slices.Contains(slices.Collect(maps.Values(names)), next) {
			break // nobody can see which it is; that there is one matters
		}
		chosen[next] = content
		r.product(names, possible, chosen, next+1, found)
	}
}

// namesUnder applies a set of changes to an empty disk.
func (r *run) namesUnder(set map[int]bool) map[entry]int {
	names := map[entry]int{}
	for _, c := range r.names {
		if set[c.op] {
			if c.from.name != "" {
				delete(names, c.from)
			}
			if c.to.name != "" {
				names[c.to] = c.thing
			}
		}
	}
	return names
}

// tree prints what can be reached from the root.
func (r *run) tree(names map[entry]int, contents map[int]string) string {
	var lines []string
	var walk func(dir int, path string)
	walk = func(dir int, path string) {
		for e, n := range names {
			switch {
			case e.dir != dir:
			case r.things[n].dir:
				lines = append(lines, path+e.name+"/")
				walk(n, path+e.name+"/")
			default:
				lines = append(lines, path+e.name+"="+contents[n])
			}
		}
	}
	walk(0, "")
	if len(lines) == 0 {
		return "-"
	}
	slices.Sort(lines)
	return strings.Join(lines, " ")
}

// contentsUnder returns what a file may hold when just these metadata operations
// are on the platter.
func (r *run) contentsUnder(f *thing, set map[int]bool) []string {
	found := map[string]bool{}
	if r.opt.Preset == "btrfs" {
		r.tryWrites(f, set, found)
	} else {
		r.tryVersions(f, set, r.units(f), map[int]int{}, found)
	}
	return slices.Sorted(maps.Keys(found))
}

// units returns the groups of cells that reach the platter together.
func (r *run) units(f *thing) [][]int {
	perUnit := max(1, r.opt.unit()/r.opt.Cell)
	var units [][]int
	for first := 0; first*r.opt.Cell < len(f.data); first += perUnit {
		var unit []int
		for cell := first; cell < first+perUnit && cell*r.opt.Cell < len(f.data); cell++ {
			unit = append(unit, cell)
		}
		units = append(units, unit)
	}
	return units
}

// tryVersions gives each unit, one after the other, each version that is no
// older than its last barrier, and then the file each size.
func (r *run) tryVersions(f *thing, set map[int]bool, units [][]int, version map[int]int, found map[string]bool) {
	if len(units) == 0 {
		for _, size := range r.sizesUnder(f, set) {
			if r.legal(f, set, size, version) {
				found[r.read(f, size.size, version)] = true
			}
		}
		return
	}
	for _, op := range r.versions(f, units[0]) {
		for _, cell := range units[0] {
			version[cell] = op
		}
		r.tryVersions(f, set, units[1:], version, found)
	}
}

// versions returns the operations after which a unit may have been written: the
// last barrier's, and each that changed it since.
func (r *run) versions(f *thing, unit []int) []int {
	floor := -1
	for _, cell := range unit {
		if op, ok := f.durable[cell]; ok {
			floor = max(floor, op)
		}
	}
	ops := []int{floor}
	for _, c := range f.contents {
		if c.op > floor && slices.ContainsFunc(unit, func(cell int) bool { return slices.Contains(c.cells, cell) }) {
			ops = append(ops, c.op)
		}
	}
	return ops
}

// read puts a file together.
func (r *run) read(f *thing, size int64, version map[int]int) string {
	var data []byte
	for cell := 0; cell*r.opt.Cell < len(f.data); cell++ {
		data = append(data, r.bytesAt(f, cell, version[cell])...)
	}
	for int64(len(data)) < size {
		data = append(data, 0)
	}
	return Runs(data[:size])
}

// change is what one operation did to a file, its bytes, its size or both.
type change struct {
	op      int
	cells   []int
	resizes bool
	size    int64
	meta    bool
}

// changes lists what was done to a file since it was made.
func (r *run) changes(f *thing) []change {
	var all []change
	for op := range r.last + 1 {
		ch := change{op: op}
		for _, c := range f.contents {
			if c.op == op {
				ch.cells = c.cells
			}
		}
		for _, s := range f.sizes[1:] {
			if s.op == op {
				ch.resizes, ch.size, ch.meta = true, s.size, s.meta
			}
		}
		if ch.resizes || len(ch.cells) > 0 {
			all = append(all, ch)
		}
	}
	return all
}

// tryWrites tries, for btrfs, each set of whole writes together with the changes
// of size that are on the platter.
func (r *run) tryWrites(f *thing, set map[int]bool, found map[string]bool) {
	changes := r.changes(f)
	for bits := range 1 << len(changes) {
		there := map[int]bool{}
		legal := true
		for i, ch := range changes {
			there[ch.op] = bits>>i&1 == 1
			legal = legal && !(ch.meta && there[ch.op] != set[ch.op])
		}
		if legal && r.together(f, changes, there) {
			found[r.replay(f, changes, there)] = true
		}
	}
}

// together reports whether these changes can be on the platter without the others.
func (r *run) together(f *thing, changes []change, there map[int]bool) bool {
	for i, ch := range changes {
		if there[ch.op] {
			for _, earlier := range changes[:i] {
				if !there[earlier.op] && r.inOrder(earlier, ch) {
					return false
				}
			}
			continue
		}
		if ch.op < f.settled {
			return false
		}
	}
	return true
}

// replay makes the changes that are there, one after the other.
func (r *run) replay(f *thing, changes []change, there map[int]bool) string {
	size := int64(0)
	version := map[int]int{}
	for cell := 0; cell*r.opt.Cell < len(f.data); cell++ {
		version[cell] = -1
	}
	for _, ch := range changes {
		if there[ch.op] {
			for _, cell := range ch.cells {
				version[cell] = ch.op
			}
			if ch.resizes {
				size = ch.size
			}
		}
	}
	return r.read(f, size, version)
}
