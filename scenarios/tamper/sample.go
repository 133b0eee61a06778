package tamper

import (
	"context"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/proof"
)

// Sample is a log that was closed, and then tampered with, for those who look at
// it from outside, such as the tests of a command.
type Sample struct {
	About string            // what was done, in words; "" for a log as it is
	Files map[string][]byte // by their names in the log's directory
	Head  engine.LogHead    // that was kept: it names what was done
	Keys  proof.Keys        // of those who may have signed it
	// Signed: it was signed, and ByKeys: the keys name what was done.
	Signed, ByKeys bool
}

// Samples returns each closed log as it is and about so many mutations of what
// belongs to them, of all kinds that a head must name.
func Samples(ctx context.Context, seed uint64, about int) ([]Sample, error) {
	s := &suite{ctx: ctx, config: Config{Mutations: about, Seed: seed}}
	var samples []Sample
	add := func(v *subject, about string, files []file, byKeys bool) {
		sample := Sample{About: about, Files: map[string][]byte{}, Head: v.head, Keys: v.keys, Signed: v.story.signed, ByKeys: byKeys}
		for _, f := range files {
			sample.Files[short(f.name)] = f.bytes
		}
		samples = append(samples, sample)
	}
	for _, story := range stories() {
		if !story.closed {
			continue
		}
		v, err := newSubject(ctx, &story, seed)
		if err != nil {
			return nil, err
		}
		s.logs = append(s.logs, v)
		add(v, "", v.files, false)
	}
	for _, k := range kinds() {
		if k.counts() {
			s.kinds = append(s.kinds, k)
		}
	}
	for _, t := range append(s.plan(), s.planFlips(about/4)...) {
		k, v := s.kinds[t.kind], s.logs[t.log]
		for i := t.from; i < t.to; i++ {
			m, err := s.make(t, i)
			if err != nil {
				return nil, err
			}
			if m != nil && !v.intact(m) {
				add(v, k.name+", log "+v.story.name+": "+m.about, m.files, k.byKeys)
			}
		}
	}
	return samples, nil
}
