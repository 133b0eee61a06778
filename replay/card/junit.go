package card

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Suite is the tests of one command.
type Suite struct {
	Name       string
	Properties []Property
	Cases      []Case
}

// Case is one test: what was run in one scenario on one disk, say. Class and Name
// together name it; of two with the same name GitLab shows one.
type Case struct {
	Class, Name string
	Seconds     float64
	Properties  []Property
	Cards       []Card   // what failed; none: it passed
	Problems    []string // what failed besides, in words
	Skipped     string   // why it was not run, "" where it was
}

// Property is something that is known of a test.
type Property struct {
	Name, Value string
}

// JUnit writes tests as the XML that GitHub, GitLab and Jenkins read. There is no
// schema that all three agree on: this is the part that they have in common, with
// one failure element in a test, of which Jenkins shows no second.
func JUnit(w io.Writer, s Suite) error {
	suite := xmlSuite{Name: visible(s.Name), Tests: len(s.Cases), Properties: properties(s.Properties)}
	seconds := 0.0
	for _, c := range s.Cases {
		test := xmlCase{Class: visible(c.Class), Name: visible(c.Name), Time: secondsText(c.Seconds), Properties: properties(c.Properties)}
		seconds += c.Seconds
		switch {
		case c.failed():
			test.Failure = c.failure()
			suite.Failures++
		case c.Skipped != "":
			test.Skipped = &xmlSkipped{visible(c.Skipped)}
			suite.Skipped++
		}
		suite.Cases = append(suite.Cases, test)
	}
	suite.Time = secondsText(seconds)
	all := xmlSuites{Name: suite.Name, Tests: suite.Tests, Failures: suite.Failures, Time: suite.Time, Suites: []xmlSuite{suite}}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (c *Case) failed() bool { return len(c.Cards) > 0 || len(c.Problems) > 0 }

// failure is all that failed in a test.
func (c *Case) failure() *xmlFailure {
	f := &xmlFailure{Type: "problem"}
	var texts []string
	for _, card := range c.Cards {
		texts = append(texts, card.Text())
	}
	for _, problem := range c.Problems {
		texts = append(texts, strings.Join(wrap(problem), "\n")+"\n")
	}
	f.Text = strings.Join(texts, "\n")
	if len(c.Cards) > 0 {
		first := c.Cards[0]
		f.Type = visible(first.Invariant)
		if f.Type == "" {
			f.Type = "failure"
		}
		f.Message = fit(visible(first.Promise), 4*Columns)
		if first.Cause != "" {
			f.Message = fit(visible(first.Cause), 4*Columns)
		}
	} else {
		f.Message = fit(visible(c.Problems[0]), 4*Columns)
	}
	return f
}

func secondsText(s float64) string { return fmt.Sprintf("%.3f", s) }

func properties(list []Property) *xmlProperties {
	if len(list) == 0 {
		return nil
	}
	p := &xmlProperties{}
	for _, each := range list {
		p.List = append(p.List, xmlProperty{visible(each.Name), visible(each.Value)})
	}
	return p
}

// The elements. Every text in them has gone through visible, so that none holds a
// character that XML 1.0 does not have.
type (
	xmlSuites struct {
		XMLName  xml.Name   `xml:"testsuites"`
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Errors   int        `xml:"errors,attr"`
		Time     string     `xml:"time,attr"`
		Suites   []xmlSuite `xml:"testsuite"`
	}
	xmlSuite struct {
		Name       string         `xml:"name,attr"`
		Tests      int            `xml:"tests,attr"`
		Failures   int            `xml:"failures,attr"`
		Errors     int            `xml:"errors,attr"`
		Skipped    int            `xml:"skipped,attr"`
		Time       string         `xml:"time,attr"`
		Properties *xmlProperties `xml:"properties"`
		Cases      []xmlCase      `xml:"testcase"`
	}
	xmlCase struct {
		Class      string         `xml:"classname,attr"`
		Name       string         `xml:"name,attr"`
		Time       string         `xml:"time,attr"`
		Properties *xmlProperties `xml:"properties"`
		Failure    *xmlFailure    `xml:"failure"`
		Skipped    *xmlSkipped    `xml:"skipped"`
	}
	xmlFailure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",cdata"`
	}
	xmlSkipped struct {
		Message string `xml:"message,attr"`
	}
	xmlProperties struct {
		List []xmlProperty `xml:"property"`
	}
	xmlProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
)
