package commandtest

import (
	"bytes"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/untorn-db/untorn/cmd/internal/command"
)

// Manual checks that the manual page has every command, flag, exit code and example,
// that it is made of what man(7) knows, and, where groff is installed, that it formats
// without a warning into text that has all of them as they are typed.
func Manual(t *testing.T, p command.Program) {
	page := output(t, &p, "man")
	if again := output(t, &p, "man"); !bytes.Equal(again, page) {
		t.Error("two pages differ")
	}
	for _, wrong := range malformed(string(page)) {
		t.Error(wrong)
	}
	for _, section := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO"} {
		if !bytes.Contains(page, []byte("\n.SH \""+section+"\"\n")) {
			t.Errorf("the page has no section %s", section)
		}
	}
	source := strings.NewReplacer(`\-`, "-", `\(aq`, "'", `\(dq`, `"`, `\(ha`, "^", `\(ti`, "~", `\(ga`, "`", `\e`, `\`, `\&`, "", `\fB`, "", `\fI`, "", `\fR`, "").Replace(string(page))
	shown := map[string]string{"the page": source}
	if _, err := exec.LookPath("groff"); err == nil {
		run := exec.Command("groff", "-man", "-ww", "-Tutf8", "-P-cbu", "-rLL=200n")
		run.Stdin = bytes.NewReader(page)
		var errs bytes.Buffer
		run.Stderr = &errs
		text, err := run.Output()
		if err != nil || errs.Len() > 0 {
			t.Fatalf("groff: %v: %s", err, errs.String())
		}
		shown["what groff makes of it"] = string(text)
	} else {
		t.Log("groff is not installed: the page is not formatted")
	}
	for where, text := range shown {
		for _, c := range p.Commands() {
			section := between(text, p.Name+" "+c.Name)
			if section == "" {
				t.Errorf("%s has no %s %s", where, p.Name, c.Name)
			}
			for _, f := range c.Flags() {
				if !regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(strings.TrimSpace(f.Written+" "+f.Value)) + `(\s|$)`).MatchString(section) {
					t.Errorf("%s has no %s of %s %s", where, f.Written, p.Name, c.Name)
				}
			}
			for _, example := range c.Examples {
				if !strings.Contains(text, example.Line) {
					t.Errorf("%s has no example %q", where, example.Line)
				}
			}
		}
		for _, exit := range p.Exits {
			if !strings.Contains(text, exit.Says) {
				t.Errorf("%s does not say what exit code %d is", where, exit.Code)
			}
		}
	}
}

// between is the section of a command: from its heading to the next one.
func between(text, heading string) string {
	start := regexp.MustCompile(`(?m)^(\.SS "|   )` + regexp.QuoteMeta(heading) + `(["\s].*)?$`).FindStringIndex(text)
	if start == nil {
		return ""
	}
	rest := text[start[1]:]
	if end := regexp.MustCompile(`(?m)^(\.S[SH] |   ?\S|\S)`).FindStringIndex(rest); end != nil && !strings.HasPrefix(text[start[0]:], ".SS") {
		return rest[:end[0]]
	}
	if end := regexp.MustCompile(`(?m)^\.S[SH] `).FindStringIndex(rest); end != nil {
		return rest[:end[0]]
	}
	return rest
}

// malformed lists lines that roff would not take as they are meant.
func malformed(page string) (wrong []string) {
	macros := []string{"TH", "SH", "SS", "PP", "TP", "RS", "RE", "nf", "fi", "br"}
	escape := regexp.MustCompile(`\\(-|e|&|\((aq|dq|ha|ti|ga)|\[u[0-9A-F]{4,5}\]|f[BIR])`)
	for line := range strings.SplitSeq(page, "\n") {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, "."), " ")
		switch {
		case strings.HasPrefix(line, `.\"`):
			continue
		case strings.HasPrefix(line, "'"), strings.HasPrefix(line, ".") && !slices.Contains(macros, name):
			wrong = append(wrong, "roff knows no such request: "+line)
		case strings.Contains(escape.ReplaceAllString(line, ""), `\`):
			wrong = append(wrong, "roff knows no such escape: "+line)
		case strings.Contains(escape.ReplaceAllString(line, ""), "-"):
			wrong = append(wrong, "a hyphen, which may not be pasted as a minus: "+line)
		case strings.ContainsFunc(line, func(r rune) bool { return r > 0x7e || r < ' ' }):
			wrong = append(wrong, "not ASCII: "+line)
		}
	}
	return wrong
}
