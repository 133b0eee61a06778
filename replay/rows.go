package replay

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxRow is how many bytes the line of a Row may have.
const MaxRow = 64 << 20

// WriteRows writes rows as untorn-sim run --json prints them: an object on a line of
// its own for each.
func WriteRows(w io.Writer, rows []Row) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	for i := range rows {
		if err := encoder.Encode(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// SaveRows writes rows to a file, whole or not at all.
func SaveRows(path string, rows []Row) error {
	if err := WriteFile(path, func(w io.Writer) error { return WriteRows(w, rows) }); err != nil {
		return fmt.Errorf("save the rows: %w", err)
	}
	return nil
}

// ReadRows reads what WriteRows has written. It takes nothing else: an error names
// the line and what is wrong with it. There is at least one row, and none twice.
// Failures, StepsPerSeed and OpensPerSeed are not in the text.
func ReadRows(r io.Reader) ([]Row, error) {
	var rows []Row
	known := map[string]int{} // scenario and disk, and the line
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, MaxRow)
	n := 1
	for ; lines.Scan(); n++ {
		row, err := parseRow(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		key := row.Scenario + " on " + row.Disk
		if first, again := known[key]; again {
			return nil, fmt.Errorf("line %d: %s again, which line %d has", n, key, first)
		}
		known[key] = n
		rows = append(rows, row)
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("line %d: more than %d bytes: no row is so long", n, MaxRow)
	case err != nil:
		return nil, fmt.Errorf("line %d: %w", n, err)
	case len(rows) == 0:
		return nil, errors.New("line 1: there is no row: want what untorn-sim run --json prints, or run --out writes")
	}
	return rows, nil
}

func parseRow(line []byte) (row Row, err error) {
	if len(bytes.TrimSpace(line)) == 0 || line[0] != '{' {
		return row, errors.New("want a JSON object, as untorn-sim run --json prints it")
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&row); err != nil {
		return row, err
	}
	if rest := line[decoder.InputOffset():]; len(bytes.TrimSpace(rest)) > 0 {
		return row, fmt.Errorf("byte %d: something behind the object", decoder.InputOffset()+1)
	}
	digest, err := hex.DecodeString(row.Digest)
	switch {
	case row.Scenario == "" || row.Disk == "":
		return row, errors.New("the row has no scenario, or no disk")
	case err != nil || len(digest) != 32:
		return row, fmt.Errorf("digest %q: want 64 hexadecimal digits", row.Digest)
	case row.Seeds < 0 || row.Recoveries < 0 || row.Violated < 0 || row.Images < 0:
		return row, errors.New("a count is negative")
	}
	return row, nil
}
