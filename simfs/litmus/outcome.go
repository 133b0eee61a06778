package litmus

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/simfs/naive"
)

// Tree reads a whole file system and prints it as an outcome.
func Tree(fsys afero.Fs) (string, error) {
	var lines []string
	var walk func(dir, prefix string) error
	walk = func(dir, prefix string) error {
		d, err := fsys.Open(dir)
		if err != nil {
			return err
		}
		infos, err := d.Readdir(-1)
		if err != nil {
			return err
		}
		if err := d.Close(); err != nil {
			return err
		}
		for _, info := range infos {
			name := prefix + info.Name()
			if info.IsDir() {
				lines = append(lines, name+"/")
				if err := walk("/"+name, name+"/"); err != nil {
					return err
				}
				continue
			}
			f, err := fsys.Open("/" + name)
			if err != nil {
				return err
			}
			data, err := io.ReadAll(f)
			if err != nil {
				return err
			}
			if err := f.Close(); err != nil {
				return err
			}
			lines = append(lines, name+"="+bytesText(data))
		}
		return nil
	}
	if err := walk("/", ""); err != nil {
		return "", err
	}
	if len(lines) == 0 {
		return "-", nil
	}
	slices.Sort(lines)
	return strings.Join(lines, " "), nil
}

// bytesText prints bytes as naive does where they are letters and zeros. Others
// are noise, and so are letters in its midst that do not come in a row.
func bytesText(data []byte) string {
	known := func(b byte) bool { return b == 0 || b >= 'A' && b <= 'z' }
	if !slices.ContainsFunc(data, func(b byte) bool { return !known(b) }) {
		return naive.Runs(data)
	}
	var runs []string
	noise := 0
	flush := func() {
		if noise > 0 {
			runs = append(runs, fmt.Sprintf("?*%d", noise))
			noise = 0
		}
	}
	for i := 0; i < len(data); {
		k := i
		for k < len(data) && data[k] == data[i] {
			k++
		}
		if known(data[i]) && k-i > 3 {
			flush()
			runs = append(runs, naive.Runs(data[i:k]))
		} else {
			noise += k - i
		}
		i = k
	}
	flush()
	return strings.Join(runs, ",")
}

// Matches reports whether an outcome is one that a pattern of a rule means.
func Matches(pattern, outcome string) bool {
	there := map[string]bool{}
	for word := range strings.FieldsSeq(outcome) {
		if word != "-" {
			there[word] = true
		}
	}
	open := false
	for word := range strings.FieldsSeq(pattern) {
		name, absent := strings.CutSuffix(word, "=-")
		switch {
		case word == "-":
		case word == "...":
			open = true
		case absent:
			for w := range there {
				if strings.HasPrefix(w, name+"=") || strings.HasPrefix(w, name+"/") {
					return false
				}
			}
		case !there[word]:
			return false
		default:
			delete(there, word)
		}
	}
	return open || len(there) == 0
}

// broken says how a set of outcomes breaks a rule, or "".
func (r Rule) broken(outcomes []string) string {
	if r.Verb == "only" {
		want := slices.Sorted(slices.Values(r.Patterns))
		if !slices.Equal(want, outcomes) {
			return fmt.Sprintf("%s: possible are %s", r.Line, strings.Join(outcomes, " | "))
		}
		return ""
	}
	for _, pattern := range r.Patterns {
		found := slices.ContainsFunc(outcomes, func(o string) bool { return Matches(pattern, o) })
		if found != (r.Verb == "allow") {
			return fmt.Sprintf("%s: not so for %s; possible are %s", r.Line, pattern, strings.Join(outcomes, " | "))
		}
	}
	return ""
}
