package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
)

func keyCommand() command.Command {
	return command.Command{
		Name:     "key",
		Short:    "make a key that signs logs",
		Form:     "--out FILE [--id ID], or untorn key FILE",
		Operands: "[FILE]",
		Long: `Makes a private key for untorn sign and append --sign, in a new file that only its owner may read (PEM,
PKCS #8, as openssl genpkey -algorithm ed25519 makes them), and prints the public one as a line for a file of
keys, as untorn verify --keys and untorn check --keys read it. With the FILE of a private key that is there, it
makes nothing, and prints the public line of that one.

Keep the file of keys where those who can write to the log cannot. After a key in it may stand the batches
for which it may sign, such as 1-4000: that retires it.`,
		Exits: []int{command.ExitFine, command.ExitWrong, command.ExitUsage},
		Examples: []command.Example{
			{Line: "untorn key --out ops.pem --id ops-2026 >>keys", Says: "a new private key, and its public line at the end of the trusted ones"},
			{Line: "untorn key ops.pem", Says: "the public line once more"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			out := flags.String("out", "", "the new `file` for the private key")
			id := flags.String("id", "", "the key's `id`, up to 64 letters, digits and characters of -._/@; without it one is made of the key")
			return func(e *command.Env) error {
				switch {
				case e.Operand() != "" && (*out != "" || *id != ""):
					return command.Incomplete("--out and --id are of a new key, and %s is one that is there: name one of them", e.Operand())
				case e.Operand() != "":
					return printKey(e, e.Operand())
				case *out == "":
					return command.Incomplete("no --out: name the file for the private key")
				}
				return makeKey(e, *out, *id)
			}
		},
	}
}

// keyLine begins the line in front of a private key that has its id. What stands
// before a PEM block is left alone by all who read one.
const keyLine = "untorn key "

func makeKey(e *command.Env, name, id string) (err error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if id == "" {
		id = ownID(public)
	}
	keys, err := proof.NewKeys(proof.Key{ID: id, Public: public})
	if err != nil {
		return command.Usage("--id is %q: %w", id, err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: name a new file; untorn key %s prints the public line of the key in it", name, name)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "%s%s\n%s", keyLine, id, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(name)) // half a key is none, and would be in the way of the next one
	}
	fmt.Fprint(e.Stdout, keys.Format())
	return nil
}

// printKey prints the public line of a private key.
func printKey(e *command.Env, name string) error {
	s, err := readKey("", name)
	if err != nil {
		return err
	}
	keys, err := proof.NewKeys(proof.Key{ID: s.KeyID, Public: s.Key.Public().(ed25519.PublicKey)})
	if err != nil {
		return command.Usage("%s: %w", name, err)
	}
	fmt.Fprint(e.Stdout, keys.Format())
	return nil
}

// ownID is the id of a key that nobody has named.
func ownID(public ed25519.PublicKey) string { return fmt.Sprintf("ed25519-%x", []byte(public[:8])) }

// readKey reads a private key, and its id. The flag is what errors begin with, such as
// "--sign: ".
func readKey(flag, name string) (*engine.Signing, error) {
	text, err := readFile(name, maxKeys)
	if err != nil {
		return nil, command.Usage("%s%w", flag, err)
	}
	wrong := func(format string, args ...any) (*engine.Signing, error) {
		return nil, command.Usage("%s%s: %w: untorn key --out makes one", flag, name, fmt.Errorf(format, args...))
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return wrong("there is no private key in it, in PEM and PKCS #8")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return wrong("%w", err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return wrong("it has a %T, and only Ed25519 signs logs", key)
	}
	s := &engine.Signing{Key: private, KeyID: ownID(private.Public().(ed25519.PublicKey))}
	if first, _, _ := strings.Cut(string(text), "\n"); strings.HasPrefix(first, keyLine) {
		s.KeyID = strings.TrimSpace(strings.TrimPrefix(first, keyLine))
	}
	return s, nil
}

// readKeys reads the public keys that are trusted.
func readKeys(name string) (proof.Keys, error) {
	text, err := readFile(name, maxKeys)
	if err != nil {
		return proof.Keys{}, command.Usage("--keys: %w", err)
	}
	if block, _ := pem.Decode(text); block != nil {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return proof.Keys{}, command.Usage("--keys: %s is a private key: give a file of public lines; untorn key %s prints the line of this one", name, name)
		}
		return proof.Keys{}, command.Usage("--keys: %s is PEM: give a file of lines ID ed25519 HEX, as untorn key prints them", name)
	}
	keys, err := proof.ParseKeys(string(text))
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		if all := several.Unwrap(); len(all) > 1 { // one of another file would be wrong on each line
			err = fmt.Errorf("%w; and %s", all[0], command.Count(uint64(len(all)-1), "more line is wrong", "more lines are wrong"))
		} else {
			err = all[0]
		}
	}
	if err != nil {
		return proof.Keys{}, command.Usage("--keys: %s: %w", name, err)
	}
	if keys.Format() == "" {
		return proof.Keys{}, command.Usage("--keys: there is no key in %s: untorn key FILE prints the line of a private key", name)
	}
	return keys, nil
}
