package synclab_test

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/scenarios/synclab"
)

// The programs in this file keep records as lines of a file: a checksum, the
// key, the value. Only careful is right.

// naive appends to its file. When a sync fails it syncs again, and believes the
// second answer; trusting, it gives up then, but believes what it reads when it
// is opened again.
type naive struct{ trusting bool }

func (n naive) Name() string { return fmt.Sprintf("naive, trusting=%v", n.trusting) }

func (n naive) Open(fs afero.Fs, _ uint64) (synclab.Store, error) {
	file, err := fs.OpenFile("records", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	s := &naiveStore{how: n, file: file}
	data, err := io.ReadAll(file)
	if err == nil {
		s.records, s.end = parse(data)
		err = file.Truncate(s.end)
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = syncNames(fs)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return s, nil
}

type naiveStore struct {
	how     naive
	file    afero.File
	records []synclab.Record
	end     int64
	failed  error
}

func (s *naiveStore) Put(key, value string) error {
	if s.failed != nil {
		return s.failed
	}
	if has(s.records, key) {
		return nil
	}
	line := print(key, value)
	if _, err := s.file.WriteAt([]byte(line), s.end); err != nil {
		return err // the next line is written over what came of this one
	}
	err := s.file.Sync()
	if err != nil && !s.how.trusting {
		err = s.file.Sync()
	}
	if err != nil {
		s.failed = err
		return err
	}
	s.end += int64(len(line))
	s.records = append(s.records, synclab.Record{Key: key, Value: value})
	return nil
}

func (s *naiveStore) All() ([]synclab.Record, error) { return s.records, nil }
func (s *naiveStore) Close() error                   { return s.file.Close() }

// careful writes everything into a new file, each time, and also when it is
// opened: what it can read may be in the page cache only.
type careful struct{}

func (careful) Name() string { return "careful" }

func (careful) Open(fs afero.Fs, _ uint64) (synclab.Store, error) {
	data, err := afero.ReadFile(fs, "records")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	s := &carefulStore{fs: fs}
	records, end := parse(data)
	if end != int64(len(data)) {
		return nil, errDamaged
	}
	return s, s.save(records)
}

func (careful) Damage(err error) bool { return errors.Is(err, errDamaged) }

var errDamaged = errors.New("a line is damaged")

type carefulStore struct {
	fs      afero.Fs
	records []synclab.Record
	failed  error
}

func (s *carefulStore) save(records []synclab.Record) error {
	var text strings.Builder
	for _, r := range records {
		text.WriteString(print(r.Key, r.Value))
	}
	err := s.write(text.String())
	if err == nil {
		err = errors.Join(s.fs.Rename("records.tmp", "records"), syncNames(s.fs))
	}
	if err != nil {
		s.failed = err
		return err
	}
	s.records = records
	return nil
}

func (s *carefulStore) write(text string) error {
	file, err := s.fs.Create("records.tmp")
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func (s *carefulStore) Put(key, value string) error {
	if s.failed != nil {
		return s.failed
	}
	if has(s.records, key) {
		return nil
	}
	return s.save(append(s.records[:len(s.records):len(s.records)], synclab.Record{Key: key, Value: value}))
}

func (s *carefulStore) All() ([]synclab.Record, error) { return s.records, nil }
func (s *carefulStore) Close() error                   { return nil }

func has(records []synclab.Record, key string) bool {
	for _, r := range records {
		if r.Key == key {
			return true
		}
	}
	return false
}

func print(key, value string) string {
	text := key + " " + value
	return fmt.Sprintf("%08x %s\n", crc32.ChecksumIEEE([]byte(text)), text)
}

// parse returns the whole lines at the start, and where they end.
func parse(data []byte) (records []synclab.Record, end int64) {
	for line := range strings.Lines(string(data)) {
		sum, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		key, value, two := strings.Cut(text, " ")
		if !ok || !two || !strings.HasSuffix(line, "\n") || sum != fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(text))) {
			break
		}
		records = append(records, synclab.Record{Key: key, Value: value})
		end += int64(len(line))
	}
	return records, end
}

func syncNames(fs afero.Fs) error {
	return fs.(interface{ SyncDir(string) error }).SyncDir(".")
}
