package codec_test

import (
	"testing"

	"github.com/untorn-db/untorn/engine/codec/codectest"
)

// What a program that has events should have, too.
func TestEvents(t *testing.T) {
	events, err := shop()
	if err != nil {
		t.Fatal(err)
	}
	codectest.Golden(t, events, "testdata/events",
		Placed{Order: 42, Cents: 300, Currency: "SEK"},
		Paid{Order: 42},
	)
}
