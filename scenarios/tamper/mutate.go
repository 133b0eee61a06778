package tamper

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/untorn-db/untorn/engine/record"
)

// mutation is one change of a log's files.
type mutation struct {
	kind    *kind
	about   string // what was done, in words
	files   []file // all that are there now
	touched int    // bytes from the first to the last that is damaged
}

// group says what is asked of a kind of mutations.
type group uint8

const (
	// damage is done without knowledge of the format: nothing but the truth may be
	// shown, by reads alone.
	damage group = iota
	// forged has right checksums, but hashes that do not chain: Verify must name it.
	forged
	// rewritten is valid in itself: only what was kept outside can name it.
	rewritten
	// loose changes what no hash binds, under right checksums: it is named, or
	// changes nothing.
	loose
	// outside changes bytes that are no part of the log: it changes nothing.
	outside
	// erased takes the content of events that may be erased: hashes stay.
	erased
)

type (
	// counter says how many mutations of a kind a log has.
	counter func(v *subject) int
	// maker makes mutation i of them, or returns nil if it would change nothing.
	maker func(v *subject, i int, r *numbers) (*mutation, error)
)

// kind is one way to tamper with a log.
type kind struct {
	name  string
	group group
	count counter
	make  maker
	share int // of the mutations, against others; 0: 1
	// mayMiss: some touch no byte of the log, as damage may.
	mayMiss bool
	// byKeys: the keys of those who verify must name it, without a head.
	byKeys bool
}

func byKeys(k *kind) *kind {
	k.byKeys = true
	return k
}

// place is a byte of a file.
type place struct {
	file   int
	offset int64
}

// atlas lists what there is to change in a log.
type atlas struct {
	bound   []place // bytes that belong to the log
	frames  []place // bytes of frames that hashes or structure bind, but checksums
	loose   []place // bytes of frames that nothing binds
	headers []place // bytes of headers' first copies, checksums left out
	heads   []place // the same of what nothing binds
	slack   []place // the rest
	sectors []place // that hold bytes of the log
	pages   []place
	starts  []start // frames
	parts   []*part
	home    []int     // the batch of each event
	classes [][]class // of the bytes of each file
}

// start is where a frame begins.
type start struct {
	part *part
	frameAt
}

func newAtlas(f *form) atlas {
	var a atlas
	for _, s := range f.segments {
		classes := s.classes()
		a.classes = append(a.classes, classes)
		covers := func(size int) (list []place) {
			for at := 0; at < len(classes); at += size {
				if slices.ContainsFunc(classes[at:min(at+size, len(classes))], func(c class) bool { return c != slack }) {
					list = append(list, place{s.file, int64(at)})
				}
			}
			return list
		}
		a.sectors = append(a.sectors, covers(512)...)
		a.pages = append(a.pages, covers(record.BlockSize)...)
		checksum := make([]bool, len(classes))
		for _, p := range s.parts {
			for _, f := range p.frames {
				a.starts = append(a.starts, start{p, f})
				for i := range int64(8) {
					checksum[f.offset+i] = true
				}
			}
		}
		for i, c := range classes {
			at := place{s.file, int64(i)}
			if c == slack {
				a.slack = append(a.slack, at)
			} else {
				a.bound = append(a.bound, at)
			}
			switch {
			case checksum[i]:
			case c == ofFrame || c == ofBody:
				a.frames = append(a.frames, at)
			case c == ofLoose:
				a.loose = append(a.loose, at)
			case c == ofHeader && i < record.BlockSize && (i < 8 || i >= 12):
				a.headers = append(a.headers, at)
			case c == ofLooseHead && i < record.BlockSize:
				a.heads = append(a.heads, at)
			}
		}
		a.parts = append(a.parts, s.parts...)
	}
	for i, p := range f.batches {
		for range p.events {
			a.home = append(a.home, i)
		}
	}
	return a
}

// batchOf is the index of the batch that event i is in.
func (v *subject) batchOf(i int) int { return v.home[i] }

// with returns the subject's files with one of them changed.
func (v *subject) with(i int, bytes []byte) []file {
	files := slices.Clone(v.files)
	files[i].bytes = bytes
	return files
}

// edit changes a copy of one file.
func (v *subject) edit(i int, touched int, edit func(b []byte), about string, args ...any) *mutation {
	b := bytes.Clone(v.files[i].bytes)
	edit(b)
	return v.changed(v.with(i, b), touched, about, args...)
}

