// Command audit keeps an audit trail: who has opened which patient's record. The
// patient gets a receipt: a file that proves, without the trail, that it is in there.
//
//	go run ./engine/examples/audit             # plays it, in a new directory audit-data
//
// The last three lines that it prints are three frauds that fail. Then:
//
//	go run ./cmd/untorn check --proof audit-data/receipt-1.json --keys audit-data/keys
//	go run ./cmd/untorn verify --dir audit-data/trail --keys audit-data/keys
//
// Who has what:
//
//	hospital   trail ─┬▶ head ──▶ signed, by a private key ─┬▶ receipt-1.json ─╮
//	                  ╰▶ event ──▶ proof ───────────────────╯                  ├▶ check
//	patient    public keys ────────────────────────────────────────────────────╯
package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/diskfs"
	"github.com/untorn-db/untorn/engine/proof"
)

func main() {
	flag.Usage = func() { fmt.Fprintln(os.Stderr, "usage: audit [DIR]") }
	flag.Parse()
	dir := cmp.Or(flag.Arg(0), "audit-data")
	if err := play(dir, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "audit:", err)
		os.Exit(1)
	}
}

func play(dir string, out io.Writer) error {
	if _, err := os.Lstat(dir); err == nil { // the private keys of a trail that is there are gone
		return fmt.Errorf("%s is there already, and its keys are gone: remove it, or name another directory", dir)
	}
	disk, err := diskfs.Open(dir, diskfs.Options{})
	if err != nil {
		return err
	}
	return errors.Join(run(context.Background(), engine.Options{FS: disk}, out), disk.Close())
}

// run plays two years of a hospital, then a patient, then somebody who has something
// to hide. Real private keys are kept where the trail is not.
func run(ctx context.Context, options engine.Options, out io.Writer) error {
	// The hospital. Each year has a key; whoever verifies believes each for its own
	// batches, and what the old one has signed stays good.
	oldPublic, oldPrivate, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	newPublic, newPrivate, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	receipts, last, err := keep(ctx, options, "hospital-2025", oldPrivate,
		look{"patient-7", "Dr. Byron", "fever"}, look{"patient-8", "Dr. Byron", "check-up"})
	if err != nil {
		return err
	}
	more, now, err := keep(ctx, options, "hospital-2026", newPrivate, look{"patient-7", "Dr. Gauss", "curiosity"})
	if err != nil {
		return err
	}
	receipts = append(receipts, more...)
	keys, err := proof.NewKeys(
		proof.Key{ID: "hospital-2025", Public: oldPublic, Until: last.Batch},
		proof.Key{ID: "hospital-2026", Public: newPublic, From: last.Batch + 1})
	if err != nil {
		return err
	}
	if err := afero.WriteFile(options.FS, "keys", []byte(keys.Format()), 0o644); err != nil {
		return err
	}
	for i, receipt := range receipts {
		if err := afero.WriteFile(options.FS, fmt.Sprintf("receipt-%d.json", i+1), receipt, 0o644); err != nil {
			return err
		}
	}

	// The patients.
	for _, receipt := range receipts {
		says, err := check(receipt, keys)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, says)
	}

	// Three frauds, each of which must fail. Somebody changes one byte of a receipt: it
	// was patient-8.
	forged := bytes.Replace(receipts[2], []byte("patient-7"), []byte("patient-8"), 1)
	_, err = check(forged, keys)
	fmt.Fprintln(out, "forged receipt:", err)
	// Somebody has found the old key, and signs what the trail says today.
	stolen, err := proof.Sign(now.Head, "hospital-2025", oldPrivate)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "stolen key:    ", keys.Verify(stolen))
	// Somebody changes one byte of the trail: it was Dr. Myron.
	fmt.Fprintln(out, "forged trail:  ", auditCopy(ctx, options, keys, "Dr. Byron", "Dr. Myron"))
	return nil
}
