package scenarios

import (
	"encoding/binary"
	"strconv"

	"github.com/zeebo/blake3"

	"github.com/untorn-db/untorn/replay/plan"
)

// digests is the digest of a run: a BLAKE3 chain over every step and what came of
// it.
type digests struct {
	sum    [32]byte
	hasher *blake3.Hasher
	step   int        // the last that began; 0: none
	eye    *recording // nil when nobody watches
	list   []plan.Digest
}

func newDigests() *digests { return &digests{hasher: blake3.New()} }

func (t *digests) add(kind, text string) {
	t.hasher.Reset()
	t.hasher.Write(t.sum[:])
	t.hasher.WriteString(kind)
	t.hasher.WriteString(text)
	t.hasher.Sum(t.sum[:0])
}

func (t *digests) note(key string) { t.add("note ", key) }

func (t *digests) begin(step plan.Step) {
	t.step = step.Number
	t.eye.begins(step)
	t.add("step ", strconv.Itoa(step.Number)+" "+step.Verb)
	for _, arg := range step.Args {
		t.add(arg.Key, arg.Value)
	}
}

func (t *digests) end(step int, err error) {
	if err != nil {
		t.add("error ", err.Error())
	}
	sum := binary.BigEndian.Uint64(t.sum[:])
	t.list = append(t.list, plan.Digest{Step: step, Sum: sum})
	t.eye.ends(step, sum)
}
