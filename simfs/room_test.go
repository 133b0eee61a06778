package simfs_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs"
)

// A disk in a Room that others have used does what one without does, and what it
// shared stays as it was.
func TestRoomChangesNothing(t *testing.T) {
	type kept struct {
		image *simfs.Image
		shows string
	}
	show := func(m *simfs.Image) string {
		disk := m.Mount(simfs.Random(7))
		text := fmt.Sprintf("%x\n", disk.Crash(simfs.PowerLoss).Hash())
		names, _ := afero.ReadDir(disk, "/")
		for _, name := range names {
			b, err := afero.ReadFile(disk, name.Name())
			text += fmt.Sprintf("%s %x %v\n", name.Name(), b, err)
		}
		return text + fmt.Sprintf("%x\n", disk.Crash(simfs.PowerLoss).Hash())
	}
	live := func(disk *simfs.FS, seed uint64) (story string, all []kept) {
		r := rand.New(rand.NewPCG(seed, 1))
		name := func() string { return fmt.Sprint("file ", r.IntN(4)) }
		for range 10 + r.IntN(40) {
			switch f, _ := disk.OpenFile(name(), os.O_RDWR|os.O_CREATE, 0o644); r.IntN(9) {
			case 0:
				story += fmt.Sprintln(disk.Remove(name()))
			case 1:
				story += fmt.Sprintln(disk.Rename(name(), name()))
			case 2:
				f.Truncate(int64(r.IntN(9000)))
			case 3:
				f.Sync()
			case 4:
				disk.SyncDir("/")
			case 5:
				if seed%3 == 1 {
					m := disk.Crash(simfs.Kind(1 + r.IntN(2)))
					all = append(all, kept{m, show(m)})
				}
			case 6:
				b, err := io.ReadAll(f)
				story += fmt.Sprintf("%x %v\n", b, err)
			default:
				b := make([]byte, 1+r.IntN(3000))
				for i := range b {
					b[i] = byte(r.Uint32())
				}
				_, err := f.WriteAt(b, int64(r.IntN(9000)))
				story += fmt.Sprintln(err)
			}
		}
		if seed%3 == 0 { // else the room gets all back
			m := disk.Crash(simfs.PowerLoss)
			all = append(all, kept{m, show(m)})
			story += show(m)
		}
		for i := range 4 {
			b, err := afero.ReadFile(disk, fmt.Sprint("file ", i))
			story += fmt.Sprintf("%x %v\n", b, err)
		}
		for _, op := range disk.Log() {
			story += op.String() + "\n"
		}
		return story, all
	}
	for _, preset := range simfs.Presets() {
		var room simfs.Room
		var all []kept
		base := simfs.New(simfs.Options{Guarantees: preset, Garbage: simfs.Garbage{Block: true, Stale: true}})
		live(base, 99)
		start := base.Crash(simfs.PowerLoss)
		for seed := range uint64(40) {
			want, _ := live(start.Mount(simfs.Random(seed)), seed)
			disk := start.MountIn(&room, simfs.Random(seed))
			got, shared := live(disk, seed)
			if got != want {
				t.Fatalf("%s, seed %d: in a room that others have used\n%.3000s\nand without\n%.3000s", preset.Name, seed, got, want)
			}
			disk.Kill()
			room.Reclaim(disk)
			if _, err := disk.Open("file 1"); err == nil {
				t.Fatal("a disk lives that was reclaimed")
			}
			all = append(all, shared...)
		}
		for i, k := range all {
			if show(k.image) != k.shows {
				t.Fatalf("%s: image %d is another one now", preset.Name, i)
			}
		}
	}
}
