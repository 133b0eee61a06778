package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/untorn-db/untorn/engine/proof"
)

// check is what a patient does with a receipt, or a court: it needs no log, no
// network and no trust, but for the hospital's public keys.
func check(file []byte, keys proof.Keys) (string, error) {
	var r handedOut
	if err := json.Unmarshal(file, &r); err != nil {
		return "", err
	}
	verdict, err := proof.Verify(r.Statement, &r.Proof, keys)
	if err != nil {
		return "", err // what does not hold: errors.Is(err, proof.BadSignature), say
	}
	if !verdict.Signed {
		return "", errors.New("nobody has signed it: anybody can make it up")
	}
	opened, err := r.Proof.Event()
	if err != nil {
		return "", err
	}
	at := time.Unix(0, opened.Time).UTC().Format(time.DateOnly)
	return fmt.Sprintf("%s, %s on %s, is entry %d of the trail; signed by %s", r.Statement.Stream, opened.Event.Type, at, r.Statement.Sequence, verdict.KeyID), nil
}
