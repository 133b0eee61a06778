package lanes

import (
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
)

// guarded maps a page between two that nobody may read, and returns all three.
func guarded(t *testing.T) []byte {
	t.Helper()
	page := syscall.Getpagesize()
	memory, err := syscall.Mmap(-1, 0, 3*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(memory); err != nil {
			t.Error(err)
		}
	})
	for i := range page {
		memory[page+i] = byte(i * 7)
	}
	for _, guard := range [][]byte{memory[:page], memory[2*page:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return memory
}

// A read outside a message, at either end, is a fault here, and that is a panic.
func TestReadsWithinMessages(t *testing.T) {
	memory, page := guarded(t), syscall.Getpagesize()
	each(t, func(t *testing.T, with kernels) {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // of this goroutine
		k := newKey(context, with)
		for size := range chunkSize + 1 {
			first, last := memory[page:page+size:page+size], memory[2*page-size:2*page:2*page]
			for _, message := range [][]byte{first, last} {
				if got, want := k.Sum(message), want(context, message); got != want {
					t.Fatalf("%d bytes:\ngot  %x\nwant %x", size, got, want)
				}
			}
			checkMany(t, k, context, [][]byte{first, last, first, last, first, last, first, last, last, first, last})
		}
	})
}

// A read of one byte beside the page does fault.
func TestGuardsBite(t *testing.T) {
	memory, page := guarded(t), syscall.Getpagesize()
	for at, faults := range map[int]bool{page - 1: true, page: false, 2*page - 1: false, 2 * page: true} {
		if got := faulty(memory, at); got != faults {
			t.Errorf("a read of byte %d of three pages of %d faults: %v, want %v", at, page, got, faults)
		}
	}
}

func faulty(memory []byte, at int) (faults bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { faults = recover() != nil }()
	runtime.KeepAlive(memory[at])
	return false
}
