package main

import (
	"flag"
	"fmt"
	"strconv"
	"time"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/replay/card"
	"github.com/untorn-db/untorn/scenarios/tamper"
)

func tamperCommand() command.Command {
	return command.Command{
		Name: "tamper", Short: "change the files of logs in every way, and check that each change is named and none is served",
		Long: "Makes a few logs (one that was closed, one whose process was killed, aligned, with fresh segments and\n" +
			"carried batches, rotated), keeps the head and the receipts, and changes copies of the files:\n\n" +
			"  damage     bytes flipped, sectors zeroed and swapped, batches and segments dropped, cut, put in, put back\n" +
			"  forged     the same with right checksums, or with some right hashes\n" +
			"  rewritten  written anew with all hashes right: only the head that was kept can tell\n" +
			"  not bound  what no hash binds; erased: content that may be erased; outside: bytes that are part of nothing\n\n" +
			"A row says of how many mutations Open, Verify and the head, or the last receipt, name it. Without a head\n" +
			"two things may be missed: the last batches are gone, or the log is valid in itself. \"unverified\" is what\n" +
			"reads show before Verify has looked, \"served\" what they show though they must not. What the other columns\n" +
			"are is told by the documentation of package scenarios/tamper.\n\n" +
			"What is not as it must be is a find: printed below, and the exit code is 1.",
		Exits: []int{exitFine, exitWrong, exitUsage, exitBudget},
		Values: map[string]command.Values{
			"log": {Words: append(tamper.LogNames(), "all"), List: true},
		},
		Examples: []command.Example{
			{Line: "untorn-sim tamper", Says: "all kinds, on all logs"},
			{Line: "untorn-sim tamper --mutations 300 --log open --kind 'flip a byte,cut'", Says: "two kinds, on one log"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			var c tamper.Config
			flags.IntVar(&c.Mutations, "mutations", tamper.Standard, "at least so `many` of what belongs to the logs; others come in addition")
			flags.Uint64Var(&c.Seed, "seed", 1, "the `number` from which logs and mutations are drawn")
			logs := flags.String("log", "all", "`names` of logs, separated by commas, or all")
			kinds := flags.String("kind", "all", "only kinds of mutations whose names contain one of these `texts`")
			asJSON := flags.Bool("json", false, "one JSON object for each log, kind and find, and one for all kinds together")
			flags.IntVar(&c.Workers, "jobs", 0, "so `many` mutations at once; 0: one for each processor")
			var form form
			form.flag(flags)
			return func(e *command.Env) error {
				if err := form.check(*asJSON); err != nil {
					return err
				}
				if c.Workers < 0 || c.Mutations < 1 {
					return command.Usage("--jobs is 0 or more, --mutations is 1 or more")
				}
				if *logs != "all" {
					c.Logs = words(*logs)
				}
				if *kinds != "all" {
					c.Kinds = words(*kinds)
				}
				if err := c.Check(); err != nil {
					return command.Usage("%w", err)
				}
				line, began := e.Progress(), time.Now()
				c.Progress = func(done, total, finds int) {
					line.Work(time.Since(began), command.Work{Done: int64(done), Total: int64(total), Units: "mutations", More: command.Count(finds, "find", "finds")})
				}
				report, err := tamper.Run(e.Ctx, c)
				line.End()
				if err != nil && e.Ctx.Err() == nil {
					return err
				}
				switch {
				case report == nil: // not one was judged
				case *asJSON:
					if err := tamperJSON(e, report); err != nil {
						return err
					}
				default:
					again := fmt.Sprintf("go run ./cmd/untorn-sim tamper --mutations %d --seed %d --log %s --kind '%s'", c.Mutations, c.Seed, *logs, *kinds)
					if err := showFinds(e, &form, report, again); err != nil {
						return err
					}
				}
				if err != nil {
					found, judged := 0, 0
					if report != nil {
						found, judged = report.Found, report.Total().Mutations
					}
					return interrupted(again(e, flags, nil, "", ""), "%s judged, %s so far; it begins anew", command.Count(judged, "mutation was", "mutations were"), command.Count(found, "find", "finds"))
				}
				return tamperVerdict(report)
			}
		},
	}
}

// tamperVerdict is how the command ends.
func tamperVerdict(report *tamper.Report) error {
	if report.Bad() {
		return command.Fail(exitWrong, "%d mutations were not named, or served", report.Found)
	}
	return nil
}

// showFinds prints the table, and the finds.
func showFinds(e *command.Env, f *form, report *tamper.Report, again string) error {
	fmt.Fprint(f.texts(e), report.Summary())
	cards := map[string][]card.Card{} // by kind
	for _, find := range report.Finds {
		one := find.Card(again)
		fmt.Fprintln(f.texts(e))
		f.show(e, one)
		cards[find.Kind] = append(cards[find.Kind], one)
	}
	if more := report.Found - len(report.Finds); more > 0 {
		fmt.Fprintf(f.texts(e), "and %d more\n", more)
	}
	for _, row := range report.Rows {
		f.add(card.Case{
			Class: "untorn-sim.tamper." + row.Group, Name: row.Kind, Cards: cards[row.Kind],
			Properties: []card.Property{{Name: "mutations", Value: strconv.Itoa(row.Mutations)}, {Name: "named_by_head", Value: strconv.Itoa(row.Head)}},
		})
	}
	return f.end(e, "tamper", card.Property{Name: "seed", Value: strconv.FormatUint(report.Seed, 10)})
}

func tamperJSON(e *command.Env, report *tamper.Report) error {
	for _, l := range report.Logs {
		if err := e.Object(struct {
			Log tamper.LogInfo `json:"log"`
		}{l}); err != nil {
			return err
		}
	}
	for _, row := range report.Rows {
		if err := e.Object(row); err != nil {
			return err
		}
	}
	for _, f := range report.Finds {
		if err := e.Object(struct {
			Find tamper.Find `json:"find"`
		}{f}); err != nil {
			return err
		}
	}
	return e.Object(struct {
		Seed  uint64     `json:"seed"`
		Total tamper.Row `json:"total"`
		Found int        `json:"found"`
	}{report.Seed, report.Total(), report.Found})
}
