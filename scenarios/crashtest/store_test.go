package crashtest_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/scenarios/crashtest"
)

// FileStore keeps each value in a file of its own, which is replaced as a
// whole. With its flags unset it does everything right.
type FileStore struct {
	fs  afero.Fs
	dir string

	noFileSync bool // the new file gets its name before its bytes are durable
	noDirSync  bool // a put is acknowledged before the name is durable
	inPlace    bool // the old file is overwritten where it is
}

func OpenFileStore(fs afero.Fs, dir string) (*FileStore, error) {
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	s := &FileStore{fs: fs, dir: dir}
	return s, errors.Join(s.syncDir("."), s.syncDir(dir)) // also what an earlier process may have left
}

func (s *FileStore) Get(key string) (value string, found bool, err error) {
	b, err := afero.ReadFile(s.fs, path.Join(s.dir, key))
	if errors.Is(err, fs.ErrNotExist) || err == nil && s.inPlace && len(b) == 0 { // made, not written yet
		return "", false, nil
	}
	return string(b), err == nil, err
}

func (s *FileStore) Put(key, value string) error {
	name := path.Join(s.dir, key)
	if s.inPlace {
		if err := s.write(name, os.O_WRONLY|os.O_CREATE, value); err != nil {
			return err
		}
		return s.syncDir(s.dir)
	}
	if err := s.write(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, value); err != nil {
		return err
	}
	if err := s.fs.Rename(name+".new", name); err != nil {
		return err
	}
	if s.noDirSync {
		return nil
	}
	return s.syncDir(s.dir)
}

func (s *FileStore) remove(key string) error {
	if err := s.fs.Remove(path.Join(s.dir, key)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s *FileStore) write(name string, flag int, value string) error {
	f, err := s.fs.OpenFile(name, flag, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if err == nil && !s.noFileSync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (s *FileStore) syncDir(name string) error {
	d, err := s.fs.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// LogStore appends each put to one file, and reads it all when it opens:
//
//	length of the key u16 │ length of the value u16 │ CRC-32C of the rest u32 │ key │ value
type LogStore struct {
	fs   afero.Fs
	file afero.File
	size int64
	data map[string]string

	trustTail  bool // recovery takes a record without looking at its checksum
	noSync     bool // nothing is ever synced
	noDirSync  bool // the name of the file is not made durable
	ackFirst   bool // a put is acknowledged; the next one syncs it
	lazyOpen   bool // recovery takes what it reads for durable
	lazyName   bool // recovery takes the name that it finds for durable
	panicsTorn bool // recovery panics where the file is torn
	lazyPut    bool // a put is not synced; Sync does
}

func (s *LogStore) open(fs afero.Fs) (*LogStore, error) {
	s.fs, s.data = fs, make(map[string]string)
	_, err := fs.Stat("log")
	found := err == nil
	f, err := fs.OpenFile("log", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	s.file = f
	b, err := afero.ReadAll(f)
	if err != nil {
		return nil, err
	}
	for {
		key, value, n := s.decode(b[s.size:])
		if n == 0 {
			break
		}
		s.data[key] = value
		s.size += int64(n)
	}
	if s.panicsTorn && s.size < int64(len(b)) {
		panic(fmt.Sprintf("torn at %d", s.size))
	}
	if err := f.Truncate(s.size); err != nil {
		return nil, err
	}
	if s.noSync || s.lazyOpen && len(b) > 0 {
		return s, nil
	}
	if err := f.Sync(); err != nil || s.noDirSync || s.lazyName && found {
		return s, err
	}
	return s, s.syncDir()
}

func (s *LogStore) syncDir() error {
	return s.fs.(interface{ SyncDir(string) error }).SyncDir(".")
}

func (s *LogStore) decode(b []byte) (key, value string, n int) {
	if len(b) < 8 {
		return "", "", 0
	}
	k, v := int(binary.LittleEndian.Uint16(b)), int(binary.LittleEndian.Uint16(b[2:]))
	n = 8 + k + v
	if k == 0 || n > len(b) {
		return "", "", 0
	}
	if !s.trustTail && binary.LittleEndian.Uint32(b[4:]) != crc32.Checksum(b[8:n], crc32.MakeTable(crc32.Castagnoli)) {
		return "", "", 0
	}
	return string(b[8 : 8+k]), string(b[8+k : n]), n
}

func (s *LogStore) Get(key string) (string, bool, error) {
	v, ok := s.data[key]
	return v, ok, nil
}

func (s *LogStore) Put(key, value string) error {
	b := make([]byte, 8, 8+len(key)+len(value))
	binary.LittleEndian.PutUint16(b, uint16(len(key)))
	binary.LittleEndian.PutUint16(b[2:], uint16(len(value)))
	b = append(append(b, key...), value...)
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[8:], crc32.MakeTable(crc32.Castagnoli)))
	if s.ackFirst {
		if err := s.Sync(); err != nil {
			return err
		}
	}
	if _, err := s.file.WriteAt(b, s.size); err != nil {
		return err
	}
	s.size += int64(len(b))
	s.data[key] = value
	if s.noSync || s.ackFirst || s.lazyPut {
		return nil
	}
	return s.Sync()
}

// PutBoth is two puts, with one sync after both.
func (s *LogStore) PutBoth(a, b crashtest.Write) error {
	s.lazyPut = true
	err := errors.Join(s.Put(a.Key, a.Value), s.Put(b.Key, b.Value))
	s.lazyPut = false
	return errors.Join(err, s.Sync())
}

func (s *LogStore) Sync() error { return s.file.Sync() }

// A Putter is any of these.
type Putter interface {
	comparable
	Put(key, value string) error
	Get(key string) (string, bool, error)
}

// growing writes few keys often, with values of growing size.
func growing[S Putter](n, size int) (steps []crashtest.Step[S]) {
	for i := range n {
		key, value := fmt.Sprintf("k%d", i%3), fmt.Sprintf("v%0*d", size, i)
		steps = append(steps, crashtest.Put(key, value, func(s S) error { return s.Put(key, value) }))
	}
	return steps
}

func acked[S Putter](s S, h crashtest.History) error { return h.AckedPresent(s.Get) }

func fileStore(n, size int, broken FileStore) crashtest.Subject[*FileStore] {
	return crashtest.Subject[*FileStore]{
		Open: func(fs afero.Fs) (*FileStore, error) {
			s, err := OpenFileStore(fs, "db")
			if err == nil {
				s.noFileSync, s.noDirSync, s.inPlace = broken.noFileSync, broken.noDirSync, broken.inPlace
			}
			return s, err
		},
		Steps: growing[*FileStore](n, size),
		Check: acked[*FileStore],
	}
}

func logStore(n, size int, broken LogStore) crashtest.Subject[*LogStore] {
	return crashtest.Subject[*LogStore]{
		Open:  func(fs afero.Fs) (*LogStore, error) { s := broken; return s.open(fs) },
		Steps: growing[*LogStore](n, size),
		Check: acked[*LogStore],
	}
}
