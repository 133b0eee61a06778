package naive

import (
	"fmt"
	"strconv"
	"strings"
)

// Op is one operation of a program.
type Op struct {
	Kind   string // one of Kinds
	Path   string // "f", "d/f"; "/" is the root
	To     string // the new name, for rename
	Offset int64  // in bytes, for write and preallocate
	Length int64  // in bytes, for preallocate; the new size, for truncate
	Data   []byte // for write
}

// Kinds returns what operations there are, as they stand in a program.
func Kinds() []string {
	return []string{
		"create", "write", "truncate", "otrunc", "preallocate",
		"rename", "remove", "mkdir", "rmdir",
		"sync", "syncdata", "syncdir",
	}
}

// Program is a list of operations; the power goes after the last.
type Program []Op

// Parse reads operations separated by semicolons or ends of lines; "#" begins a
// comment:
//
//	create f
//	write f 0 a*512,b*512
//	truncate f 100
//	otrunc f
//	preallocate f 0 4096
//	rename f d/g
//	remove f
//	mkdir d
//	rmdir d
//	sync f
//	syncdata f
//	syncdir d
func Parse(text string) (Program, error) {
	var p Program
	for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == ';' || r == '\n' }) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		op, err := parseOp(words)
		if err != nil {
			return nil, fmt.Errorf("naive: %q: %w", strings.TrimSpace(line), err)
		}
		p = append(p, op)
	}
	return p, nil
}

func parseOp(words []string) (Op, error) {
	op := Op{Kind: words[0]}
	wanted := map[string]int{"write": 4, "truncate": 3, "preallocate": 4, "rename": 3}[op.Kind]
	if wanted == 0 {
		wanted = 2
	}
	if len(words) != wanted {
		return op, fmt.Errorf("%d words, want %d", len(words), wanted)
	}
	op.Path = words[1]
	number := func(word string, n *int64) error {
		v, err := strconv.ParseInt(word, 10, 64)
		if err != nil || v < 0 {
			return fmt.Errorf("%q is not a number of bytes", word)
		}
		*n = v
		return nil
	}
	switch op.Kind {
	case "create", "otrunc", "remove", "mkdir", "rmdir", "sync", "syncdata", "syncdir":
		return op, nil
	case "rename":
		op.To = words[2]
		return op, nil
	case "truncate":
		return op, number(words[2], &op.Length)
	case "preallocate":
		if err := number(words[2], &op.Offset); err != nil {
			return op, err
		}
		return op, number(words[3], &op.Length)
	case "write":
		data, err := parseRuns(words[3])
		op.Data = data
		if err != nil {
			return op, err
		}
		return op, number(words[2], &op.Offset)
	}
	return op, fmt.Errorf("no such operation; there are %s", strings.Join(Kinds(), ", "))
}

// parseRuns reads "a*512,b": 512 bytes a and one b; "0" is a zero byte.
func parseRuns(text string) ([]byte, error) {
	var data []byte
	if text == "" {
		return nil, nil
	}
	for run := range strings.SplitSeq(text, ",") {
		letter, times, counted := strings.Cut(run, "*")
		n := 1
		if counted {
			var err error
			if n, err = strconv.Atoi(times); err != nil || n < 1 {
				return nil, fmt.Errorf("%q is not a number of times", times)
			}
		}
		if len(letter) != 1 {
			return nil, fmt.Errorf("%q is not one letter", letter)
		}
		b := letter[0]
		if b == '0' {
			b = 0
		}
		for range n {
			data = append(data, b)
		}
	}
	return data, nil
}

// Runs prints bytes as parseRuns reads them: "a*512,0*3". Letters and zero bytes
// print as themselves, others as \xff.
func Runs(data []byte) string {
	var runs []string
	for i := 0; i < len(data); {
		j := i
		for j < len(data) && data[j] == data[i] {
			j++
		}
		letter := string(rune(data[i]))
		switch b := data[i]; {
		case b == 0:
			letter = "0"
		case b < 'A' || b > 'z':
			letter = fmt.Sprintf(`\x%02x`, b)
		}
		if j-i > 1 {
			letter += "*" + strconv.Itoa(j-i)
		}
		runs = append(runs, letter)
		i = j
	}
	return strings.Join(runs, ",")
}

func (op Op) String() string {
	switch op.Kind {
	case "write":
		return fmt.Sprintf("write %s %d %s", op.Path, op.Offset, Runs(op.Data))
	case "truncate":
		return fmt.Sprintf("truncate %s %d", op.Path, op.Length)
	case "preallocate":
		return fmt.Sprintf("preallocate %s %d %d", op.Path, op.Offset, op.Length)
	case "rename":
		return fmt.Sprintf("rename %s %s", op.Path, op.To)
	}
	return op.Kind + " " + op.Path
}

func (p Program) String() string {
	var lines []string
	for _, op := range p {
		lines = append(lines, op.String())
	}
	return strings.Join(lines, "; ")
}

// Check says whether the program can be performed on an empty disk.
func (p Program) Check() error {
	_, err := perform(p, Options{Preset: "posix", Cell: page})
	return err
}
