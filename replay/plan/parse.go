package plan

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What an *Error matches with errors.Is.
var (
	// ErrSyntax: a line does not say what a plan can say.
	ErrSyntax = errors.New("not a plan")
	// ErrLimit: the file is beyond one of the limits of this package.
	ErrLimit = errors.New("plan over the limit")
	// ErrVersion: the plan was written by a newer version of this package.
	ErrVersion = errors.New("the plan's format is newer than this program")
)

// Error is the first problem of a plan file.
type Error struct {
	Line    int    // 1 is the first line
	Kind    error  // ErrSyntax, ErrLimit or ErrVersion
	Problem string // what is wrong
	Hint    string // what to do about it
}

func (e *Error) Error() string {
	return fmt.Sprintf("plan: line %d: %s: %s", e.Line, e.Problem, e.Hint)
}
func (e *Error) Unwrap() error { return e.Kind }

// Parse reads the text of a plan. The error is nil or an *Error.
func Parse(data []byte) (*Plan, error) {
	if len(data) > MaxSize {
		return nil, &Error{1, ErrLimit, fmt.Sprintf("the file has %d bytes, at most %d are allowed", len(data), MaxSize),
			"keep large payloads out of the plan, or delete steps"}
	}
	// The one copy of the file; every string of the plan is a part of it, but
	// for those that were quoted.
	rest := string(data)
	p := &parser{plan: &Plan{}}
	for rest != "" {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		p.number++
		if err := p.line(strings.TrimSuffix(line, "\r")); err != nil {
			err.Line = p.number
			return nil, err
		}
	}
	if err := p.end(); err != nil {
		err.Line = max(p.number, 1)
		return nil, err
	}
	return p.plan, nil
}

type parser struct {
	plan     *Plan
	number   int      // of the current line
	comments []string // those above the next line
	comment  int      // how many comments so far
	seed     bool     // a seed line was there
}

func syntax(problem, hint string) *Error {
	return &Error{Kind: ErrSyntax, Problem: problem, Hint: hint}
}

func tooMany(what string, most int) *Error {
	return &Error{Kind: ErrLimit, Problem: fmt.Sprintf("more than %d %s", most, what), Hint: "shorten the plan"}
}

func (p *parser) line(line string) *Error {
	if len(line) > MaxLine {
		return &Error{Kind: ErrLimit, Problem: fmt.Sprintf("%d bytes in one line, at most %d are allowed", len(line), MaxLine),
			Hint: "keep large payloads out of the plan"}
	}
	if !utf8.ValidString(line) {
		return syntax("bytes that are not UTF-8", `write them as "\xff" in quotes`)
	}
	for _, r := range line {
		if control(r) && r != '\t' {
			return syntax(fmt.Sprintf("the character %U, which cannot be seen", r), "delete it, or write it as an escape in quotes")
		}
	}
	line = strings.Trim(line, " \t")
	if p.number == 1 {
		return p.first(line)
	}
	if line == "" {
		return nil
	}
	if line[0] == '#' {
		return p.addComment(line)
	}
	lead, rest := cutWord(line)
	if lead != "step" {
		p.plan.Comments = append(p.plan.Comments, p.comments...)
		p.comments = nil
	}
	switch lead {
	case "scenario":
		return p.once(lead, &p.plan.Scenario, rest)
	case "disk":
		return p.once(lead, &p.plan.Disk, rest)
	case "seed":
		return p.addSeed(rest)
	case "set":
		return p.addSetting(rest)
	case "step":
		return p.addStep(rest)
	case "fault":
		return addText(&p.plan.Faults, lead, rest)
	case "schedule":
		return p.addSchedule(rest)
	case "crash":
		return addText(&p.plan.Crashes, lead, rest)
	case "invariant":
		return p.setInvariant(rest)
	case "digest":
		return p.addDigest(rest)
	}
	return syntax("unknown word "+clip(strconv.Quote(lead)),
		"a line begins with #, scenario, disk, seed, set, step, fault, schedule, crash, invariant or digest")
}

func (p *parser) first(line string) *Error {
	text, ok := strings.CutPrefix(line, name+" ")
	if !ok {
		return syntax("this is no plan", fmt.Sprintf("the first line is %q", firstLine))
	}
	n, err := strconv.ParseUint(strings.TrimLeft(text, " \t"), 10, 32)
	switch {
	case err != nil || n == 0:
		return syntax("no version "+clip(strconv.Quote(text)), fmt.Sprintf("the first line is %q", firstLine))
	case n > version:
		return &Error{Kind: ErrVersion, Problem: fmt.Sprintf("the plan has version %d of the format, this program reads %d", n, version),
			Hint: "use a newer untorn-sim"}
	}
	return nil
}

