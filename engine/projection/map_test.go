package projection_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/engine/projection"
)

// TestMapIsAMap that never changes: every one that was ever made stays as it was.
func TestMapIsAMap(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		type both struct {
			m     projection.Map[int, string]
			model map[int]string
		}
		all := []both{{model: map[int]string{}}}
		steps := rapid.IntRange(1, 120).Draw(r, "steps")
		for range steps {
			from := all[len(all)-1-rapid.IntRange(0, min(2, len(all)-1)).Draw(r, "back")]
			key := rapid.IntRange(0, 30).Draw(r, "key")
			next := both{model: maps.Clone(from.model)}
			if rapid.Bool().Draw(r, "delete") {
				next.m = from.m.Delete(key)
				delete(next.model, key)
			} else {
				value := rapid.StringMatching("[a-c]").Draw(r, "value")
				next.m = from.m.Set(key, value)
				next.model[key] = value
			}
			all = append(all, next)
		}
		for _, b := range all {
			keys := slices.Sorted(maps.Keys(b.model))
			var got []int
			for key, value := range b.m.All() {
				got = append(got, key)
				if found, ok := b.m.Lookup(key); !ok || found != value || value != b.model[key] || b.m.Get(key) != value {
					r.Fatalf("%d is %q, want %q", key, value, b.model[key])
				}
			}
			if !slices.Equal(got, keys) || b.m.Len() != len(keys) || !b.m.Balanced() {
				r.Fatalf("keys %v, want %v; balanced %v", got, keys, b.m.Balanced())
			}
			if _, ok := b.m.Lookup(31); ok || b.m.Get(31) != "" {
				r.Fatal("a key that is not there")
			}
			data, err := json.Marshal(b.m)
			if err != nil {
				r.Fatal(err)
			}
			var back projection.Map[int, string]
			if err := json.Unmarshal(data, &back); err != nil {
				r.Fatal(err)
			}
			again, err := json.Marshal(back)
			if err != nil || string(again) != string(data) || !back.Balanced() || !maps.Equal(maps.Collect(back.All()), b.model) {
				r.Fatalf("%s comes back as %s, %v", data, again, err)
			}
		}
	})
}

func TestMapStaysBalanced(t *testing.T) {
	var rising projection.Map[int, int]
	for i := range 2000 {
		if rising = rising.Set(i, i); !rising.Balanced() {
			t.Fatalf("after key %d", i)
		}
	}
	for i := range 1990 {
		if rising = rising.Delete(i); !rising.Balanced() || rising.Len() != 1999-i {
			t.Fatalf("without key %d", i)
		}
	}
	for range rising.All() {
		break
	}
}

func TestMapRefusesWhatItDoesNotWrite(t *testing.T) {
	for _, text := range []string{`{}`, `[1]`, `[[1]]`, `[[1,2,3]]`, `[["a",1]]`, `[[1,"a"]]`, `[[2,1],[1,1]]`, `[[1,1],[1,1]]`} {
		var m projection.Map[int, int]
		if err := json.Unmarshal([]byte(text), &m); err == nil {
			t.Errorf("%s is read as %v", text, maps.Collect(m.All()))
		}
	}
	m := projection.Map[int, int]{}.Set(1, 1)
	if err := json.Unmarshal([]byte(`[]`), &m); err != nil || m.Len() != 0 {
		t.Errorf("[]: %v, %d keys", err, m.Len())
	}
	if data, err := json.Marshal(projection.Map[string, []int]{}.Set("b", nil).Set("a", []int{1})); string(data) != `[["a",[1]],["b",null]]` || err != nil {
		t.Errorf("%s, %v", data, err)
	}
}
