package record

// Note is a named fact about the log that is no event. In a batch it stands as
//
//	flags, 0 │ name │ data
//
// where the name is behind its length as a uvarint, and the data is the rest.
type Note struct {
	Name string // not empty
	Data []byte
}

// AppendRecord appends the note's record, the bytes that DecodeNote reads.
func (n *Note) AppendRecord(dst []byte) []byte {
	dst = append(dst, 0)
	dst = appendString(dst, n.Name)
	return append(dst, n.Data...)
}

// DecodeNote reads a whole record. Data aliases it, and is nil if it is empty.
// The error is a *DecodeError.
func DecodeNote(record []byte) (Note, error) {
	d := decoder{input: record}
	d.uvarint("presence flags", 0)
	n := Note{Name: string(d.present("name"))}
	if d.err != nil {
		return Note{}, d.err
	}
	if rest := record[d.at:]; len(rest) > 0 {
		n.Data = rest[:len(rest):len(rest)]
	}
	return n, nil
}
