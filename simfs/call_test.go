package simfs

import (
	"io"
	"slices"
	"testing"
)

// A question says in which call it is asked, so that one greedy read can be told
// from many modest ones.
func TestQuestionsCountCalls(t *testing.T) {
	f := New(Options{})
	h, err := f.Create("a")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if _, err := h.WriteAt([]byte{byte('a' + i)}, int64(i)*512); err != nil {
			t.Fatal(err)
		}
	}
	image := f.Crash(PowerLoss)
	for _, v := range image.Vars() {
		if v.Call != -1 {
			t.Errorf("%s: call %d, want -1 outside a call", v, v.Call)
		}
	}
	calls := func(read func(a io.Reader, at io.ReaderAt)) (asked []int) {
		disk := image.Mount(ChooserFunc(func(v Var) int {
			asked = append(asked, v.Call)
			return len(v.Options) - 1
		}))
		if _, err := disk.Stat("b"); err == nil { // call 0 asks nothing
			t.Fatal("there is a file that nobody made")
		}
		a, err := disk.Open("a") // call 1: the name
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Stat(); err != nil { // call 2: the size
			t.Fatal(err)
		}
		read(a, a)
		return asked
	}
	buf := make([]byte, 2000)
	greedy := calls(func(_ io.Reader, at io.ReaderAt) { at.ReadAt(buf, 0) })
	if want := []int{1, 2, 3, 3, 3, 3}; !slices.Equal(greedy, want) {
		t.Errorf("one large read asks in calls %v, want %v", greedy, want)
	}
	lazy := calls(func(a io.Reader, _ io.ReaderAt) { io.ReadFull(a, buf[:1537]) })
	if want := []int{1, 2, 3, 4, 5, 6}; !slices.Equal(lazy, want) {
		t.Errorf("short reads ask in calls %v, want %v", lazy, want)
	}
}
