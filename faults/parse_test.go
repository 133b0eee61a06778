package faults_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/untorn-db/untorn/faults"
)

func anyFault() *rapid.Generator[faults.Fault] {
	return rapid.Custom(func(t *rapid.T) faults.Fault {
		return faults.Fault{
			Step:    rapid.OneOf(rapid.Just(faults.AnyStep), rapid.IntRange(0, math.MaxInt32)).Draw(t, "step"),
			Op:      rapid.SampledFrom(faults.Ops()).Draw(t, "op"),
			Class:   rapid.OneOf(rapid.SampledFrom([]string{"", "seg", "new", "lock", "dir", "other", "*", "a b", `"`, ":", "#1"}), rapid.String()).Draw(t, "class"),
			Ordinal: rapid.IntRange(0, math.MaxInt32).Draw(t, "ordinal"),
			Kind:    rapid.SampledFrom(faults.Kinds()).Draw(t, "kind"),
			N:       rapid.OneOf(rapid.Just(int64(0)), rapid.Int64()).Draw(t, "n"),
			Errno:   rapid.OneOf(rapid.Just(faults.EIO), rapid.Map(rapid.IntRange(0, 15), func(i int) faults.Errno { return faults.Errno(i) })).Draw(t, "errno"),
			Mode:    rapid.OneOf(rapid.Just(faults.Mode("")), rapid.SampledFrom(faults.Modes())).Draw(t, "mode"),
			Delayed: rapid.Bool().Draw(t, "delayed"),
			Lasting: rapid.SampledFrom([]faults.Lasting{faults.Once, faults.Sticky, faults.Here}).Draw(t, "lasting"),
		}
	}).Filter(func(f faults.Fault) bool { return f.Validate() == nil })
}

func TestParseReadsWhatStringPrints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFault().Draw(t, "fault")
		got, err := faults.Parse(f.String())
		if err != nil {
			t.Fatalf("%+v prints as a line that is refused: %v", f, err)
		}
		if got != f {
			t.Fatalf("%+v prints as %q, which reads as %+v", f, f, got)
		}
		if strings.ContainsAny(f.String(), "\r\n") {
			t.Fatalf("%q is more than a line", f)
		}
	})
}

// Every sort of fault there is, on every operation that it can happen to.
func TestParseReadsEverySort(t *testing.T) {
	sorts := map[faults.Kind]bool{}
	for _, op := range faults.Ops() {
		for f := range faults.Every([]faults.Count{{Step: 7, Op: op, Class: "seg", N: 2}}) {
			sorts[f.Kind] = true
			if got, err := faults.Parse(f.String()); err != nil || got != f {
				t.Errorf("%+v prints as %q, which reads as %+v, %v", f, f, got, err)
			}
		}
	}
	for _, k := range faults.Kinds() {
		if !sorts[k] {
			t.Errorf("Every never tries %s", k)
		}
	}
}