func (p *parser) end() *Error {
	p.plan.Comments = append(p.plan.Comments, p.comments...)
	if p.number == 0 {
		return syntax("the file is empty", fmt.Sprintf("the first line is %q", firstLine))
	}
	if p.plan.Scenario == "" {
		return syntax("the plan has no scenario", `add a line "scenario NAME"`)
	}
	return nil
}

func (p *parser) addComment(line string) *Error {
	if p.comment++; p.comment > MaxEntries {
		return tooMany("lines of comment", MaxEntries)
	}
	text := strings.TrimPrefix(line[1:], " ")
	if strings.Trim(text, " \t") == "" {
		text = ""
	}
	p.comments = append(p.comments, text)
	return nil
}

// once sets a name that a plan has at most once.
func (p *parser) once(lead string, field *string, rest string) *Error {
	if *field != "" {
		return syntax("a second "+lead, "keep one")
	}
	text, rest, err := readWord(rest, false)
	switch {
	case err != nil:
		return err
	case text == "":
		return syntax("no name", fmt.Sprintf("write %s NAME", lead))
	case rest != "":
		return trailing(rest)
	}
	*field = text
	return nil
}

func (p *parser) addSeed(rest string) *Error {
	if p.seed {
		return syntax("a second seed", "keep one")
	}
	p.seed = true
	n, err := strconv.ParseUint(rest, 10, 64)
	if err != nil {
		return syntax(clip(strconv.Quote(rest))+" is no seed", "write a whole number, 0 to 2^64 - 1")
	}
	p.plan.Seed = n
	return nil
}

func (p *parser) addSetting(rest string) *Error {
	const hint = "write set KEY = VALUE"
	if len(p.plan.Settings) == MaxSettings {
		return tooMany("settings", MaxSettings)
	}
	key, rest, err := readWord(rest, true)
	if err != nil {
		return err
	}
	if key == "" {
		return syntax("no key", hint)
	}
	rest, ok := strings.CutPrefix(rest, "=")
	if !ok {
		return syntax("no = after "+clip(strconv.Quote(key)), hint)
	}
	if rest = trimLeft(rest); rest == "" {
		return syntax("no value", hint+`, or "" for an empty one`)
	}
	value, rest, err := readWord(rest, false)
	switch {
	case err != nil:
		return err
	case rest != "":
		return trailing(rest)
	}
	if _, known := lookup(p.plan.Settings, key); known {
		return syntax("a second setting "+clip(strconv.Quote(key)), "keep one")
	}
	p.plan.Settings = append(p.plan.Settings, KV{key, value})
	return nil
}

func (p *parser) addStep(rest string) *Error {
	const hint = "write step NUMBER VERB KEY=VALUE …"
	steps := p.plan.Steps
	if len(steps) == MaxEntries {
		return tooMany("steps", MaxEntries)
	}
	text, rest := cutWord(rest)
	number, err := readNumber(text, hint)
	if err != nil {
		return err
	}
	if n := len(steps); n > 0 && steps[n-1].Number >= number {
		return syntax(fmt.Sprintf("step %d after step %d", number, steps[n-1].Number), "step numbers ascend, each is used once")
	}
	step := Step{Comments: p.comments, Number: number}
	p.comments = nil
	if step.Verb, rest, err = readWord(rest, true); err != nil {
		return err
	}
	if step.Verb == "" || rest != "" && rest[0] == '=' {
		return syntax("no verb", hint)
	}
	for rest != "" {
		if len(step.Args) == MaxArgs {
			return tooMany("arguments", MaxArgs)
		}
		var kv KV
		if kv, rest, err = readArg(rest); err != nil {
			return err
		}
		if _, known := lookup(step.Args, kv.Key); known {
			return syntax("a second argument "+clip(strconv.Quote(kv.Key)), "keep one")
		}
		step.Args = append(step.Args, kv)
	}
	p.plan.Steps = append(steps, step)
	return nil
}

func readArg(rest string) (KV, string, *Error) {
	if rest[0] == '#' {
		return KV{}, "", syntax("a comment behind a step", "put it on a line of its own, above")
	}
	key, after, err := readToken(rest, true)
	if err != nil {
		return KV{}, "", err
	}
	after, ok := strings.CutPrefix(after, "=")
	if !ok || key == "" {
		return KV{}, "", syntax(clip(strconv.Quote(firstField(rest)))+" is no argument", "write KEY=VALUE, without blanks around =")
	}
	if after == "" || after[0] == ' ' || after[0] == '\t' {
		return KV{}, "", syntax("no value for "+clip(strconv.Quote(key)), `write KEY=VALUE, or KEY="" for an empty one`)
	}
	value, after, err := readWord(after, false)
	return KV{key, value}, after, err
}

func addText(list *[]string, lead, rest string) *Error {
	if len(*list) == MaxEntries {
		return tooMany("lines of "+lead, MaxEntries)
	}
	text, err := readText(lead, rest)
	if err != nil {
		return err
	}
	*list = append(*list, text)
	return nil
}

