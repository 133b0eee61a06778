package engine_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/engine"
)

// TestSelects: each field of a query that is about what events are narrows it, and
// no other does. That Read selects the same is seen where projections use it.
func TestSelects(t *testing.T) {
	type q = engine.Query
	event := engine.Event{Sequence: 7, Version: 3, Scope: "a", Stream: "s", Type: "t"}
	root := engine.Event{Sequence: 7, Version: 3, Stream: "s", Type: "t"}
	for _, row := range []struct {
		query q
		event engine.Event
		want  bool
	}{
		{q{}, event, true},
		{q{}, root, true},
		{q{Scope: "a"}, event, true},
		{q{Scope: "b"}, event, false},
		{q{Scope: "a"}, root, false},
		{q{Scope: "a", Stream: "s"}, event, true},
		{q{Scope: "a", Stream: "u"}, event, false},
		{q{Stream: "s"}, event, false}, // of the scope ""
		{q{Stream: "s"}, root, true},
		{q{Types: []string{"u", "t"}}, event, true},
		{q{Types: []string{"u"}}, event, false},
		{q{Stream: "s", FromVersion: 3, ToVersion: 3}, root, true},
		{q{Stream: "s", FromVersion: 4}, root, false},
		{q{Stream: "s", ToVersion: 2}, root, false},
		{q{FromSequence: 7, ToSequence: 7}, event, true},
		{q{FromSequence: 8}, event, false},
		{q{ToSequence: 6}, event, false},
		{q{Backward: true, Limit: 1, Buffered: true, Borrow: true}, event, true},
	} {
		if got := row.query.Selects(&row.event); got != row.want {
			t.Errorf("%+v selects %q of scope %q: %t", row.query, row.event.Stream, row.event.Scope, got)
		}
	}
}

// TestIdentityOfQueries: the bytes are those of FORMAT.md, behind what was there,
// and the query is left as it is.
func TestIdentityOfQueries(t *testing.T) {
	q := engine.Query{Scope: "a", Stream: "st", Types: []string{"u", "t", "u"}, FromVersion: 1, ToVersion: 2, ToSequence: 258, Borrow: true}
	want := []byte("x" +
		"\x01\x00\x00\x00a" + "\x02\x00\x00\x00st" +
		"\x02\x00\x00\x00" + "\x01\x00\x00\x00t" + "\x01\x00\x00\x00u" +
		"\x01\x00\x00\x00\x00\x00\x00\x00" + "\x02\x00\x00\x00\x00\x00\x00\x00" +
		"\x01\x00\x00\x00\x00\x00\x00\x00" + "\x02\x01\x00\x00\x00\x00\x00\x00")
	if got := q.AppendIdentity([]byte("x")); !bytes.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := strings.Join(q.Types, ""); got != "utu" {
		t.Errorf("the types are now %s", got)
	}
}

// TestLastingQueries: all that is wrong is told at once.
func TestLastingQueries(t *testing.T) {
	type q = engine.Query
	for _, row := range []struct {
		query     q
		way, from bool // it says that Backward and such, or versions, are wrong
	}{
		{q{}, false, false},
		{q{Scope: "a", Stream: "s", Types: []string{"t"}, FromVersion: 1, ToVersion: 2, FromSequence: 3, ToSequence: 4, Borrow: true}, false, false},
		{q{Backward: true}, true, false},
		{q{Limit: 1}, true, false},
		{q{Limit: -1}, true, false},
		{q{Buffered: true}, true, false},
		{q{FromVersion: 1}, false, true},
		{q{Scope: "a", ToVersion: 1}, false, true},
		{q{Limit: 1, ToVersion: 1}, true, true},
	} {
		err := row.query.CheckLasting()
		if errors.Is(err, engine.ErrInvalid) != (row.way || row.from) || (err != nil) != (row.way || row.from) {
			t.Errorf("%+v: %v", row.query, err)
			continue
		}
		if err == nil {
			continue
		}
		if text := err.Error(); strings.Contains(text, "no Backward, Limit or Buffered") != row.way || strings.Contains(text, "need a Stream") != row.from {
			t.Errorf("%+v: %v", row.query, err)
		}
	}
}