// changed is a mutation, or nil if the files are what they were.
func (v *subject) changed(files []file, touched int, about string, args ...any) *mutation {
	same := slices.EqualFunc(files, v.files, func(a, b file) bool { return a.name == b.name && bytes.Equal(a.bytes, b.bytes) })
	if same {
		return nil
	}
	return &mutation{files: files, touched: touched, about: fmt.Sprintf(about, args...)}
}

func short(name string) string { return strings.TrimPrefix(name, dir+"/") }

// much is more than anybody looks over.
const much = 1 << 30

// flipped is the mask of flip i of n places: in the first eight rounds over all
// places one bit, each once, then all others.
func flipped(at place, round int) byte {
	turn := int(at.offset*7+int64(at.file)) & 7
	if round < 8 {
		return 1 << ((turn + round) & 7)
	}
	return byte(others((round*97 + turn*31) % 247))
}

// others is mask i of those with more than one bit.
func others(i int) int {
	mask := 3
	for {
		if mask&(mask-1) != 0 {
			if i == 0 {
				return mask
			}
			i--
		}
		mask++
	}
}

// flips flips one byte of a list, and fixes what an attacker would.
func flips(list lister, fix fixer) (count counter, mk maker) {
	count = func(v *subject) int { return len(list(v)) * 255 }
	mk = func(v *subject, i int, _ *numbers) (*mutation, error) {
		all := list(v)
		at := all[i%len(all)]
		mask := flipped(at, i/len(all))
		return v.edit(at.file, 1, func(b []byte) {
			b[at.offset] ^= mask
			if fix != nil {
				fix(v, b, at)
			}
		}, "byte %d of %s ^ %#02x", at.offset, short(v.files[at.file].name), mask), nil
	}
	return count, mk
}

// fixFrame seals the frame that a byte is in.
func fixFrame(v *subject, b []byte, at place) {
	s := v.form.segments[at.file]
	for _, p := range s.parts {
		if at.offset < p.offset || at.offset >= p.offset+p.length {
			continue
		}
		i, found := slices.BinarySearchFunc(p.frames, at.offset, func(f frameAt, offset int64) int { return int(f.offset - offset) })
		if !found {
			i--
		}
		sealFrame(b, s.header.Seed, p.frames[i].offset)
	}
}

func fixFirstHeader(_ *subject, b []byte, _ place) { sealHeader(b, 0) }

// fixBothHeaders makes the second copy what the first one is.
func fixBothHeaders(_ *subject, b []byte, _ place) {
	sealHeader(b, 0)
	copy(b[record.BlockSize:2*record.BlockSize], b[:record.BlockSize])
}

type (
	// lister says which places a kind is about.
	lister func(v *subject) []place
	// fixer makes right what an attacker would, after a byte was changed.
	fixer func(v *subject, b []byte, at place)
)

func one(name string, g group, share int, count counter, mk maker) *kind {
	return &kind{name: name, group: g, share: share, count: count, make: mk}
}

func flip(name string, g group, share int, list lister, fix fixer) *kind {
	count, mk := flips(list, fix)
	return one(name, g, share, count, mk)
}

// kinds are all ways, in the order of the table.
func kinds() []*kind {
	all := []*kind{
		flip("flip a byte", damage, flipShare, func(v *subject) []place { return v.bound }, nil),
		one("sector zeroed, ones, noise", damage, 2, func(v *subject) int { return 3 * len(v.sectors) }, blot(512, func(v *subject) []place { return v.sectors })),
		one("page zeroed, ones, noise", damage, 1, func(v *subject) int { return 3 * len(v.pages) }, blot(record.BlockSize, func(v *subject) []place { return v.pages })),
		one("sectors swapped or copied", damage, 2, func(v *subject) int { return 2 * len(v.sectors) * len(v.sectors) }, swapSectors),
		one("cut at a byte", damage, 2, func(v *subject) int { return 2 * len(v.bound) }, cutAt),
		one("cut behind a batch", damage, 1, func(v *subject) int { return 4 * len(v.parts) }, cutBehind),
		one("bytes put in", damage, 1, func(v *subject) int { return 6 * len(v.starts) }, putIn),
		one("bytes taken out", damage, 1, func(v *subject) int { return 3 * len(v.starts) }, takeOut),
		one("batch dropped", damage, 1, func(v *subject) int { return 2 * len(v.parts) }, dropPart),
		one("batches swapped", damage, 1, func(v *subject) int { return len(v.parts) * len(v.parts) }, swapParts),
		one("batch replayed", damage, 1, func(v *subject) int { return len(v.parts) * len(v.parts) }, replayPart),
		one("frames swapped, dropped, twice", damage, 2, func(v *subject) int { return 3 * len(v.starts) * len(v.starts) }, moveFrames),
		one("segments dropped", damage, 1, func(v *subject) int { return 1<<len(v.files) - 1 }, dropSegments),
		one("segments renamed", damage, 1, func(v *subject) int { return 3 * len(v.files) * (len(v.files) + 2) }, renameSegments),
		one("stale sectors and files", damage, 2, func(v *subject) int { return len(v.moments) * (2*len(v.sectors) + len(v.files)) }, stale),
		one("spliced from another log", damage, 2, func(v *subject) int { return 2 * (len(v.sectors) + len(v.parts) + 2*len(v.files)) }, spliceForeign),
		one("directory as it was before", damage, 1, func(v *subject) int { return len(v.moments) }, rollback),
	}
	all = append(all, forgedKinds()...)
	for _, k := range all {
		k.mayMiss = slices.Contains([]string{"batches moved, checksums right", "spliced from a fork", "one draft another, by the engine"}, k.name)
	}
	return all
}

