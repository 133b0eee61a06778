package simfs

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// question is a variable with n options.
func question(n int) Var { return Var{Options: make([]VarOption, n)} }

func TestWalkTakesEveryWay(t *testing.T) {
	var ways []string
	leaves, all := Walk(100, func(a *Answers) {
		way := fmt.Sprint(a.Choose(question(2)))
		if way == "1" {
			way += fmt.Sprint(a.Choose(question(3)))
		}
		way += fmt.Sprint(a.Choose(question(2)))
		ways = append(ways, way)
	})
	if want := []string{"00", "01", "100", "101", "110", "111", "120", "121"}; leaves != 8 || !all || !slices.Equal(ways, want) {
		t.Errorf("%d leaves, all %v: %q, want %q", leaves, all, ways, want)
	}
	if leaves, all := Walk(7, func(a *Answers) { a.Choose(question(8)) }); leaves != 7 || all {
		t.Errorf("limit 7: %d leaves, all %v", leaves, all)
	}
}

func TestWalkNoticesOtherQuestions(t *testing.T) {
	defer func() {
		if r := fmt.Sprint(recover()); !strings.Contains(r, "deterministic") {
			t.Errorf("panic %q, want one that says what must be deterministic", r)
		}
	}()
	n := 2
	Walk(100, func(a *Answers) { a.Choose(question(n)); n++ })
}
