package simfs

import "sync"

// Room is memory that disks hand on: MountIn takes it, and Reclaim gets it back.
// It is for those who run a great many short lives on disks, such as a search of
// crash images. The zero value is ready, and safe for concurrent use.
type Room struct{ arenas sync.Pool } // of *arena

// arena is what a disk made while nobody but itself could see it. What a clone or
// a crash has shared is let go of.
type arena struct {
	contents slab[content]
	chains   slab[chain]
	chunks   slab[chunk]
	groups   slab[group]
	ops      []Op // the room of a log's first block
}

// slab hands out values, which are as their last owner left them.
type slab[T any] struct {
	all  []*T
	used int
}

// mostSlab is how many values a slab keeps.
const mostSlab = 256

func (s *slab[T]) take() *T {
	if s.used < len(s.all) {
		v := s.all[s.used]
		s.used++
		return v
	}
	v := new(T)
	if len(s.all) < mostSlab {
		s.all = append(s.all, v)
		s.used++
	}
	return v
}

// forget lets go of what was handed out.
func (s *slab[T]) forget() {
	n := copy(s.all, s.all[s.used:])
	clear(s.all[n:])
	s.all, s.used = s.all[:n], 0
}

func (a *arena) forget() {
	if a == nil {
		return
	}
	a.contents.forget()
	a.chains.forget()
	a.chunks.forget()
	a.groups.forget()
}

// MountIn is Mount in a Room, which may be nil.
func (m *Image) MountIn(room *Room, c Chooser) *FS {
	f := m.Mount(c)
	if room != nil {
		a, _ := room.arenas.Get().(*arena)
		if a == nil {
			a = &arena{ops: make([]Op, 0, firstOps)}
		}
		f.d.arena = a
		f.log.first, a.ops = a.ops, nil
	}
	return f
}

// Reclaim takes the memory of a disk that was mounted in the Room and has been
// killed. Of the disk nothing but that is left; its images and clones are whole.
func (room *Room) Reclaim(f *FS) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.d.arena
	if room == nil || a == nil || !f.dead {
		return
	}
	a.contents.used, a.chains.used, a.chunks.used, a.groups.used = 0, 0, 0, 0
	if a.ops = f.log.take(); a.ops == nil {
		a.ops = make([]Op, 0, firstOps)
	}
	f.d = disk{cfg: f.d.cfg}
	room.arenas.Put(a)
}
