package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
)

func signCommand() command.Command {
	return command.Command{
		Name:  "sign",
		Short: "sign the head of a log",
		Form:  "--dir DIR --key FILE [flags]",
		Long: `Signs the head of the log: whoever has the public key can tell later that all that is in the log now was
there. The signature is appended, in a batch of its own after the head, and printed. Where nothing has come
after the last signature, and it is of the same key, that one is printed and nothing is written.

It takes the log's lock, as untorn append does; append --sign signs what it has appended. BATCH:HASH of the line
is for untorn verify --head.`,
		Exits: []int{command.ExitFine, command.ExitWrong, command.ExitUsage},
		Examples: []command.Example{
			{Line: "untorn sign --dir data --key ops.pem", Says: "sign what is there; untorn verify --keys says up to where it is signed"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			dir := dirFlag(flags)
			key := flags.String("key", "", "the `file` of the private key; required; untorn key --out makes one")
			asJSON := jsonFlag(flags, "print the signed head as one JSON object")
			return func(e *command.Env) error {
				name, err := dir()
				if err != nil {
					return err
				}
				if *key == "" {
					return command.Incomplete("no --key: name the file of the private key")
				}
				signing, err := readKey("--key: ", *key)
				if err != nil {
					return err
				}
				signing.When = engine.SignOnDemand
				signed, err := sign(e, name, signing)
				if err != nil {
					return err
				}
				if *asJSON {
					text, err := signed.MarshalJSON()
					if err != nil {
						return err
					}
					_, err = e.Stdout.Write(append(text, '\n'))
					return err
				}
				fmt.Fprintf(e.Stdout, "signed up to event %d, head %d:%v, by key %s\n", signed.Sequence, signed.Batch, signed.Hash, signed.KeyID)
				return nil
			}
		},
	}
}

func sign(e *command.Env, dir string, signing *engine.Signing) (signed proof.SignedHead, err error) {
	// To open a log for writing makes one: who signs has one.
	there, err := openQuietly(dir, false)
	if err != nil {
		return signed, err
	}
	empty := there.Stats().Batches == 0
	if err := there.Close(); err != nil {
		return signed, err
	}
	if empty {
		return signed, fmt.Errorf("nothing was ever appended in %s: there is nothing to sign", dir)
	}
	log, err := openToWrite(engine.Options{Dir: dir, Signing: signing})
	if err != nil {
		return signed, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return log.Sign(context.Background())
}
