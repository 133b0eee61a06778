package projection

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
)

const (
	magic      = "\x89untornp"
	headerSize = 88
	mostHeader = 4096 // of any minor version
	mostBody   = 1<<31 - 1
	mostFile   = mostHeader + mostBody
	major      = 1

	suffix    = ".projection"
	temporary = ".tmp"
	fileMode  = 0o644
	dirMode   = 0o755
)

// errNoFile is what there is to say of a directory or a pipe.
var errNoFile = errors.New("it is no regular file")

// checkpoint is what a file holds; see the package documentation.
type checkpoint struct {
	version  uint64
	identity []byte
	bound    place
	state    []byte
}

// appendTo appends the bytes of the file.
func (c *checkpoint) appendTo(b []byte) []byte {
	start := len(b)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint16(b, headerSize)
	b = binary.LittleEndian.AppendUint16(b, major)
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	body := crc32.Update(crc32.Checksum(c.identity, castagnoli), castagnoli, c.state)
	b = binary.LittleEndian.AppendUint32(b, body)
	b = binary.LittleEndian.AppendUint32(b, 0)
	for _, n := range []uint64{uint64(len(c.identity) + len(c.state)), c.version, uint64(len(c.identity)), c.bound.sequence} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	b = append(b, c.bound.hash[:]...)
	binary.LittleEndian.PutUint32(b[start+8:], headerSum(b[start:start+headerSize]))
	b = append(b, c.identity...)
	return append(b, c.state...)
}

// headerSum is the CRC of a header.
func headerSum(header []byte) uint32 {
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(header[:8], castagnoli), castagnoli, header[12:])
}

// parse takes the bytes of a file apart. It returns ErrDamaged or ErrFormat.
func parse(b []byte) (*checkpoint, error) {
	if len(b) < 16 || string(b[:8]) != magic {
		return nil, ErrDamaged
	}
	length := int(binary.LittleEndian.Uint16(b[12:]))
	if length < 16 || length > min(mostHeader, len(b)) || headerSum(b[:length]) != binary.LittleEndian.Uint32(b[8:]) {
		return nil, ErrDamaged
	}
	if binary.LittleEndian.Uint16(b[14:]) != major {
		return nil, ErrFormat
	}
	if length < headerSize || binary.LittleEndian.Uint32(b[20:]) != 0 {
		return nil, ErrDamaged
	}
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	body, named, sequence := b[length:], u64(40), u64(48)
	if u64(24) != uint64(len(body)) || named > uint64(len(body)) || sequence == 0 ||
		crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)) != binary.LittleEndian.Uint32(b[16:]) {
		return nil, ErrDamaged
	}
	bound := place{sequence: sequence, hash: engine.Hash(b[56:headerSize]), known: true}
	return &checkpoint{version: u64(32), identity: body[:named], bound: bound, state: body[named:]}, nil
}

// statFile says how a file is, and fails with errNoFile at what would be opened in
// vain: a pipe waits for whoever has its other end.
func statFile(disk afero.Fs, name string) (fs.FileInfo, error) {
	info, err := disk.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: errNoFile}
	}
	return info, err
}

// load gives a projection the state of its checkpoint, if that can be trusted. It
// returns its sequence, or 0 and why not; nil where there is no file.
func (s *Set) load(m Member) (restored uint64, reason error) {
	disk, name := s.options.Checkpoints.FS, s.file(m)
	info, err := statFile(disk, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case errors.Is(err, errNoFile):
		return 0, fmt.Errorf("%w: %w", ErrDamaged, err)
	case err == nil && info.Size() > mostFile:
		return 0, ErrDamaged
	}
	var b []byte
	if err == nil {
		b, err = afero.ReadFile(disk, name)
	}
	if err != nil {
		return 0, fmt.Errorf("read the checkpoint: %w", err)
	}
	c, err := parse(b)
	if err != nil {
		return 0, err
	}
	if c.version != m.common().version || !bytes.Equal(c.identity, m.common().identity) {
		return 0, ErrChanged
	}
	found, err := s.at(c.bound.sequence)
	if err != nil {
		return 0, err
	}
	if found != c.bound {
		return 0, ErrOtherLog
	}
	if err := m.restore(c.state, c.bound); err != nil {
		return 0, err
	}
	return c.bound.sequence, nil
}

