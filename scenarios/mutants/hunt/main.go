// Command hunt is what scenarios/mutants builds with a patch laid over the
// engine: it runs seed after seed until a promise is broken, and tells which, a
// JSON object on a line for each finding.
//
//	hunt -invariant I1 -scenarios batch,mixed -disks posix,ext4 -limit 60s
//	hunt -invariant I1 -plan FILE -limit 60s
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/untorn-db/untorn/replay/plan"
	"github.com/untorn-db/untorn/scenarios"
)

// finding is one line of the output. The last line has End set.
type finding struct {
	Invariant string  `json:"invariant"` // "" for what has no number
	Scenario  string  `json:"scenario"`
	Disk      string  `json:"disk"`
	Seed      uint64  `json:"seed"`
	Seeds     int     `json:"seeds"`   // run until then
	Seconds   float64 `json:"seconds"` // of the processor, until then
	Found     string  `json:"found"`
	End       bool    `json:"end"`
}

func main() {
	debug.SetGCPercent(800)
	debug.SetMemoryLimit(1 << 30)
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "hunt:", err)
		os.Exit(2)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("hunt", flag.ExitOnError)
	invariant := flags.String("invariant", "", "the `ID` of the invariant that ends the hunt; empty: any")
	names := flags.String("scenarios", "", "`NAMES` of scenarios, with commas")
	disks := flags.String("disks", "posix", "`NAMES` of disks, with commas")
	file := flags.String("plan", "", "a plan's `FILE`, instead of scenarios and disks")
	seeds := flags.Uint64("seeds", 0, "how many `SEEDS` there are; 0: until the limit")
	limit := flags.Duration("limit", time.Minute, "`TIME` of the processor after which no seed begins")
	patience := flags.Duration("patience", 5*time.Second, "how much `TIME` to go on when another invariant was broken")
	if err := flags.Parse(args); err != nil {
		return err
	}
	h := &hunt{invariant: *invariant, until: *limit, patience: *patience, out: json.NewEncoder(os.Stdout)}
	if *file != "" {
		return h.plan(*file)
	}
	for seed := uint64(1); seed <= *seeds || *seeds == 0; seed++ {
		for _, name := range strings.Split(*names, ",") {
			for _, disk := range strings.Split(*disks, ",") {
				p, err := scenarios.Draw(name, disk, seed)
				if err != nil {
					return err
				}
				if done, err := h.run(p); done || err != nil {
					return err
				}
			}
		}
	}
	return h.end()
}

type hunt struct {
	invariant string
	until     time.Duration
	patience  time.Duration
	out       *json.Encoder
	seeds     int
	other     bool // something else was found
}

// plan runs one plan.
func (h *hunt) plan(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	p, err := plan.Parse(text)
	if err != nil {
		return err
	}
	if done, err := h.run(p); done || err != nil {
		return err
	}
	return h.end()
}

// run runs one seed, and reports whether the hunt is over.
func (h *hunt) run(p *plan.Plan) (done bool, err error) {
	result, err := scenarios.Run(context.Background(), p, scenarios.Config{Workers: 1})
	if err != nil {
		return true, err
	}
	h.seeds++
	for _, v := range result.Violations {
		own := v.Invariant == h.invariant || h.invariant == ""
		if !own && h.other {
			continue
		}
		text, _, _ := strings.Cut(v.Err.Error(), "\n")
		f := h.finding()
		f.Invariant, f.Scenario, f.Disk, f.Seed, f.Found = v.Invariant, p.Scenario, p.Disk, p.Seed, text
		if err := h.out.Encode(f); err != nil {
			return true, err
		}
		if own {
			return true, h.end()
		}
		h.other = true
		h.until = min(h.until, processor()+h.patience)
	}
	if processor() >= h.until {
		return true, h.end()
	}
	return false, nil
}

func (h *hunt) finding() finding { return finding{Seeds: h.seeds, Seconds: processor().Seconds()} }

func (h *hunt) end() error {
	f := h.finding()
	f.End = true
	return h.out.Encode(f)
}