func (p *parser) setInvariant(rest string) *Error {
	if p.plan.Invariant != "" {
		return syntax("a second invariant", "keep one")
	}
	text, err := readText("invariant", rest)
	if err != nil {
		return err
	}
	if text == "" {
		return syntax("no invariant", "write invariant NAME, or delete the line")
	}
	p.plan.Invariant = text
	return nil
}

func (p *parser) addSchedule(rest string) *Error {
	if rest == "" {
		return syntax("no choice", "write schedule TOKEN …, or delete the line")
	}
	for rest != "" {
		if len(p.plan.Schedule) == MaxEntries {
			return tooMany("choices of the schedule", MaxEntries)
		}
		token, after, err := readWord(rest, false)
		if err != nil {
			return err
		}
		p.plan.Schedule = append(p.plan.Schedule, token)
		rest = after
	}
	return nil
}

func (p *parser) addDigest(rest string) *Error {
	const hint = "write digest STEP, then 16 lower-case hex digits"
	digests := p.plan.Digests
	if len(digests) == MaxEntries {
		return tooMany("digests", MaxEntries)
	}
	text, sum := cutWord(rest)
	step, err := readNumber(text, hint)
	if err != nil {
		return err
	}
	if n := len(digests); n > 0 && digests[n-1].Step >= step {
		return syntax(fmt.Sprintf("digest of step %d after that of step %d", step, digests[n-1].Step), "digests ascend by step, one each")
	}
	value, bad := strconv.ParseUint(sum, 16, 64)
	if bad != nil || len(sum) != 16 || strings.ToLower(sum) != sum {
		return syntax(clip(strconv.Quote(sum))+" is no digest", hint)
	}
	p.plan.Digests = append(digests, Digest{step, value})
	return nil
}

// readNumber reads a step's number.
func readNumber(text, hint string) (int, *Error) {
	if text == "" {
		return 0, syntax("no number", hint)
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, syntax(clip(strconv.Quote(text))+" is no step number", hint)
	}
	if n > MaxNumber {
		return 0, &Error{Kind: ErrLimit, Problem: fmt.Sprintf("step number %d", n), Hint: fmt.Sprintf("the largest is %d", MaxNumber)}
	}
	return int(n), nil
}

// readText reads the rest of a line, or the one quoted string that it is.
func readText(lead, rest string) (string, *Error) {
	if rest == "" {
		return "", syntax("nothing after "+lead, "write what it is, or delete the line")
	}
	if rest[0] != '"' {
		if strings.Contains(rest, "\t") {
			return "", syntax("a tab in the text", "write a blank")
		}
		return rest, nil
	}
	text, rest, err := readWord(rest, false)
	if err == nil && rest != "" {
		err = trailing(rest)
	}
	return text, err
}

// readWord reads a bare or quoted word and the blanks behind it. A bare word is
// "" where the line ends; a quoted one may be empty too.
func readWord(s string, key bool) (text, rest string, err *Error) {
	if text, rest, err = readToken(s, key); err != nil {
		return "", "", err
	}
	trimmed := trimLeft(rest)
	if rest != "" && len(trimmed) == len(rest) && !(key && rest[0] == '=') {
		return "", "", syntax("no blank before "+clip(strconv.Quote(rest)), "put a blank between two words, or quotes around the whole")
	}
	return text, trimmed, nil
}

// readToken reads a bare or quoted word alone. A bare key ends before = too.
func readToken(s string, key bool) (text, rest string, err *Error) {
	if s != "" && s[0] == '"' {
		quoted, bad := strconv.QuotedPrefix(s)
		if bad != nil {
			return "", "", syntax("a quoted string that does not end, or has an unknown escape", `end it with ", and write \\ for a backslash`)
		}
		text, bad = strconv.Unquote(quoted)
		if bad != nil {
			return "", "", syntax("a quoted string that cannot be read", "write it as a Go string")
		}
		return text, s[len(quoted):], nil
	}
	end := 0
	for end < len(s) && s[end] != ' ' && s[end] != '\t' && !(key && s[end] == '=') {
		if !bare(s[end]) || end == 0 && s[end] == '#' {
			return "", "", syntax(clip(strconv.Quote(firstField(s)))+" has a character that needs quotes", `write it as "…" with the escapes of a Go string`)
		}
		end++
	}
	return s[:end], s[end:], nil
}

func trailing(rest string) *Error {
	return syntax(clip(strconv.Quote(rest))+" is too much", "delete it, or put quotes around the whole")
}

// cutWord cuts a line at its first blanks.
func cutWord(line string) (first, rest string) {
	first = firstField(line)
	return first, trimLeft(line[len(first):])
}

func firstField(line string) string {
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		return line[:i]
	}
	return line
}

func trimLeft(s string) string { return strings.TrimLeft(s, " \t") }

// clip keeps what an error quotes short.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
