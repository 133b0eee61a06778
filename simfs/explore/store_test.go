package explore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs/explore"
)

// A register is a tiny store: one number, in a file of two cells, replaced as
// a whole. Its zero value does everything right.
type register struct {
	puts int

	noFileSync bool // the new file is renamed before it is durable
	noDirSync  bool // a put is acknowledged before the name is durable
	inPlace    bool // the file is overwritten where it is
	ackEarly   bool // a put is acknowledged before anything is durable
	panics     bool // recovery panics where it should have said that the file is torn
}

const registerSize = 1024

func encode(n uint32) []byte {
	b := make([]byte, registerSize)
	for i := 0; i < len(b); i += 4 {
		binary.LittleEndian.PutUint32(b[i:], n)
	}
	return b
}

func decode(b []byte) (uint32, error) {
	if len(b) != registerSize {
		return 0, fmt.Errorf("the file has %d bytes", len(b))
	}
	n := binary.LittleEndian.Uint32(b)
	if !bytes.Equal(b, encode(n)) {
		return 0, fmt.Errorf("the file is torn")
	}
	return n, nil
}

func syncDir(fsys afero.Fs, name string) error {
	return fsys.(interface{ SyncDir(string) error }).SyncDir(name)
}

func (r register) write(fsys afero.Fs, name string, flag int, n uint32) (err error) {
	f, err := fsys.OpenFile(name, flag, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteAt(encode(n), 0); err != nil {
		return err
	}
	if r.noFileSync {
		return nil
	}
	return f.Sync()
}

func (r register) put(fsys afero.Fs, n uint32) error {
	if r.inPlace {
		if err := r.write(fsys, "value", os.O_RDWR|os.O_CREATE, n); err != nil {
			return err
		}
		return syncDir(fsys, ".")
	}
	if err := r.write(fsys, "new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, n); err != nil {
		return err
	}
	if err := fsys.Rename("new", "value"); err != nil {
		return err
	}
	if r.noDirSync {
		return nil
	}
	return syncDir(fsys, ".")
}

func (r register) workload(run *explore.Run) error {
	for n := uint32(1); n <= uint32(r.puts); n++ {
		run.Note(explore.Note{Key: fmt.Sprintf("started %d", n), Value: n, Change: explore.Widens})
		if r.ackEarly {
			run.Note(explore.Note{Key: fmt.Sprintf("acked %d", n), Value: n, Change: explore.Narrows})
		}
		if err := r.put(run.FS, n); err != nil {
			return err
		}
		if !r.ackEarly {
			run.Note(explore.Note{Key: fmt.Sprintf("acked %d", n), Value: n, Change: explore.Narrows})
		}
	}
	return nil
}

// promised is the lowest and the highest number that history allows.
func promised(history []explore.Note) (low, high uint32) {
	for _, n := range history {
		switch v := n.Value.(uint32); {
		case strings.HasPrefix(n.Key, "acked"):
			low = max(low, v)
		case strings.HasPrefix(n.Key, "started"):
			high = max(high, v)
		}
	}
	return low, max(low, high)
}

func (r register) recover(run *explore.Run) error {
	low, high := promised(run.History)
	var n uint32
	b, err := afero.ReadFile(run.FS, "value")
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case r.inPlace && len(b) == 0: // made, not written yet
	default:
		if n, err = decode(b); err != nil {
			if r.panics {
				panic(fmt.Sprint(err, " at ", fmt.Sprintf("%p", &n)))
			}
			return err
		}
	}
	if n < low || n > high {
		return fmt.Errorf("value %d, want %d to %d", n, low, high)
	}
	// What was read may not be on the platter yet. Whoever says what he read
	// must see to it that it is there.
	if n > low {
		if err := r.put(run.FS, n); err != nil {
			return err
		}
		run.Note(explore.Note{Key: fmt.Sprintf("acked %d", n), Value: n, Change: explore.Narrows})
	}
	run.Recovered()
	return nil
}

func (r register) program() explore.Program {
	return explore.Program{Workload: r.workload, Recover: r.recover}
}

// A journal is another: numbers appended to a file, one cell each. Opening it
// cuts the torn tail, and makes bytes and name durable. Recovery appends one more.
type journal struct {
	appends int

	noRecoverySync bool // opening takes the bytes that it reads for durable
	noRecoveryName bool // opening takes the name that it finds for durable
}

const cell = 512

func line(n uint32) []byte { return encode(n)[:cell] }

// open returns the file, and the last number in it; 0: none.
func (j journal) open(fsys afero.Fs) (afero.File, uint32, error) {
	f, err := fsys.OpenFile("journal", os.O_RDWR, 0)
	created := false
	if errors.Is(err, fs.ErrNotExist) {
		created = true
		f, err = fsys.OpenFile("journal", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	}
	if err != nil {
		return nil, 0, err
	}
	n, b := uint32(0), make([]byte, cell)
	for {
		got, _ := f.ReadAt(b, int64(n)*cell)
		if got < cell || !bytes.Equal(b, line(n+1)) {
			break
		}
		n++
	}
	if err := f.Truncate(int64(n) * cell); err != nil {
		return nil, 0, err
	}
	if !j.noRecoverySync {
		if err := f.Sync(); err != nil {
			return nil, 0, err
		}
	}
	if created || !j.noRecoveryName {
		if err := syncDir(fsys, "."); err != nil {
			return nil, 0, err
		}
	}
	return f, n, nil
}

func (j journal) append(f afero.File, n uint32) error {
	if _, err := f.WriteAt(line(n), int64(n-1)*cell); err != nil {
		return err
	}
	return f.Sync()
}

func (j journal) workload(run *explore.Run) error {
	f, n, err := j.open(run.FS)
	if err != nil {
		return err
	}
	for range j.appends {
		n++
		run.Note(explore.Note{Key: fmt.Sprintf("started %d", n), Value: n, Change: explore.Widens})
		if err := j.append(f, n); err != nil {
			return err
		}
		run.Note(explore.Note{Key: fmt.Sprintf("acked %d", n), Value: n, Change: explore.Narrows})
	}
	return f.Close()
}

func (j journal) recover(run *explore.Run) error {
	low, high := promised(run.History)
	f, n, err := j.open(run.FS)
	if err != nil {
		return err
	}
	if n < low || n > high {
		return fmt.Errorf("the journal ends with %d, want %d to %d", n, low, high)
	}
	run.Note(explore.Note{Key: fmt.Sprintf("acked %d", n), Value: n, Change: explore.Narrows}) // it has been read
	run.Recovered()
	n++
	run.Note(explore.Note{Key: fmt.Sprintf("started %d", n), Value: n, Change: explore.Widens})
	if err := j.append(f, n); err != nil {
		return err
	}
	run.Note(explore.Note{Key: fmt.Sprintf("acked %d", n), Value: n, Change: explore.Narrows})
	return f.Close()
}

func (j journal) program() explore.Program {
	return explore.Program{Workload: j.workload, Recover: j.recover}
}
