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

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
)

func keyCommand() command {
	return command{
		name:  "key",
		short: "make a key that signs logs",
		long: `Makes a private key for untorn append --sign, in a new file that only its owner may read (PEM, PKCS #8, as
openssl genpkey -algorithm ed25519 makes them), and prints the public one as a line for a file of keys, as
untorn verify --keys and untorn check --keys read it:

  untorn key --out ops.pem --id ops-2026 >>keys

Keep the file of keys where those who can write to the log cannot. Behind a key in it may stand the batches
for which it may sign, such as 1-4000: that retires it.`,
		prepare: func(flags *flag.FlagSet) func(*env) error {
			out := flags.String("out", "", "the new `file` for the private key; required")
			id := flags.String("id", "", "the key's `id`, up to 64 letters, digits and characters of -._/@; without it one is made of the key")
			return func(e *env) error {
				if *out == "" {
					return usage("no --out: name the file for the private key")
				}
				return makeKey(e, *out, *id)
			}
		},
	}
}

// keyLine begins the line in front of a private key that has its id. What stands
// before a PEM block is left alone by all who read one.
const keyLine = "untorn key "

func makeKey(e *env, name, id string) (err error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if id == "" {
		id = ownID(public)
	}
	keys, err := proof.NewKeys(proof.Key{ID: id, Public: public})
	if err != nil {
		return usage("--id is %q: %w", id, err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: name a new file", name)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "%s%s\n%s", keyLine, id, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	fmt.Fprint(e.stdout, keys.Format())
	return nil
}

// ownID is the id of a key that nobody has named.
func ownID(public ed25519.PublicKey) string { return fmt.Sprintf("ed25519-%x", []byte(public[:8])) }

// readKey reads a private key, and its id.
func readKey(name string) (*engine.Signing, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, usage("--sign: %w", err)
	}
	wrong := func(format string, args ...any) (*engine.Signing, error) {
		return nil, usage("--sign: %s: %w: untorn key makes one", name, fmt.Errorf(format, args...))
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
	text, err := os.ReadFile(name)
	if err != nil {
		return proof.Keys{}, usage("--keys: %w", err)
	}
	keys, err := proof.ParseKeys(string(text))
	if err != nil {
		return proof.Keys{}, usage("--keys: %s: %w", name, err)
	}
	return keys, nil
}
