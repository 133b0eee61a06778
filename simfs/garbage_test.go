package simfs

import (
	"strings"
	"testing"
)

// TestGarbageText: there is one text for each alphabet; the words of older plans
// and other orders mean one of them.
func TestGarbageText(t *testing.T) {
	for text, want := range map[string]Garbage{
		"zero":               {},
		"zero+garbage":       {Block: true, Seed: 7},
		"zero+stale":         {Stale: true},
		"zero+garbage+stale": {Block: true, Stale: true, Seed: 7},
	} {
		g, err := ParseGarbage(text, 7)
		if err != nil || g != want || g.String() != text {
			t.Errorf("%s is %+v, printed as %s; %v", text, g, g, err)
		}
	}
	for text, want := range map[string]string{
		"all": "zero+garbage+stale", "block": "zero+garbage", "stale": "zero+stale", "garbage": "zero+garbage", "stale+garbage": "zero+garbage+stale",
	} {
		if g, err := ParseGarbage(text, 7); err != nil || g.String() != want {
			t.Errorf("%s is %s, %v", text, g, err)
		}
	}
	for _, text := range []string{"", "some", "zero+", "zero+zero", "zero stale", "zero+all", "ZERO"} {
		if g, err := ParseGarbage(text, 7); err == nil || g != (Garbage{}) || !strings.Contains(err.Error(), "want zero, ") {
			t.Errorf("%q is %+v, %v", text, g, err)
		}
	}
}