func TestParseTable(t *testing.T) {
	for _, test := range []struct {
		line string
		want faults.Fault
	}{
		{"step=3 write seg #2: short 100", faults.Fault{Step: 3, Op: faults.Write, Class: "seg", Ordinal: 2, Kind: faults.Short, N: 100}},
		{"step=* sync * #3: fail EIO", faults.Fault{Step: faults.AnyStep, Op: faults.Sync, Ordinal: 3}},
		{"step=0 syncdata seg #*: failsync keep-dirty sticky", faults.Fault{Op: faults.SyncData, Class: "seg", Kind: faults.FailSync, Mode: faults.KeepDirty, Lasting: faults.Sticky}},
		{"step=0 write * #1: enospc 4096 delayed xfs", faults.Fault{Op: faults.Write, Ordinal: 1, Kind: faults.NoSpace, N: 4096, Delayed: true, Mode: faults.XFS}},
		{"step=1 readat seg #1: flip 77 here", faults.Fault{Step: 1, Op: faults.ReadAt, Class: "seg", Ordinal: 1, Kind: faults.Flip, N: 77, Lasting: faults.Here}},
		{"step=1 lock lock #1: held", faults.Fault{Step: 1, Op: faults.Lock, Class: "lock", Ordinal: 1, Kind: faults.Held}},
		{"step=1 write seg #1: misdirect -512", faults.Fault{Step: 1, Op: faults.Write, Class: "seg", Ordinal: 1, Kind: faults.Misdirect, N: -512}},
		{"step=1 close seg #1: slow 1m0.25s", faults.Fault{Step: 1, Op: faults.Close, Class: "seg", Ordinal: 1, Kind: faults.Slow, N: int64(time.Minute + 250*time.Millisecond)}},
		{`step=1 write "a \"b\": c" #1: lose`, faults.Fault{Step: 1, Op: faults.Write, Class: `a "b": c`, Ordinal: 1, Kind: faults.Lose}},
	} {
		if got, err := faults.Parse(test.line); err != nil || got != test.want {
			t.Errorf("%s\ngot  %+v, %v\nwant %+v", test.line, got, err, test.want)
		}
		if got := test.want.String(); got != test.line {
			t.Errorf("got %q, want %q", got, test.line)
		}
	}
	for line, want := range map[string]string{ // other ways to write it
		"  step=3\twrite  seg   #2 :  short  100 EIO ": "step=3 write seg #2: short 100",
		"step=03 write \"seg\" #02:short 0100":         "step=3 write seg #2: short 100",
		"step=0 write * #1: enospc 1 delayed sticky":   "step=0 write * #1: enospc 1 delayed ext4 sticky",
		"step=0 write * #1: slow 1500ms":               "step=0 write * #1: slow 1.5s",
	} {
		if got, err := faults.Parse(line); err != nil || got.String() != want {
			t.Errorf("%q reads as %q, %v; want %q", line, got, err, want)
		}
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for line, want := range map[string]string{
		"":                                "it begins with step=NUMBER or step=*",
		"3 write seg #2: short 100":       "it begins with step=NUMBER or step=*",
		"step=-1 write seg #2: short 100": `step "-1" is no number`,
		"step=2147483648 write seg #2: short 100":           `step "2147483648" is no number`,
		"step=3 wirte seg #2: short 100":                    `no operation "wirte": it is one of [open create`,
		"step=3 write #2: short 100":                        `class "#2"`,
		`step=3 write "seg #2: short 100`:                   "a quote is not closed",
		`step=3 write "" #2: short 100`:                     `"" is no class`,
		"step=3 write seg 2: short 100":                     "after the class comes #NUMBER or #*",
		"step=3 write seg #0: short 100":                    "#0: operations are counted from 1",
		"step=3 write seg #2 short 100":                     "a colon stands before what happens",
		"step=3 write seg #2: shrot 100":                    `no fault "shrot": it is one of [fail short`,
		"step=3 write seg #2: short":                        `"" is not a number`,
		"step=3 write seg #2: short -1":                     "short -1: less than nothing",
		"step=3 write seg #2: short 1 EWHAT":                `no error "EWHAT"`,
		"step=3 write seg #2: fail":                         `no error ""`,
		"step=3 write seg #2: fail EIO soon":                `"soon" at the end: there may be sticky or here, or nothing`,
		"step=3 write seg #2: fail EIO sticky again":        `"again" is left over`,
		"step=3 write seg #2: failsync ext4":                "failsync does not happen to write",
		"step=3 sync seg #2: failsync ext5":                 `no mode "ext5": it is one of [ext4`,
		"step=3 sync seg #2: failsync":                      `no mode ""`,
		"step=3 sync seg #2: flip 3":                        "flip does not happen to sync",
		"step=3 read seg #2: stale 3":                       "stale does not happen to read",
		"step=3 read seg #2: short 0":                       "a short read has at least 1 byte",
		"step=3 read seg #2: short 3 ENOSPC":                "a short read returns no error",
		"step=3 write seg #2: misdirect 0":                  "misdirect 0: by how many bytes",
		"step=3 write seg #2: flip 3 here":                  "a bad sector (here) is for fail, flip and zero of read and readat",
		"step=3 write seg #2: slow soon":                    "slow needs a duration",
		"step=3 write seg #2: slow -1s":                     "slow -1000000000: less than nothing",
		"step=3 write seg #2: enospc 1 delayed silent":      "delayed enospc is told by the sync, which mode silent does not",
		"step=3 sync seg #2: stale -3 sticky":               "stale does not happen to sync; stale -3: less than nothing",
		"step=3 write seg #2: short 99999999999999999999":   "is not a number",
		"step=3 write " + strings.Repeat("ü", 300) + " #1:": "class",
	} {
		f, err := faults.Parse(line)
		if err == nil {
			t.Errorf("%q was accepted, as %v", line, f)
			continue
		}
		if !strings.HasPrefix(err.Error(), "faults: \"") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q, want it to say %q", line, err, want)
		}
		if len(err.Error()) > 1000 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: the error is long: %q", line, err)
		}
	}
}

func TestValidateReportsEveryProblem(t *testing.T) {
	for _, test := range []struct {
		fault faults.Fault
		want  string
	}{
		{faults.Fault{Step: -2, Op: 99, Ordinal: -1, Kind: 99, Errno: 99, Lasting: 99},
			"step -2: a step is a number from 0 to 2147483647, or *\n#-1: operations are counted from 1; * is each of them\nno operation 99\nno kind 99\nno errno 99\nno lasting 99"},
		{faults.Fault{Op: faults.Open, Kind: faults.Held, N: 1, Errno: faults.ENOSPC, Mode: faults.XFS, Delayed: true, Lasting: faults.Here},
			"held does not happen to open\nheld has no errno\nonly enospc is delayed\nheld has no mode\nheld has no number\na bad sector (here) is for fail, flip and zero of read and readat"},
	} {
		if err := test.fault.Validate(); err == nil || err.Error() != test.want {
			t.Errorf("%+v: got\n%v\nwant\n%s", test.fault, err, test.want)
		}
		_ = test.fault.String() // says what it can
	}
}

func FuzzParse(f *testing.F) {
	f.Add("step=3 write seg #2: short 100")
	f.Add("step=* sync * #*: failsync ext4 sticky")
	f.Add("step=0 write * #1: enospc 4096 delayed ext4")
	f.Add(`step=1 readat "a b" #1: flip 77 here`)
	f.Add("step=1 close seg #1: slow 2562047h47m16.854775807s")
	f.Fuzz(func(t *testing.T, line string) {
		fault, err := faults.Parse(line)
		if err != nil {
			if fault != (faults.Fault{}) {
				t.Fatalf("%q: refused, and yet %+v", line, fault)
			}
			return
		}
		if err := fault.Validate(); err != nil {
			t.Fatalf("%q reads as a fault that is not valid: %v", line, err)
		}
		again, err := faults.Parse(fault.String())
		if err != nil || again != fault {
			t.Fatalf("%q reads as %+v, prints as %q, and that reads as %+v, %v", line, fault, fault, again, err)
		}
	})
}
