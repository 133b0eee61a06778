package main

import (
	"encoding/binary"
	"io"
)

// raw is the limit: every event behind a header of 8 bytes, copied into a buffer;
// one pwrite and one fdatasync a group. No checksum, no index, nothing that could
// find an event again but the frames themselves.
//
//	│ length, u32 │ 0, u32 │ data │ zeros to a multiple of 8 │
type raw struct {
	filled
	buffer []byte
}

const rawHeader = 8

func openRaw(setup Setup) (Store, error) {
	return inGroups(func(setup Setup) (serial, error) {
		f, err := openFilled(setup, "raw.zeros", 0)
		if err != nil {
			return nil, err
		}
		return &raw{filled: f}, nil
	})(setup)
}

func (r *raw) append(calls [][]Event) error {
	b := r.buffer[:0]
	for _, events := range calls {
		for i := range events {
			b = binary.LittleEndian.AppendUint64(b, uint64(len(events[i].Data)))
			b = append(b, events[i].Data...)
			for len(b)%8 != 0 {
				b = append(b, 0)
			}
		}
	}
	r.buffer = b
	if _, err := r.room(len(b)); err != nil {
		return err
	}
	return r.commit(b)
}

func (r *raw) Read(visit func(data []byte) error) error {
	all, err := io.ReadAll(io.NewSectionReader(r.file, 0, r.size))
	if err != nil {
		return err
	}
	for len(all) >= rawHeader {
		n := int(binary.LittleEndian.Uint64(all))
		if n == 0 {
			return nil
		}
		if err := visit(all[rawHeader : rawHeader+n]); err != nil {
			return err
		}
		all = all[(rawHeader+n+7)&^7:]
	}
	return nil
}