// flipShare is that of the flips: with the others it makes every byte once at
// about the standard number.
const flipShare = 60

func blot(size int, list lister) maker {
	return func(v *subject, i int, r *numbers) (*mutation, error) {
		at := list(v)[i/3]
		to := min(at.offset+int64(size), int64(len(v.files[at.file].bytes)))
		how := [3]string{"zeros", "ones", "noise"}[i%3]
		return v.edit(at.file, size, func(b []byte) {
			switch b := b[at.offset:to]; how {
			case "zeros":
				clear(b)
			case "ones":
				for i := range b {
					b[i] = 0xff
				}
			default:
				_, _ = r.Read(b)
			}
		}, "bytes %d to %d of %s are %s", at.offset, to, short(v.files[at.file].name), how), nil
	}
}

func swapSectors(v *subject, i int, _ *numbers) (*mutation, error) {
	n := len(v.sectors)
	a, b, swap := v.sectors[i/2%n], v.sectors[i/2/n], i%2 == 0
	files := slices.Clone(v.files)
	files[a.file].bytes = bytes.Clone(files[a.file].bytes)
	if a.file != b.file {
		files[b.file].bytes = bytes.Clone(files[b.file].bytes)
	}
	old := bytes.Clone(sector(v.files[a.file].bytes, a.offset))
	with := bytes.Clone(sector(v.files[b.file].bytes, b.offset))
	copy(sector(files[a.file].bytes, a.offset), with)
	touched := 512
	how := "overwritten by"
	if swap {
		copy(sector(files[b.file].bytes, b.offset), old)
		touched, how = much, "swapped with"
	}
	return v.changed(files, touched, "sector %d of %s %s %d of %s", a.offset, short(v.files[a.file].name), how, b.offset, short(v.files[b.file].name)), nil
}

// single reports whether the log has one segment.
func (v *subject) single() bool {
	return len(v.form.segments) == 1 || !v.form.segments[1].counts
}

func sector(b []byte, at int64) []byte { return b[at:min(at+512, int64(len(b)))] }

func cutAt(v *subject, i int, _ *numbers) (*mutation, error) {
	at := v.bound[i/2]
	return v.cut(at.file, at.offset, i%2 == 0), nil
}

// cut cuts a file, or clears it from there on.
func (v *subject) cut(n int, at int64, off bool) *mutation {
	old := v.files[n]
	b := bytes.Clone(old.bytes[:at])
	how := "cut off"
	if !off {
		b = append(b, make([]byte, len(old.bytes)-len(b))...)
		how = "zeros from there on"
	}
	return v.changed(v.with(n, b), much, "%s at byte %d: %s", short(old.name), at, how)
}

func cutBehind(v *subject, i int, _ *numbers) (*mutation, error) {
	p := v.parts[i/4]
	at := p.offset
	if i%2 == 0 {
		at += p.length
	}
	return v.cut(p.segment.file, at, i/2%2 == 0), nil
}

func putIn(v *subject, i int, r *numbers) (*mutation, error) {
	at := v.starts[i/6]
	size := [3]int{8, 512, 4096}[i%3]
	n := at.part.segment.file
	more := make([]byte, size)
	if i/3%2 == 1 {
		_, _ = r.Read(more)
	}
	return v.changed(v.with(n, slices.Insert(bytes.Clone(v.files[n].bytes), int(at.offset), more...)), much,
		"%d bytes put into %s at byte %d", size, short(v.files[n].name), at.offset), nil
}

