package report

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
	"unicode"
)

//go:embed page
var files embed.FS

// page is what both pages have.
type page struct {
	Title  string
	Policy string
	Style  template.CSS
	Script template.JS
	Data   any // what the script draws, as JSON
}

// write makes a page of a template, with the scripts that it needs.
func write(w io.Writer, name string, p *page, content any, scripts ...string) error {
	t, err := template.New(name).Funcs(template.FuncMap{"visible": visible, "thousands": thousands}).
		ParseFS(files, "page/frame.html", "page/"+name)
	if err != nil {
		return fmt.Errorf("internal error: %w", err)
	}
	style, err := files.ReadFile("page/style.css")
	if err != nil {
		return fmt.Errorf("internal error: %w", err)
	}
	script := "\"use strict\";\n"
	for _, name := range scripts {
		text, err := files.ReadFile("page/" + name)
		if err != nil {
			return fmt.Errorf("internal error: %w", err)
		}
		script += string(text)
	}
	p.Style, p.Script = template.CSS(style), template.JS(script)
	p.Policy = "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src '" +
		hash(string(style)) + "'; script-src '" + hash(script) + "'"
	// A page that fails half way is none.
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, name, content); err != nil {
		return fmt.Errorf("make a page: %w", err)
	}
	_, err = w.Write(out.Bytes())
	return err
}

// generator stands at the begin of every page.
const generator = `<meta name="generator" content="untorn-sim report">`

// Is reports whether what is read begins as a page of this package does.
func Is(r io.Reader) (bool, error) {
	head, err := io.ReadAll(io.LimitReader(r, 4<<10))
	return bytes.Contains(head, []byte(generator)), err
}

// hash is how a policy names a text that may stand in the page.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// visible spells out what would not be seen, or would turn the line around. The script
// has the same function.
func visible(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r < ' ':
			b.WriteRune('␀' + r)
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029', r == '\ufeff':
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// thousands writes a count as people read it: "1,204,331".
func thousands(n int64) string {
	text := fmt.Sprint(n)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(text) - 3; i > first; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
