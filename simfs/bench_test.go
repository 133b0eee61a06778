package simfs

import (
	"fmt"
	"io"
	"testing"
)

func benchDisk(b *testing.B, g Guarantees, size int) (*FS, *File) {
	d := New(Options{Guarantees: g})
	h, err := d.Create("log")
	if err != nil {
		b.Fatal(err)
	}
	f := h.(*File)
	chunk := make([]byte, 64<<10)
	for i := range chunk {
		chunk[i] = byte(i*7 + 1)
	}
	for at := 0; at < size; at += len(chunk) {
		n := min(len(chunk), size-at)
		if _, err := f.WriteAt(chunk[:n], int64(at)); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	if err := d.SyncDir("/"); err != nil {
		b.Fatal(err)
	}
	return d, f
}

func BenchmarkWriteSync(b *testing.B) {
	for _, g := range Presets() {
		for _, size := range []int{64 << 10, 16 << 20} {
			b.Run(fmt.Sprintf("%s/%dKiB", g.Name, size>>10), func(b *testing.B) {
				_, f := benchDisk(b, g, size)
				p := make([]byte, 128)
				b.ReportAllocs()
				at := int64(0)
				for i := 0; b.Loop(); i++ {
					p[0], p[1], p[2] = byte(i), byte(i>>8), 1
					f.WriteAt(p, at)
					f.SyncData()
					if at += 128; at+128 > int64(size) {
						at = 0
					}
				}
			})
		}
	}
}

func BenchmarkCloneFirstWrite(b *testing.B) {
	for _, size := range []int{64 << 10, 100 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			d, _ := benchDisk(b, Posix(), size)
			p := make([]byte, 128)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c := d.Clone()
				f, _ := c.OpenFile("log", 2, 0)
				p[0] = byte(i)
				f.WriteAt(p, 4096)
			}
		})
	}
}

func BenchmarkCrashHash(b *testing.B) {
	for _, size := range []int{20 << 10, 16 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			d, f := benchDisk(b, Posix(), size)
			p := make([]byte, 128)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p[0], p[1], p[2] = byte(i), byte(i>>8), 1
				f.WriteAt(p, 4096)
				d.Crash(PowerLoss).Hash()
				f.SyncData()
			}
		})
	}
}

func BenchmarkMountRead(b *testing.B) {
	for _, dirty := range []int{0, 8} {
		b.Run(fmt.Sprintf("20KiB/%ddirty", dirty), func(b *testing.B) {
			d, f := benchDisk(b, Posix(), 20<<10)
			if dirty > 0 {
				f.WriteAt(make([]byte, dirty*512), 12<<10)
			}
			m := d.Crash(PowerLoss)
			buf := make([]byte, 64<<10)
			b.ReportAllocs()
			for b.Loop() {
				c := m.Mount(Oldest())
				h, err := c.Open("log")
				if err != nil {
					b.Fatal(err)
				}
				for {
					if _, err := h.Read(buf); err == io.EOF {
						break
					}
				}
				h.Close()
			}
		})
	}
}
