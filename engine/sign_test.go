package engine_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/chain"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/engine/record"
	"github.com/untorn-db/untorn/simfs"
)

// testKey is a private key that everybody has.
func testKey(n byte) ed25519.PrivateKey {
	seed := [ed25519.SeedSize]byte{n}
	return ed25519.NewKeyFromSeed(seed[:])
}

// public is the key with an id that a signer has.
func public(id string, signer crypto.Signer) proof.Key {
	return proof.Key{ID: id, Public: signer.Public().(ed25519.PublicKey)}
}

func trusted(t *testing.T, list ...proof.Key) proof.Keys {
	t.Helper()
	keys, err := proof.NewKeys(list...)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func signing(when engine.SignWhen, signer crypto.Signer) *engine.Signing {
	return &engine.Signing{KeyID: "ops-1", Key: signer, When: when}
}

// signatures lists the signatures of a log, as key:head@batch of the note.
func signatures(t *testing.T, log *engine.Log) []string {
	t.Helper()
	var list []string
	for n, err := range log.Notes(engine.NoteQuery{Name: engine.SignatureNote}) {
		var signed proof.SignedHead
		if err == nil {
			err = signed.UnmarshalBinary(n.Data)
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s:%d@%d", signed.KeyID, signed.Batch, n.Batch))
	}
	return list
}

// witness signs, and remembers what it was asked for. Before it answers it calls
// during, if that is there.
type witness struct {
	ed25519.PrivateKey
	asked  []proof.Head
	err    error
	during func()
}

func (w *witness) Sign(random io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	fields := message[len("untorn log head v1\n"):]
	w.asked = append(w.asked, proof.Head{
		LogID: uuid.UUID(fields), Batch: binary.LittleEndian.Uint64(fields[16:]),
		Sequence: binary.LittleEndian.Uint64(fields[24:]), Hash: chain.Hash(fields[32:]),
	})
	if w.during != nil {
		w.during()
	}
	if w.err != nil {
		return nil, w.err
	}
	return w.PrivateKey.Sign(random, message, opts)
}

// TestSigningModes: when heads are signed, and where the signatures stand.
func TestSigningModes(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		when       engine.SignWhen
		open, then []string // signatures before the Close, and behind it
	}{
		{engine.SignOnDemand, nil, nil},
		{engine.SignAtClose, nil, []string{"ops-1:3@4"}},
		// The first signature goes with the second group, and so on. What is signed at
		// the end is written by Close.
		{engine.SignEachGroup, []string{"ops-1:1@3", "ops-1:3@5"}, []string{"ops-1:1@3", "ops-1:3@5", "ops-1:5@6"}},
	} {
		t.Run(fmt.Sprint(c.when), func(t *testing.T) {
			key := testKey(1)
			m := newMachine(t, engine.Options{Signing: signing(c.when, key)})
			log := m.open()
			var receipts []engine.Receipt
			for _, payload := range []string{"one", "two", "three"} {
				receipts = append(receipts, appended(t, log, payload)...)
				m.clock.Yield()
			}
			is(t, "open", signatures(t, log), c.open)
			keys := trusted(t, public("ops-1", key))
			verdict, err := log.VerifyReceiptSigned(ctx, receipts[2], keys)
			// In the last case the signature is there, and waits to be written.
			if want := c.when == engine.SignEachGroup; err != nil || verdict.Signed != want {
				t.Errorf("the last receipt: %+v, %v", verdict, err)
			}
			closed(t, log)
			for range 2 {
				before := tree(t, m.disk)
				log = m.open()
				is(t, "closed", signatures(t, log), c.then)
				v, err := log.VerifySigned(ctx, keys)
				if err != nil || int(v.Signatures) != len(c.then) || v.Signed.Signed() != (len(c.then) > 0) {
					t.Errorf("%+v, %v", v, err)
				}
				for i, r := range receipts {
					verdict, err := log.VerifyReceiptSigned(ctx, r, keys)
					if err != nil || verdict.Signed != (len(c.then) > 0) || verdict.Head.Batch < r.Batch {
						t.Errorf("receipt %d: %+v, %v", i, verdict, err)
					}
					p, err := log.Prove(ctx, r.ID)
					if err != nil {
						t.Fatal(err)
					}
					if offline, err := proof.Verify(log.Statement(r), &p, keys); err != nil || offline != verdict {
						t.Errorf("receipt %d, offline: %+v, %v; with the log %+v", i, offline, err, verdict)
					}
				}
				// Nothing but signatures came behind the last one: nothing to be signed.
				if err := log.Sync(ctx); err != nil {
					t.Fatal(err)
				}
				m.clock.Yield()
				closed(t, log)
				if !reflect.DeepEqual(tree(t, m.disk), before) {
					t.Error("a log at rest was written to")
				}
			}
			m.reopened("one", "two", "three")
		})
	}
}

// TestSign: on demand in every mode, once for a head and a key; and keys rotate.
func TestSign(t *testing.T) {
	ctx := context.Background()
	for _, when := range []engine.SignWhen{engine.SignAtClose, engine.SignEachGroup, engine.SignOnDemand} {
		t.Run(fmt.Sprint(when), func(t *testing.T) {
			key := &witness{PrivateKey: testKey(1)}
			m := newMachine(t, engine.Options{Signing: signing(when, key)})
			log := m.open()
			if _, err := log.Sign(ctx); !errors.Is(err, engine.ErrInvalid) || !errors.Is(err, engine.ErrRejected) {
				t.Errorf("an empty log is signed: %v", err)
			}
			receipts := appended(t, log, "one", "two")
			m.clock.Yield()
			first, err := log.Sign(ctx)
			if err != nil || first.Batch != 1 || first.Sequence != 2 || first.LogID != log.ID() || first.KeyID != "ops-1" {
				t.Fatalf("%+v, %v", first, err)
			}
			m.clock.Yield()
			if again, err := log.Sign(ctx); err != nil || again != first {
				t.Errorf("signed again: %+v, %v", again, err)
			}
			if n := len(key.asked); n != 1 {
				t.Errorf("the signer was asked %d times", n)
			}
			m.powerLoss(simfs.Oldest()) // it is durable
			next := &witness{PrivateKey: testKey(2)}
			m.options.Signing = &engine.Signing{KeyID: "ops-2", Key: next, When: when}
			log = m.open()
			is(t, "after a power cut", signatures(t, log), []string{"ops-1:1@2"})
			second, err := log.Sign(ctx) // of another key
			if err != nil || second.Batch != 2 || second.KeyID != "ops-2" {
				t.Fatalf("%+v, %v", second, err)
			}
			receipts = append(receipts, appended(t, log, "three")...)
			if third, err := log.Sign(ctx); err != nil || third.Batch != 4 {
				t.Fatalf("%+v, %v", third, err)
			}
			m.clock.Yield() // the task finds that all is signed
			if n := len(next.asked); n != 2 {
				t.Errorf("the signer was asked %d times", n)
			}
			closed(t, log)

			log = m.open()
			defer closed(t, log)
			is(t, "rotated", signatures(t, log), []string{"ops-1:1@2", "ops-2:2@3", "ops-2:4@5"})
			old, young := public("ops-1", testKey(1)), public("ops-2", next)
			until := func(k proof.Key, batch uint64) proof.Key { k.Until = batch; return k }
			from := func(k proof.Key, batch uint64) proof.Key { k.From = batch; return k }
			for _, c := range []struct {
				what     string
				keys     proof.Keys
				all      error // what VerifySigned says
				signed   []string
				receipts error // what VerifyReceiptSigned says
			}{
				{"both", trusted(t, until(old, 1), from(young, 2)), nil, []string{"ops-1", "ops-1", "ops-2"}, nil},
				{"the new one", trusted(t, young), proof.UnknownKey, []string{"ops-2", "ops-2", "ops-2"}, nil},
				{"the new one, from batch 4 on", trusted(t, old, from(young, 4)), proof.RetiredKey, []string{"ops-1", "ops-1", "ops-2"}, nil},
				{"none", proof.Keys{}, proof.UnknownKey, nil, proof.UnknownKey},
				{"both retired", trusted(t, from(old, 9), from(young, 9)), proof.RetiredKey, nil, proof.RetiredKey},
				{"another of that name", trusted(t, public("ops-1", testKey(7)), public("ops-2", testKey(7))), proof.BadSignature, nil, proof.BadSignature},
			} {
				v, err := log.VerifySigned(ctx, c.keys)
				if !errors.Is(err, c.all) || (err == nil) != (c.all == nil) || err != nil && !errors.Is(err, engine.ErrCorrupt) {
					t.Errorf("%s: Verify says %v", c.what, err)
				}
				if c.all == nil && v.Signed.Batch != 4 {
					t.Errorf("%s: signed up to %d", c.what, v.Signed.Batch)
				}
				for i, r := range receipts {
					verdict, err := log.VerifyReceiptSigned(ctx, r, c.keys)
					if !errors.Is(err, c.receipts) || (err == nil) != (c.receipts == nil) {
						t.Errorf("%s, receipt %d: %v", c.what, i, err)
					}
					if err == nil && (!verdict.Signed || verdict.KeyID != c.signed[i]) {
						t.Errorf("%s, receipt %d: %+v", c.what, i, verdict)
					}
				}
			}
			verified(t, log)
			if when != engine.SignOnDemand {
				return
			}
			// To any other head that covers it.
			for signed, err := range log.SignedHeads(1) {
				if err != nil {
					t.Fatal(err)
				}
				p, err := log.ProveTo(ctx, receipts[1].ID, signed)
				if err != nil || p.Head != signed {
					t.Fatalf("to batch %d: %v", signed.Batch, err)
				}
				if verdict, err := proof.Verify(log.Statement(receipts[1]), &p, trusted(t, old, young)); err != nil || verdict.Head != signed.Head {
					t.Errorf("to batch %d: %+v, %v", signed.Batch, verdict, err)
				}
			}
			other := func(change func(h *proof.SignedHead)) proof.SignedHead { h := second; change(&h); return h }
			for what, c := range map[string]struct {
				head proof.SignedHead
				want error
			}{
				"another log":    {other(func(h *proof.SignedHead) { h.LogID[0]++ }), proof.OtherLog},
				"another head":   {other(func(h *proof.SignedHead) { h.Hash[0]++ }), proof.NotUnderHead},
				"before it":      {other(func(h *proof.SignedHead) { h.Batch = 0 }), proof.WrongCount},
				"behind the log": {other(func(h *proof.SignedHead) { h.Batch = 99 }), proof.WrongCount},
			} {
				if _, err := log.ProveTo(ctx, receipts[0].ID, c.head); !errors.Is(err, c.want) {
					t.Errorf("to a head of %s: %v", what, err)
				}
			}
			if _, err := log.Prove(ctx, uuid.UUID{1}); !errors.Is(err, engine.ErrNotFound) {
				t.Errorf("an event that is not there is proven: %v", err)
			}
			ended, end := context.WithCancel(ctx)
			end()
			if _, err := log.Prove(ended, receipts[0].ID); !errors.Is(err, context.Canceled) {
				t.Errorf("the context has ended: %v", err)
			}
		})
	}
}

// TestReceiptsThatAreWrong: every field of a receipt is compared, and the error
// says which it is.
func TestReceiptsThatAreWrong(t *testing.T) {
	ctx := context.Background()
	key := testKey(1)
	m := newMachine(t, engine.Options{Signing: signing(engine.SignOnDemand, key)})
	log := m.open()
	defer closed(t, log)
	receipt := appended(t, log, "one", "two")[1]
	if _, err := log.Sign(ctx); err != nil {
		t.Fatal(err)
	}
	keys := trusted(t, public("ops-1", key))
	for what, c := range map[string]struct {
		change func(r *engine.Receipt)
		want   error
	}{
		"id":       {func(r *engine.Receipt) { r.ID[0]++ }, engine.ErrNotFound},
		"scope":    {func(r *engine.Receipt) { r.Scope = "x" }, proof.WrongScope},
		"stream":   {func(r *engine.Receipt) { r.Stream = "x" }, proof.WrongStream},
		"sequence": {func(r *engine.Receipt) { r.Sequence = 1 }, proof.WrongSequence},
		"version":  {func(r *engine.Receipt) { r.Version++ }, proof.WrongVersion},
		"batch":    {func(r *engine.Receipt) { r.Batch++ }, proof.WrongBatch},
		"hash":     {func(r *engine.Receipt) { r.Hash[0]++ }, proof.WrongHash},
		"nothing":  {func(r *engine.Receipt) { r.Position.Offset, r.Durable = 1, false }, nil},
	} {
		wrong := receipt
		c.change(&wrong)
		_, signed := log.VerifyReceiptSigned(ctx, wrong, keys)
		for _, err := range []error{log.VerifyReceipt(wrong), signed} {
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || err != nil && errors.Is(err, engine.ErrInvalid) == (c.want == engine.ErrNotFound) {
				t.Errorf("another %s: %v", what, err)
			}
		}
	}
}

// TestOptionsOfSigning: what cannot sign is refused when the log is opened.
func TestOptionsOfSigning(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for what, o := range map[string]engine.Options{
		"no key":              {Signing: &engine.Signing{KeyID: "a"}},
		"an empty key":        {Signing: &engine.Signing{KeyID: "a", Key: ed25519.PrivateKey{}}},
		"an RSA key":          {Signing: &engine.Signing{KeyID: "a", Key: weak}},
		"no id":               {Signing: &engine.Signing{Key: testKey(1)}},
		"a space in the id":   {Signing: &engine.Signing{KeyID: "a b", Key: testKey(1)}},
		"an unknown When":     {Signing: &engine.Signing{KeyID: "a", Key: testKey(1), When: 3}},
		"read-only":           {ReadOnly: true, Signing: &engine.Signing{KeyID: "a", Key: testKey(1)}},
		"no room for a note":  {MaxMetadata: 100, Signing: &engine.Signing{KeyID: "a", Key: testKey(1)}},
		"no room for a batch": {MaxBatchBytes: 1000, Signing: &engine.Signing{KeyID: "a", Key: testKey(1)}},
	} {
		o.Dir = t.TempDir()
		log, err := engine.Open(o)
		if err == nil {
			log.Close()
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
	m := newMachine(t, engine.Options{})
	log := m.open()
	defer closed(t, log)
	appended(t, log, "one")
	if _, err := log.Sign(context.Background()); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("a log without Signing signs: %v", err)
	}
}

// TestSignerFails: the log goes on without signatures, says so once, and Close says
// it too; the next session signs everything.
func TestSignerFails(t *testing.T) {
	ctx := context.Background()
	broken := errors.New("the device is gone")
	for what, key := range map[string]*witness{
		"an error": {PrivateKey: testKey(1), err: broken},
		"a panic":  {PrivateKey: testKey(1), during: func() { panic(broken) }},
		// proof.Sign verifies the answer of its signer.
		"garbage": {PrivateKey: append(testKey(1)[:32:32], testKey(2)[32:]...)},
	} {
		t.Run(what, func(t *testing.T) {
			var lines strings.Builder
			var told []string
			m := newMachine(t, engine.Options{
				Metrics: &engine.Metrics{Signature: func(s engine.SignatureStats) { told = append(told, fmt.Sprint(s.Batch, " ", s.Err != nil)) }},
				Signing: signing(engine.SignEachGroup, key), Logger: slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelWarn})),
			})
			log := m.open()
			for _, payload := range []string{"one", "two", "three"} {
				appended(t, log, payload)
				m.clock.Yield()
			}
			if n := strings.Count(lines.String(), "could not be signed"); n != 1 {
				t.Errorf("it was told %d times: %s", n, lines.String())
			}
			_, err := log.Sign(ctx)
			matches(t, err, engine.ErrRejected)
			if stats := log.Stats(); stats.Failed != nil || stats.Batches != 3 {
				t.Errorf("%+v", stats)
			}
			err = log.Close()
			if err == nil || what == "an error" && !errors.Is(err, broken) {
				t.Errorf("close: %v", err)
			}
			is(t, "told", told, []string{"1 true", "2 true", "3 true", "3 true", "3 true"}) // by the task, Sign, Close
			told, m.options.Logger, m.options.Signing = nil, nil, nil
			before := tree(t, m.disk)
			m.reopened("one", "two", "three") // it was closed properly
			if !reflect.DeepEqual(tree(t, m.disk), before) {
				t.Error("the log was not closed properly: opening it has changed it")
			}
			good := testKey(3)
			m.options.Signing = signing(engine.SignAtClose, good)
			closed(t, m.open())
			log = m.open()
			defer closed(t, log)
			is(t, "told", told, []string{"3 false"})
			is(t, "signed by the next session", signatures(t, log), []string{"ops-1:3@4"})
			if _, err := log.VerifySigned(ctx, trusted(t, public("ops-1", good))); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSlowSigner: while the signer is at work the log commits, with neither the
// mutex nor the commit token in its hands, and of the heads that pass only the
// newest is signed next. What is behind them stays bounded: each signature is of a
// batch that is no signature.
func TestSlowSigner(t *testing.T) {
	ctx := context.Background()
	passed := 0
	for seed := range uint64(30) {
		key := &witness{PrivateKey: testKey(1)}
		var own *crowd
		var groups int
		newCrowd(t, seed, engine.Options{SegmentSize: 64 << 10, Signing: signing(engine.SignEachGroup, key)}, func(c *crowd) {
			own = c
			key.during = func() {
				before := c.log.LogHead().Batch
				for range 30 {
					c.turns.Switch("the signer is at work") // with a free mutex, which OnSwitch checks
				}
				passed += int(c.log.LogHead().Batch - before)
				if head := key.asked[len(key.asked)-1]; head.Batch > before {
					t.Errorf("seed %d: the head of batch %d is signed, %d are durable", seed, head.Batch, before)
				}
			}
			c.each(4, func(i int) {
				for k := range 6 {
					durability := engine.Durability(k % 2)
					_, err := c.log.AppendBatch(ctx, engine.Batch{Durability: durability, Events: []engine.Draft{{Stream: fmt.Sprint(i), Type: "t", Data: make([]byte, 700)}}})
					if err != nil {
						t.Error(err)
					}
				}
			})
			groups = int(c.log.LogHead().Batch)
		})
		if !slices.IsSortedFunc(key.asked, func(a, b proof.Head) int { return int(a.Batch) - int(b.Batch) }) || len(key.asked) > groups || len(key.asked) == 0 {
			t.Errorf("seed %d: %d heads signed, of %d batches", seed, len(key.asked), groups)
		}
		log, err := engine.Open(engine.Options{Dir: "log", FS: own.disk, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		v, err := log.VerifySigned(ctx, trusted(t, public("ops-1", key)))
		if err != nil || v.Events != 24 || v.Batches > 24+24 || v.Signed.Sequence != 24 {
			t.Errorf("seed %d: %d batches, signed up to event %d of %d, %v", seed, v.Batches, v.Signed.Sequence, v.Events, err)
		}
		closed(t, log)
	}
	if passed == 0 {
		t.Error("no group has passed while the signer was at work")
	}
}

// TestSignaturesMakeNoSync: a signature goes with a group, in its write, and no sync
// is made for it.
func TestSignaturesMakeNoSync(t *testing.T) {
	count := func(s *engine.Signing) (writes, syncs int) {
		m := newMachine(t, engine.Options{Preallocate: -1, Signing: s})
		log := m.open()
		m.disk.Observe(func(op simfs.Op) {
			switch op.Kind {
			case simfs.OpWrite:
				writes++
			case simfs.OpSync, simfs.OpSyncData:
				syncs++
			}
		})
		for i := range 10 {
			if i%3 == 2 {
				buffered(t, log, "x")
			} else {
				appended(t, log, "x")
			}
			m.clock.Yield()
		}
		if s != nil && len(signatures(t, log)) < 6 {
			t.Errorf("signatures: %v", signatures(t, log))
		}
		m.disk.Observe(nil)
		closed(t, log)
		return writes, syncs
	}
	writes, syncs := count(nil)
	signedWrites, signedSyncs := count(signing(engine.SignEachGroup, testKey(1)))
	if writes == 0 || syncs == 0 || signedWrites != writes || signedSyncs != syncs {
		t.Errorf("%d writes and %d syncs, with signatures %d and %d", writes, syncs, signedWrites, signedSyncs)
	}
}

// TestSignedHeadsSurvive cuts the power at every operation of a log that is signed:
// whatever was signed by then is of a head that the log still has.
func TestSignedHeadsSurvive(t *testing.T) {
	ctx := context.Background()
	for _, when := range []engine.SignWhen{engine.SignAtClose, engine.SignEachGroup} {
		key := &witness{PrivateKey: testKey(1)}
		m := newMachine(t, engine.Options{Preallocate: 8192, Signing: signing(when, key)})
		type moment struct {
			image *simfs.Image
			asked int // heads signed by then
			acked int // events acknowledged as durable
		}
		var moments []moment
		acked := 0
		disk := m.disk
		disk.Observe(func(simfs.Op) {
			moments = append(moments, moment{disk.Clone().Crash(simfs.PowerLoss), len(key.asked), acked})
		})
		log := m.open()
		var first uuid.UUID
		for i := range 9 {
			durability := engine.Durable
			if i%3 == 1 {
				durability = engine.Buffered
			}
			receipts, err := log.AppendBatch(ctx, engine.Batch{Events: drafts(big(fmt.Sprint(i), 9_000)), Durability: durability})
			if err != nil {
				t.Fatal(err)
			}
			if durability == engine.Durable {
				acked = i + 1
			}
			if i == 0 {
				first = receipts[0].ID
			}
			if i%3 != 0 {
				m.clock.Yield() // before it the signer has not even begun, and more is written than is durable
			}
			if i == 4 {
				if _, err := log.Sign(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		closed(t, log)
		disk.Observe(nil)
		keys := trusted(t, public("ops-1", key))
		seen := 0
		for n, at := range moments {
			for choice, chooser := range []simfs.Chooser{simfs.Oldest(), simfs.Latest(), simfs.Random(1), simfs.Random(2)} {
				again := newMachine(t, engine.Options{Preallocate: 8192, Signing: signing(when, testKey(1))})
				again.disk = at.image.Mount(chooser)
				log := again.open()
				fail := func(format string, args ...any) {
					t.Errorf("when %d, crash at operation %d, image %d: %s", when, n, choice, fmt.Sprintf(format, args...))
				}
				if _, err := log.VerifySigned(ctx, keys); err != nil {
					fail("%v", err)
				}
				if got := len(all(t, log, engine.Query{})); got < at.acked {
					fail("%d events, %d were durable", got, at.acked)
				}
				for _, head := range key.asked[:at.asked] {
					seen++
					if _, err := log.ProveTo(ctx, first, proof.SignedHead{Head: head}); err != nil {
						fail("the head of batch %d was signed: %v", head.Batch, err)
					}
				}
				had := len(all(t, log, engine.Query{}))
				closed(t, log)
				log = again.open()
				if v, err := log.VerifySigned(ctx, keys); err != nil || v.Signed.Sequence != uint64(had) {
					fail("behind a Close %d of %d events are signed, %v", v.Signed.Sequence, had, err)
				}
				closed(t, log)
			}
		}
		if len(moments) < 40 || seen < 100 {
			t.Errorf("when %d: %d crashes, %d signed heads looked for", when, len(moments), seen)
		}
	}
}

// TestSigningSurvivesEveryFault lets every operation fail under a log that is
// signed.
func TestSigningSurvivesEveryFault(t *testing.T) {
	ctx := context.Background()
	key := testKey(1)
	options := engine.Options{Preallocate: 8192, Signing: signing(engine.SignEachGroup, key)}
	run := func(m *machine, line string) (must, may []string) {
		log, err := engine.Open(m.seams(line))
		if err != nil {
			return nil, nil
		}
		for i := range 5 {
			payload := big(fmt.Sprint(i), 15_000)
			_, err := log.AppendBatch(ctx, engine.Batch{Events: drafts(payload)})
			m.clock.Yield()
			switch {
			case err == nil:
				must, may = append(append(must, may...), payload), nil
			case errors.Is(err, engine.ErrInDoubt):
				may = append(may, payload)
			}
		}
		log.Close()
		return must, may
	}
	m := newMachine(t, options)
	run(m, "step=9 sync * #1: fail EIO")
	tried := 0
	for _, count := range m.faults.Counts() {
		for n := 1; n <= count.N; n++ {
			for _, lasting := range []string{"", " sticky"} {
				line := fmt.Sprintf("step=0 %v %s #%d: fail EIO%s", count.Op, count.Class, n, lasting)
				tried++
				m := newMachine(t, options)
				must, may := run(m, line)
				m.powerLoss(simfs.Latest())
				m.options.Signing = signing(engine.SignAtClose, key)
				log := m.open()
				got := payloads(all(t, log, engine.Query{}))
				if want := append(must, may...); len(got) < len(must) || len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
					t.Errorf("%s: the log holds %d events, must hold %d, and perhaps %d more", line, len(got), len(must), len(may))
				}
				appended(t, log, "last")
				closed(t, log)
				log = m.open()
				v, err := log.VerifySigned(ctx, trusted(t, public("ops-1", key)))
				if err != nil || v.Signed.Sequence != uint64(len(got)+1) {
					t.Errorf("%s: signed up to %d of %d, %v", line, v.Signed.Sequence, len(got)+1, err)
				}
				closed(t, log)
			}
		}
	}
	if tried < 50 {
		t.Errorf("%d faults tried", tried)
	}
}

// TestVerifyLooksAtSignatures: a signature that is none, or of a head that the log
// does not have, is damage, also where nobody has given keys.
func TestVerifyLooksAtSignatures(t *testing.T) {
	ctx := context.Background()
	key := testKey(1)
	for what, c := range map[string]struct {
		change func(h *proof.SignedHead)
		want   error
	}{
		"as it should be":  {func(*proof.SignedHead) {}, nil},
		"another hash":     {func(h *proof.SignedHead) { h.Hash[0]++ }, engine.ErrCorrupt},
		"another sequence": {func(h *proof.SignedHead) { h.Sequence++ }, engine.ErrCorrupt},
		"another log":      {func(h *proof.SignedHead) { h.LogID[0]++ }, engine.ErrCorrupt},
		"its own batch":    {func(h *proof.SignedHead) { h.Batch++ }, engine.ErrCorrupt},
		"no signature":     {nil, proof.Malformed},
	} {
		dir := t.TempDir()
		c2 := craft(1)
		c2.add()
		head := proof.Head{LogID: c2.header.LogID, Batch: 1, Sequence: 1, Hash: c2.head}
		data := []byte("garbage")
		if c.change != nil {
			signed := proof.SignedHead{Head: head}
			c.change(&signed)
			var err error
			if signed, err = proof.Sign(signed.Head, "ops-1", key); err != nil {
				t.Fatal(err)
			}
			if data, err = signed.MarshalBinary(); err != nil {
				t.Fatal(err)
			}
		}
		c2.note(engine.SignatureNote, data)
		c2.write(t, dir)
		log, err := engine.Open(engine.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		_, plain := log.Verify(ctx)
		_, signed := log.VerifySigned(ctx, trusted(t, public("ops-1", key)))
		for _, err := range []error{plain, signed} {
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || err != nil && !errors.Is(err, engine.ErrCorrupt) {
				t.Errorf("%s: %v", what, err)
			}
		}
		event := all(t, log, engine.Query{})[0]
		if c.change == nil {
			if _, err := log.Prove(ctx, event.ID); !errors.Is(err, engine.ErrCorrupt) {
				t.Errorf("%s: %v", what, err)
			}
		}
		closed(t, log)
	}
}

// note appends a batch of one note.
func (c *crafted) note(name string, data []byte) {
	var h chain.Hasher
	c.batch++
	notes := [][]byte{(&record.Note{Name: name, Data: data}).AppendRecord(nil)}
	mark := record.Mark{Sequence: c.batch, Batch: c.batch, Time: 1, Clock: 1, Synced: c.batch - 1}
	c.head = h.Head(c.head, c.batch, c.batch, nil, h.Notes(mark.Time, mark.Clock, notes))
	c.bytes = record.AppendBatchNotes(c.bytes, record.NewPlace(c.header.Seed), int64(len(c.bytes)), &mark, nil, notes, c.head, nil)
}

// TestProofs proves every event of a log with several segments, one of which was
// begun by a recovery, of an open log, a closed one, and one that is read only; and
// what is damaged on the way is said.
func TestProofs(t *testing.T) {
	ctx := context.Background()
	key := testKey(1)
	m := newMachine(t, engine.Options{Signing: signing(engine.SignOnDemand, key)})
	log := m.open()
	var receipts []engine.Receipt
	more := func(sizes ...int) {
		t.Helper()
		for i, size := range sizes {
			d := draft(big("x", size))
			d.Erasable, d.Scope, d.Extensions = i%2 == 0, "shop", map[string][]byte{"a": {1}}
			given, err := log.AppendBatch(ctx, engine.Batch{Events: []engine.Draft{d, draft("two")}, Notes: []engine.NoteDraft{note("n", "x")}[:i%2]})
			if err != nil {
				t.Fatal(err)
			}
			receipts = append(receipts, given...)
		}
	}
	more(10, 20_000, 20_000)
	if _, err := log.Sign(ctx); err != nil {
		t.Fatal(err)
	}
	more(20_000, 20_000, 20_000)
	m.crash(simfs.ProcessKill, simfs.Latest())
	log = m.open()
	if log.Recovery().Fresh == 0 {
		t.Fatal("there is no fresh segment")
	}
	more(5, 20_000, 30_000)
	if _, err := log.Sign(ctx); err != nil {
		t.Fatal(err)
	}
	more(7)
	keys := trusted(t, public("ops-1", key))
	check := func(log *engine.Log) {
		t.Helper()
		for i, r := range receipts {
			p, err := log.Prove(ctx, r.ID)
			if err != nil {
				t.Fatal(err)
			}
			verdict, err := proof.Verify(log.Statement(r), &p, keys)
			if err != nil || verdict.Signed != (i < len(receipts)-2) {
				t.Errorf("receipt %d: %+v, %v", i, verdict, err)
			}
			event, err := log.Get(r.ID)
			if err != nil {
				t.Fatal(err)
			}
			salt, err := log.Salt(r.ID)
			if err != nil || event.Erasable != (len(salt) == 16) {
				t.Errorf("receipt %d: salt %x, %v", i, salt, err)
			}
			if err := proof.VerifyContent(&p, salt, event.Metadata, event.Data); err != nil {
				t.Errorf("receipt %d: %v", i, err)
			}
		}
	}
	check(log)
	if n := len(log.Stats().Segments); n < 3 {
		t.Errorf("%d segments", n)
	}
	closed(t, log)
	log, err := engine.Open(engine.Options{Dir: "log", FS: m.disk, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	check(log)
	damagedAt := receipts[2].Position.Offset
	edit(t, m.disk, "log/000000000001.seg", func(b []byte) []byte { b[damagedAt+300] ^= 1; return b })
	if _, err := log.Prove(ctx, receipts[0].ID); !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("over a damaged batch: %v", err)
	}
	closed(t, log)
	if _, err := log.Prove(ctx, receipts[0].ID); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("of a closed log: %v", err)
	}
}

// TestSignByAnotherKeyOfThatName: an id says nothing about who has signed.
func TestSignByAnotherKeyOfThatName(t *testing.T) {
	m := newMachine(t, engine.Options{})
	for n := byte(1); n < 3; n++ {
		m.options.Signing = signing(engine.SignOnDemand, testKey(n))
		log := m.open()
		if n == 1 {
			appended(t, log, "one")
		}
		signed, err := log.Sign(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := trusted(t, public("ops-1", testKey(n))).Verify(signed); err != nil {
			t.Errorf("key %d: %v", n, err)
		}
		closed(t, log)
	}
}

// TestSigningBeside: what a sync of the cadence has covered is signed, too; a gate
// has no say about signatures; and nobody but the log appends one.
func TestSigningBeside(t *testing.T) {
	ctx := context.Background()
	closing := false
	gate := engine.Gate{Name: "closing time", Permit: func(context.Context, *engine.Proposal) error {
		if closing {
			return errors.New("nothing more")
		}
		return nil
	}}
	m := newMachine(t, engine.Options{Signing: signing(engine.SignEachGroup, testKey(1)), Gates: []engine.Gate{gate}})
	log := m.open()
	buffered(t, log, "one")
	m.clock.Yield()
	buffered(t, log, "two")
	is(t, "not durable", signatures(t, log), nil)
	m.clock.Advance(20 * time.Millisecond) // the cadence, and the signer
	buffered(t, log, "three")
	if err := log.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	is(t, "behind the cadence", signatures(t, log), []string{"ops-1:2@4"})
	forged := engine.NoteDraft{Name: engine.SignatureNote, Data: []byte("x")}
	if _, err := log.AppendBatch(ctx, engine.Batch{Notes: []engine.NoteDraft{forged}}); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("a caller appends a signature: %v", err)
	}
	closing = true
	if _, err := log.Append(ctx, draft("four")); !errors.Is(err, engine.ErrDenied) {
		t.Errorf("the gate is open: %v", err)
	}
	if signed, err := log.Sign(ctx); err != nil || signed.Batch != 4 {
		t.Errorf("%+v, %v", signed, err)
	}
	closed(t, log)
	log = m.open()
	defer closed(t, log)
	is(t, "closed", signatures(t, log), []string{"ops-1:2@4", "ops-1:4@5"})
	m.holds(log, "one", "two", "three")
}
