package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(0)
		}
		fmt.Fprintln(os.Stderr, "untorn-bench:", err)
		os.Exit(1)
	}
}

type settings struct {
	quick, ratios, json bool
	workloads, peers    string
	dir, svg, profile   string
	rounds              int
	round               time.Duration
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var o settings
	flags := flag.NewFlagSet("untorn-bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&o.quick, "quick", false, "every peer, a few short rounds: under 2 minutes")
	flags.BoolVar(&o.ratios, "ratios", false, "paired rounds of raw, the floors, untorn and the best peer")
	flags.StringVar(&o.workloads, "workload", "", "only these, such as single,batch-100/1024")
	flags.StringVar(&o.peers, "peers", "", "only these besides raw and the floors, such as untorn,pebble")
	flags.StringVar(&o.dir, "dir", ".", "where to write: a directory on the disk to be measured")
	flags.BoolVar(&o.json, "json", false, "one JSON object a line instead of tables")
	flags.StringVar(&o.svg, "svg", "untorn-bench.svg", "the chart's `file`; empty: none")
	flags.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of all rounds to a `file`")
	flags.IntVar(&o.rounds, "rounds", 0, "rounds of each workload; 0: 2 with --quick, 15 with --ratios, else 5")
	flags.DurationVar(&o.round, "round", 0, "how long each is measured in a round; 0: 150ms with --quick, else 1s")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected %q", flags.Arg(0))
	}
	if o.quick && o.ratios {
		return o, errors.New("--quick and --ratios exclude each other")
	}
	defaults := func(rounds int, round time.Duration) {
		if o.rounds == 0 {
			o.rounds = rounds
		}
		if o.round == 0 {
			o.round = round
		}
	}
	switch {
	case o.quick:
		defaults(2, 150*time.Millisecond)
	case o.ratios:
		defaults(leastRounds, time.Second)
	default:
		defaults(5, time.Second)
	}
	if o.rounds < 1 || o.round < 0 {
		return o, errors.New("--rounds and --round must be positive")
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	workloads, err := pickWorkloads(o.workloads)
	if err != nil {
		return err
	}
	peers, err := pickPeers(o.peers)
	if err != nil {
		return err
	}
	say := func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }
	if inMemory(o.dir) {
		say("%s has no disk below it: a sync costs nothing there, and the figures say nothing", o.dir)
	}
	dir, err := os.MkdirTemp(o.dir, "untorn-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if o.profile != "" {
		file, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	runner := &Runner{Dir: dir, Length: o.round, Random: rand.New(rand.NewPCG(rand.Uint64(), 0)), Stop: ctx.Err, Say: say}
	var results []*Result
	start := time.Now()
	for _, w := range workloads {
		say("%s, %v after the start", w, time.Since(start).Round(time.Second))
		play := runner.Run
		if o.ratios {
			play = runner.Ratios
		}
		result, err := play(w, peers, o.rounds)
		if ctx.Err() != nil {
			say("interrupted in %s: what follows was measured before", w)
			break
		}
		if err != nil {
			return err
		}
		results = append(results, result)
	}
	if o.svg != "" {
		if err := writeFile(o.svg, results); err != nil {
			return err
		}
	}
	if o.json {
		return writeJSON(stdout, results, o.ratios)
	}
	fmt.Fprintf(stdout, "%s, %d rounds of %v, %v in all.\n\n", machine(), o.rounds, o.round, time.Since(start).Round(time.Second))
	return writeMarkdown(stdout, results)
}

func writeFile(name string, results []*Result) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(writeSVG(file, results), file.Close())
}

// machine is what one must know of it to read the figures.
func machine() string {
	text := fmt.Sprintf("%s %s/%s, %d processors", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	if cpus, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(cpus)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				text += " (" + strings.TrimSpace(strings.TrimLeft(name, "\t :")) + ")"
				break
			}
		}
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		if fields := strings.Fields(string(load)); len(fields) > 2 {
			text += ", load " + strings.Join(fields[:3], " ")
		}
	}
	return text
}
