package engine_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simfs"
)

// The bank keeps its ledger from everybody but its own code, and remembers who
// tried.
func ExampleGate() {
	type clerk struct{}
	ledger := engine.Gate{
		Name:   "ledger",
		Record: true,
		Permit: func(ctx context.Context, proposal *engine.Proposal) error {
			for _, stream := range proposal.Streams() {
				if stream.Scope == "ledger" && ctx.Value(clerk{}) == nil {
					return fmt.Errorf("stream %q is for clerks", stream.Stream)
				}
			}
			return nil
		},
	}
	log, err := engine.Open(engine.Options{FS: simfs.New(simfs.Options{}), Gates: []engine.Gate{ledger}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()

	deposit := engine.Draft{Scope: "ledger", Stream: "account-7", Type: "deposited", Data: []byte("100")}
	_, err = log.Append(context.Background(), deposit)
	var denied *engine.DeniedError
	if errors.As(err, &denied) {
		fmt.Println(denied)
	}
	receipt, err := log.Append(context.WithValue(context.Background(), clerk{}, "Ada"), deposit)
	fmt.Println(receipt.Version, err)

	for note, err := range log.Notes(engine.NoteQuery{Name: engine.DeniedNote}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		denial, err := engine.ParseDenial(note)
		fmt.Println(denial.Trace, denial.Streams, denial.Types, err)
	}
	// Output:
	// gate "ledger" has denied the batch: stream "account-7" is for clerks
	// 1 <nil>
	// [{ledger denied stream "account-7" is for clerks}] [{ledger account-7}] [deposited] <nil>
}