// at returns the place behind an event, or one that is not known if the log has none.
func (s *Set) at(sequence uint64) (place, error) {
	event, err := s.log.At(sequence)
	if errors.Is(err, engine.ErrNotFound) {
		return place{sequence: sequence}, nil
	}
	return place{sequence, event.Hash, err == nil}, err
}

// save writes a checkpoint where a projection is, unless that is there and durable.
func (s *Set) save(m Member) error {
	c := m.common()
	written := c.bound.sequence == c.status.Saved
	if s.options.Checkpoints.FS == nil || c.bound.sequence == 0 || written && s.settled {
		return nil
	}
	c.tried = c.bound.sequence
	var err error
	if !written {
		err = s.write(m)
	}
	if err == nil {
		err = s.settle()
	}
	if err != nil {
		err = fmt.Errorf("checkpoint of projection %q: %w", c.name, err)
	}
	c.report(func(status *Status) {
		if status.SaveErr = err; err == nil {
			status.Saved = c.bound.sequence
		}
	}, nil)
	return err
}

func (s *Set) write(m Member) error {
	c := m.common()
	if !c.bound.known {
		found, err := s.at(c.bound.sequence)
		if err != nil {
			return err
		}
		if !found.known {
			return fmt.Errorf("the log has no event %d: %w", c.bound.sequence, engine.ErrNotFound)
		}
		c.bound = found
	}
	state, err := m.encode()
	if err != nil {
		return err
	}
	if length := uint64(len(c.identity)) + uint64(len(state)); length > mostBody {
		return fmt.Errorf("%d bytes are too many: at most %d", length, mostBody)
	}
	whole := checkpoint{c.version, c.identity, c.bound, state}
	disk, dir, name := s.options.Checkpoints.FS, s.dir(), s.file(m)
	if err := disk.MkdirAll(dir, dirMode); err != nil {
		return err
	}
	if _, err := statFile(disk, name+temporary); errors.Is(err, errNoFile) {
		return fmt.Errorf("%w: remove it", err)
	}
	if err := writeFile(disk, name+temporary, whole.appendTo(nil)); err != nil {
		return err
	}
	if err := disk.Rename(name+temporary, name); err != nil {
		return err
	}
	return syncDir(disk, dir)
}

// settle makes the names of the files, of the directory, and of those above it
// durable, once: a process that was killed may have left them visible only.
func (s *Set) settle() error {
	if s.settled {
		return nil
	}
	disk, dir := s.options.Checkpoints.FS, s.dir()
	if err := syncDir(disk, dir); err != nil {
		return err
	}
	for dir != "." && dir != "/" {
		dir = path.Dir(dir)
		// One that may not be opened cannot be synced: that can cost a checkpoint.
		if err := syncDir(disk, dir); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	s.settled = true
	return nil
}

// writeFile writes a file and makes its bytes durable.
func writeFile(disk afero.Fs, name string, b []byte) error {
	f, err := disk.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	n, err := f.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes the names in a directory durable.
func syncDir(disk afero.Fs, dir string) error {
	if s, ok := disk.(interface{ SyncDir(name string) error }); ok {
		if err := s.SyncDir(dir); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	handle, err := disk.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(handle.Sync(), handle.Close())
}

func (s *Set) dir() string {
	if path.IsAbs(s.options.Checkpoints.Dir) {
		return path.Clean(s.options.Checkpoints.Dir)
	}
	return path.Clean("./" + s.options.Checkpoints.Dir)
}

// file is the path of a projection's checkpoint.
func (s *Set) file(m Member) string {
	var name strings.Builder
	for _, c := range []byte(m.Name()) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			name.WriteByte(c)
		default: // capitals, too: there are file systems that do not tell them apart
			fmt.Fprintf(&name, "%%%02X", c)
		}
	}
	return path.Join(s.dir(), name.String()+suffix)
}