func takeOut(v *subject, i int, _ *numbers) (*mutation, error) {
	at := v.starts[i/3]
	n := at.part.segment.file
	size := [3]int64{8, at.Size(), 512}[i%3]
	to := min(at.offset+size, int64(len(v.files[n].bytes)))
	return v.changed(v.with(n, slices.Delete(bytes.Clone(v.files[n].bytes), int(at.offset), int(to))), much,
		"bytes %d to %d taken out of %s", at.offset, to, short(v.files[n].name)), nil
}

func dropPart(v *subject, i int, _ *numbers) (*mutation, error) {
	p := v.parts[i/2]
	n := p.segment.file
	if i%2 == 0 {
		return v.edit(n, int(p.length), func(b []byte) { clear(b[p.offset : p.offset+p.length]) },
			"%s zeroed", p), nil
	}
	return v.changed(v.with(n, slices.Delete(bytes.Clone(v.files[n].bytes), int(p.offset), int(p.offset+p.length))), much,
		"%s taken out", p), nil
}

// String names a part.
func (p *part) String() string {
	what := "END"
	if p.isBatch() {
		what = fmt.Sprintf("batch %d", p.mark.Batch)
	}
	return fmt.Sprintf("%s at byte %d of %s", what, p.offset, short(p.segment.name))
}

// swapParts exchanges two parts, of one file or two; what is between them moves.
func swapParts(v *subject, i int, _ *numbers) (*mutation, error) {
	a, b := v.parts[i%len(v.parts)], v.parts[i/len(v.parts)]
	if a.segment.file > b.segment.file || a.segment.file == b.segment.file && a.offset > b.offset {
		return nil, nil // the other order is there too
	}
	files := slices.Clone(v.files)
	put := func(p, with *part) {
		old := files[p.segment.file].bytes
		b := append(bytes.Clone(old[:p.offset]), with.bytes()...)
		files[p.segment.file].bytes = append(b, old[p.offset+p.length:]...)
	}
	put(b, a) // the later one first, so that the offsets of the earlier one hold
	put(a, b)
	return v.changed(files, much, "%s and %s swapped", a, b), nil
}

// replayPart writes a part once more where another one begins.
func replayPart(v *subject, i int, _ *numbers) (*mutation, error) {
	p, at := v.parts[i%len(v.parts)], v.parts[i/len(v.parts)]
	n := at.segment.file
	b := bytes.Clone(v.files[n].bytes)
	if i%2 == 0 {
		return v.changed(v.with(n, slices.Insert(b, int(at.offset+at.length), p.bytes()...)), much, "%s again behind %s", p, at), nil
	}
	if need := int(at.offset + p.length); need > len(b) {
		b = append(b, make([]byte, need-len(b))...)
	}
	copy(b[at.offset:], p.bytes())
	return v.changed(v.with(n, b), much, "%s written over %s", p, at), nil
}

func moveFrames(v *subject, i int, _ *numbers) (*mutation, error) {
	how := i % 3
	a, b := v.starts[i/3%len(v.starts)], v.starts[i/3/len(v.starts)]
	bytesOf := func(s start) []byte { return s.part.segment.raw[s.offset : s.offset+s.Size()] }
	n := b.part.segment.file
	old := v.files[n].bytes
	from, to := int(b.offset), int(b.offset+b.Size())
	switch {
	case how == 0 && a.part.segment == b.part.segment && a.offset < b.offset:
		now := append(bytes.Clone(old[:a.offset]), bytesOf(b)...)
		now = append(now, old[a.offset+a.Size():b.offset]...)
		now = append(append(now, bytesOf(a)...), old[to:]...)
		return v.changed(v.with(n, now), much, "frames at bytes %d and %d of %s swapped", a.offset, b.offset, short(v.files[n].name)), nil
	case how == 1 && a.offset == b.offset:
		return v.changed(v.with(n, slices.Delete(bytes.Clone(old), from, to)), much, "frame at byte %d of %s taken out", b.offset, short(v.files[n].name)), nil
	case how == 2:
		return v.changed(v.with(n, slices.Insert(bytes.Clone(old), from, bytesOf(a)...)), much,
			"frame at byte %d of %s again at byte %d of %s", a.offset, short(a.part.segment.name), b.offset, short(v.files[n].name)), nil
	}
	return nil, nil
}

