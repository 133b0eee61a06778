package main

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/diskfs"
	"github.com/untorn-db/untorn/engine/proof"
)

// look is somebody's look at a patient's record.
type look struct {
	Patient string `json:"-"` // the stream
	Who     string `json:"who"`
	Why     string `json:"why"`
}

// handedOut is a receipt's file, as untorn prove writes it. There is nothing personal
// in it: a proof has no content, only its hash.
type handedOut struct {
	Statement proof.Statement `json:"statement"`
	Proof     proof.Proof     `json:"proof"`
}

// trail is the hospital's log, whose heads it signs.
type trail struct{ *engine.Log }

func openTrail(options engine.Options, keyID string, key crypto.Signer) (trail, error) {
	options.Dir = "trail"
	options.Signing = &engine.Signing{KeyID: keyID, Key: key, When: engine.SignOnDemand}
	log, err := engine.Open(options)
	return trail{log}, err
}

// record records a look. What is personal is Erasable: its hash is salted, so that
// nobody can guess it from a receipt, and receipts hold when it is gone.
func (t trail) record(ctx context.Context, l look) (engine.Receipt, error) {
	data, err := json.Marshal(l)
	if err != nil {
		return engine.Receipt{}, err
	}
	return t.Append(ctx, engine.Draft{Stream: l.Patient, Type: "record.opened", Data: data, Erasable: true})
}

// handOut makes a receipt into a file for somebody who does not have the trail.
func (t trail) handOut(ctx context.Context, receipt engine.Receipt) ([]byte, error) {
	if _, err := t.Sign(ctx); err != nil { // a head above the event; one is enough for many
		return nil, err
	}
	p, err := t.Prove(ctx, receipt.ID)
	if err != nil {
		return nil, err
	}
	return json.Marshal(handedOut{t.Statement(receipt), p})
}

// keep opens the trail, records, hands out receipts, and returns the last head that
// the key has signed.
func keep(ctx context.Context, options engine.Options, keyID string, key crypto.Signer, looks ...look) (files [][]byte, last proof.SignedHead, err error) {
	t, err := openTrail(options, keyID, key)
	if err != nil {
		return nil, last, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	for _, l := range looks {
		receipt, err := t.record(ctx, l)
		if err != nil {
			return nil, last, err
		}
		file, err := t.handOut(ctx, receipt)
		if err != nil {
			return nil, last, err
		}
		files = append(files, file)
	}
	last, err = t.Sign(ctx)
	return files, last, err
}

// auditCopy verifies a copy of the trail, in which a text was changed, and returns what
// is wrong with it.
func auditCopy(ctx context.Context, options engine.Options, keys proof.Keys, old, changed string) error {
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	copied, err := diskfs.Open(dir, diskfs.Options{})
	if err != nil {
		return err
	}
	defer copied.Close()
	err = afero.Walk(options.FS, "trail", func(name string, info fs.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if info.IsDir() {
			return copied.Mkdir(name, 0o755)
		}
		data, err := afero.ReadFile(options.FS, name)
		if err != nil {
			return err
		}
		return afero.WriteFile(copied, name, bytes.Replace(data, []byte(old), []byte(changed), 1), 0o644)
	})
	if err != nil {
		return err
	}
	log, err := engine.Open(engine.Options{FS: copied, Dir: "trail", ReadOnly: true, Salvage: true}) // as far as it is whole
	if err != nil {
		return err
	}
	defer log.Close()
	_, err = log.VerifySigned(ctx, keys)
	return err
}
