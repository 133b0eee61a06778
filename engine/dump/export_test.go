package dump

// Bound lets a reader refuse what is smaller than it would otherwise.
func (d *Reader) Bound(line, batch int) { d.maxLine, d.maxBatch = line, batch }