func dropSegments(v *subject, i int, _ *numbers) (*mutation, error) {
	var files []file
	var gone []string
	for n, f := range v.files {
		if (i+1)>>n&1 == 0 {
			files = append(files, f)
		} else {
			gone = append(gone, short(f.name))
		}
	}
	return v.changed(files, much, "without %s", strings.Join(gone, ", ")), nil
}

func renameSegments(v *subject, i int, _ *numbers) (*mutation, error) {
	n := len(v.files)
	a, to, how := i/3%n, uint64(i/3/n+1), i%3
	name := fmt.Sprintf("%s/%012d.seg", dir, to)
	if to > uint64(n) && how == 2 {
		name = strings.TrimSuffix(v.files[a].name, ".seg") + ".new"
	}
	files := slices.Clone(v.files)
	at := slices.IndexFunc(files, func(f file) bool { return f.name == name })
	moved := file{name, v.files[a].bytes}
	switch {
	case how == 0 && at >= 0: // exchanged
		files[a].bytes, files[at].bytes = files[at].bytes, files[a].bytes
	case at >= 0: // in place of another
		files[at] = moved
	default:
		files = append(files, moved)
	}
	verb := "exchanged with"
	if how > 0 || at < 0 {
		verb = "copied to"
	}
	if how == 2 && at != a {
		files, verb = slices.Delete(files, a, a+1), "renamed to"
	}
	return v.changed(files, much, "%s %s %s", short(v.files[a].name), verb, short(name)), nil
}

// stale puts back what was in a file earlier.
func stale(v *subject, i int, _ *numbers) (*mutation, error) {
	moment := v.moments[i%len(v.moments)]
	i /= len(v.moments)
	if i < len(v.files) {
		name := v.files[i].name
		at := slices.IndexFunc(moment, func(f file) bool { return f.name == name })
		if at < 0 {
			return nil, nil
		}
		return v.changed(v.with(i, moment[at].bytes), much, "%s as it was earlier", short(name)), nil
	}
	at := v.sectors[(i-len(v.files))/2]
	size := [2]int64{512, record.BlockSize}[i%2]
	name := v.files[at.file].name
	old := slices.IndexFunc(moment, func(f file) bool { return f.name == name })
	if old < 0 {
		return nil, nil
	}
	return v.edit(at.file, int(size), func(b []byte) {
		b = b[at.offset:min(at.offset+size, int64(len(b)))]
		clear(b)
		if at.offset < int64(len(moment[old].bytes)) {
			copy(b, moment[old].bytes[at.offset:])
		}
	}, "%d bytes at %d of %s as they were earlier", size, at.offset, short(name)), nil
}

func rollback(v *subject, i int, _ *numbers) (*mutation, error) {
	return v.changed(v.moments[i], much, "the directory as it was after step %d", i+1), nil
}

// spliceForeign takes sectors, batches and segments from another log.
func spliceForeign(v *subject, i int, _ *numbers) (*mutation, error) {
	which := i % 2
	from := v.foreign[which]
	other := [2]string{"another log", "another log with this one's id"}[which]
	return v.splice(from, i/2, other), nil
}

// splice puts part i of another log's files at the same place of this one's:
// sectors, batches, files, or a file behind the last.
func (v *subject) splice(from []file, i int, other string) *mutation {
	over := func(n int, offset, to int64) *mutation {
		if n >= len(from) || offset >= int64(len(from[n].bytes)) {
			return nil
		}
		return v.edit(n, int(to-offset), func(b []byte) { copy(b[offset:min(to, int64(len(b)))], from[n].bytes[offset:]) },
			"bytes %d to %d of %s from %s", offset, to, short(v.files[n].name), other)
	}
	if i < len(v.sectors) {
		return over(v.sectors[i].file, v.sectors[i].offset, v.sectors[i].offset+512)
	}
	if i -= len(v.sectors); i < len(v.parts) {
		return over(v.parts[i].segment.file, v.parts[i].offset, v.parts[i].offset+v.parts[i].length)
	}
	i -= len(v.parts)
	n := i / 2
	if n >= len(from) || n >= len(v.files) {
		return nil
	}
	if i%2 == 0 && v.single() {
		return nil // that is the whole log
	}
	if i%2 == 0 {
		return v.changed(v.with(n, from[n].bytes), much, "%s from %s", short(v.files[n].name), other)
	}
	more := file{fmt.Sprintf("%s/%012d.seg", dir, len(v.files)+1), from[n].bytes}
	return v.changed(append(slices.Clone(v.files), more), much, "%s of %s behind the last segment", short(from[n].name), other)
}
