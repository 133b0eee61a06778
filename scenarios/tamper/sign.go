package tamper

import (
	"crypto/ed25519"
	"slices"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
	"github.com/untorn-db/untorn/engine/record"
)

// The keys of the signed logs: the first session's is retired when it ends, and all
// others have the second.
const (
	oldKey = "ops-1"
	newKey = "ops-2"
	thief  = "thief"
)

// private is the key with an id, which everybody has.
func private(id string) ed25519.PrivateKey {
	seed := [ed25519.SeedSize]byte{}
	copy(seed[:], id)
	return ed25519.NewKeyFromSeed(seed[:])
}

// signing is how a session of a story signs.
func (s *story) signing(session uint64) *engine.Signing {
	if !s.signed {
		return nil
	}
	id := newKey
	if session == 1 {
		id = oldKey
	}
	return &engine.Signing{KeyID: id, Key: private(id), When: engine.SignEachGroup}
}

// signature is a note of a form that is one.
type signature struct {
	part *part
	note int
	proof.SignedHead
}

// signatures are those of a form, in order.
func (f *form) signatures() (all []signature) {
	for _, p := range f.batches {
		for i, encoded := range p.notes {
			note, err := record.DecodeNote(encoded)
			if err != nil || note.Name != engine.SignatureNote {
				continue
			}
			var head proof.SignedHead
			if head.UnmarshalBinary(note.Data) == nil {
				all = append(all, signature{p, i, head})
			}
		}
	}
	return all
}

// trust is the keys with which a log is verified: each may sign what it has signed.
func (f *form) trust() (proof.Keys, error) {
	last := uint64(0) // batch that the old key has signed
	for _, s := range f.signatures() {
		if s.KeyID == oldKey {
			last = s.Batch
		}
	}
	public := func(id string) ed25519.PublicKey { return private(id).Public().(ed25519.PublicKey) }
	return proof.NewKeys(
		proof.Key{ID: oldKey, Public: public(oldKey), Until: max(last, 1)},
		proof.Key{ID: newKey, Public: public(newKey), From: last + 1})
}

// head is that of the form's log behind a batch.
func (f *form) proofHead(number uint64) (proof.Head, bool) {
	for _, p := range f.batches {
		if p.mark.Batch == number {
			return proof.Head{
				LogID: p.segment.header.LogID, Batch: number, Sequence: p.mark.Sequence + uint64(len(p.events)) - 1, Hash: p.head,
			}, true
		}
	}
	return proof.Head{}, false
}

// resign computes all hashes anew, and signs the heads that have become others: a
// signature is in later heads, so that is done one after the other.
func (f *form) resign(id func(s *signature) (as string, with ed25519.PrivateKey)) error {
	for i, n := 0, len(f.signatures()); i < n; i++ {
		f.rehash(everything)
		s := f.signatures()[i]
		head, ok := f.proofHead(s.Batch)
		if !ok || head == s.Head {
			continue
		}
		as, key := id(&s)
		signed, err := proof.Sign(head, as, key)
		if err != nil {
			return err
		}
		data, err := signed.MarshalBinary()
		if err != nil {
			return err
		}
		s.part.notes = slices.Clone(s.part.notes)
		s.part.notes[s.note] = (&record.Note{Name: engine.SignatureNote, Data: data}).AppendRecord(nil)
	}
	f.rehash(everything)
	return nil
}

// signer is who signs again, and what the verifier's keys say of that.
type signer struct {
	about string
	sign  func(s *signature) (as string, with ed25519.PrivateKey) // nil: nobody
}

func signers() []signer {
	return []signer{
		{"signed by a key of its own", func(*signature) (string, ed25519.PrivateKey) { return thief, private(thief) }},
		{"signed by a key of its own under the right id", func(s *signature) (string, ed25519.PrivateKey) { return s.KeyID, private(thief) }},
		{"signed by the retired key", func(*signature) (string, ed25519.PrivateKey) { return oldKey, private(oldKey) }},
		{"with the old signatures", nil},
	}
}

// resigned counts what resign makes.
func resigned(v *subject) int {
	if !v.story.signed {
		return 0
	}
	return len(v.events) * len(eventFields()) * len(signers())
}

// resign rewrites a log that is signed, so that it is valid in itself, and signs it
// as somebody can who does not have the key.
func resign(v *subject, i int, _ *numbers) (*mutation, error) {
	who, fields := signers(), eventFields()
	by, field, at := who[i%len(who)], fields[i/len(who)%len(fields)], i/len(who)/len(fields)
	var failed error
	m := v.rewrite(func(f *form) bool {
		_, p, ok := f.changeEvent(at, v.batchOf(at), field)
		above := func(s signature) bool { return s.Batch >= p.mark.Batch }
		if !slices.ContainsFunc(f.signatures(), above) {
			return false // nobody has vouched for it
		}
		if b := v.batchOf(at); field == "time" && b > 0 && f.batches[b-1].mark.Time > p.mark.Time {
			return false // time must not go back
		}
		f.renumber()
		if by.sign != nil {
			failed = f.resign(by.sign)
		} else {
			f.rehash(everything)
		}
		return ok
	}, "event %d has another %s, %s", at+1, field, by.about)
	return m, failed
}
