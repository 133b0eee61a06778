package main

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/untorn-db/untorn/cmd/internal/command"
	"github.com/untorn-db/untorn/replay/card"
	"github.com/untorn-db/untorn/scenarios/synclab"
	"github.com/untorn-db/untorn/simfs"
)

func syncfailCommand() command.Command {
	return command.Command{
		Name: "syncfail", Short: "let every sync fail in every way that file systems have, and look what is lost",
		Long: "Takes the engine through small stories (a new log, one whose process was killed, a full segment, writes\n" +
			"that fail), and lets each sync of them fail once. A row says how file systems fail:\n\n" +
			"  ext4, xfs   the dirty pages are marked clean and read as new, the disk has old ones; told once\n" +
			"  ext4-data   the same, and it is the next sync that is told\n" +
			"  btrfs       the pages go back to what is on the disk; told once\n" +
			"  keep-dirty  the pages stay dirty, each sync is told until one succeeds\n" +
			"  shutdown    nothing works until a restart\n" +
			"  silent      as ext4, and nobody is told\n\n" +
			"A column says how the program goes on: with its handle, or closing the log and opening it again in the same\n" +
			"process; submitting the batch again with its key, or giving up; and what ends the process, at any point from\n" +
			"the failure on: a restart (which keeps the page cache; the power goes later), or a loss of power.\n\n" +
			"  ok                 what was acknowledged is there, and nothing wrong is served\n" +
			"  lost, unavoidable  acknowledged data is lost: the sync lied, and nobody had been told; where a later\n" +
			"                     batch proves the loss, the log names it\n" +
			"  BAD                anything that the program could have avoided; printed below, and the exit code is 1\n" +
			"  cannot happen      the disk has no such mode",
		Exits: []int{exitFine, exitWrong, exitUsage, exitBudget},
		Values: map[string]command.Values{
			"disk": {Words: simfs.PresetNames()},
		},
		Examples: []command.Example{
			{Line: "untorn-sim syncfail", Says: "the whole table, on posix"},
			{Line: "untorn-sim syncfail --disk sequential --sites 1 --json", Says: "one failing sync of each story, for a program"},
		},
		Prepare: func(flags *flag.FlagSet) func(*command.Env) error {
			var c synclab.Config
			disk := flags.String("disk", "posix", "`name` of the disk; only posix has all modes")
			asJSON := flags.Bool("json", false, "one JSON object for each cell")
			flags.IntVar(&c.Workers, "jobs", 0, "so `many` runs at once; 0: one for each processor")
			flags.IntVar(&c.Sites, "sites", 0, "let so `many` syncs of each story fail; 0: all")
			var form form
			form.flag(flags)
			return func(e *command.Env) error {
				if err := form.check(*asJSON); err != nil {
					return err
				}
				if c.Workers < 0 || c.Sites < 0 {
					return command.Usage("--jobs and --sites are 0 or more")
				}
				var err error
				if c.Disk, err = simfs.ParseGuarantees(*disk); err != nil {
					return command.Usage("%w", err)
				}
				line, began := e.Progress(), time.Now()
				var last synclab.Progress
				c.Progress = func(now synclab.Progress) {
					last = now
					line.Work(time.Since(began), command.Work{Done: int64(now.Done), Total: int64(now.Total), Units: "runs", More: fmt.Sprintf("%d images, %d bad", now.Images, now.Bad)})
				}
				table, err := synclab.Run(e.Ctx, synclab.Engine(), c)
				line.End()
				stopped := err != nil && e.Ctx.Err() != nil
				switch {
				case err != nil && !stopped:
					return err
				case table == nil:
				case *asJSON:
					for i := range table.Cells {
						if err := e.Object(syncfailCell(table, &table.Cells[i])); err != nil {
							return err
						}
					}
				default:
					again := fmt.Sprintf("go run ./cmd/untorn-sim syncfail --disk %s --sites %d", *disk, c.Sites)
					if err := showCells(e, &form, table, again); err != nil {
						return err
					}
				}
				if stopped {
					return interrupted(again(e, flags, nil, "", ""), "%d of %d runs were done; it begins anew", last.Done, last.Total)
				}
				return syncfailVerdict(table)
			}
		},
	}
}

// syncfailVerdict is how the command ends.
func syncfailVerdict(table *synclab.Table) error {
	if table.Bad() {
		return command.Fail(exitWrong, "the log loses what it could have kept, see BAD above")
	}
	return nil
}

// showCells prints the table, and what is bad in it.
func showCells(e *command.Env, f *form, t *synclab.Table, again string) error {
	fmt.Fprint(f.texts(e), t.Summary())
	for i := range t.Cells {
		c := &t.Cells[i]
		test := card.Case{
			Class: "untorn-sim.syncfail." + t.Disk, Name: strings.Join([]string{c.Mode, c.Handle(), c.End(), c.Then()}, ", "), Cards: t.Cards(c, again),
			Properties: []card.Property{{Name: "syncs_failed", Value: strconv.Itoa(c.Fired)}, {Name: "images", Value: strconv.Itoa(c.Images)}, {Name: "verdict", Value: c.Verdict()}},
		}
		if c.Verdict() == synclab.CannotHappen {
			test.Skipped = "the disk has no such mode"
		}
		for _, one := range test.Cards {
			fmt.Fprintln(f.texts(e))
			f.show(e, one)
		}
		f.add(test)
	}
	return f.end(e, "syncfail")
}

// cellJSON is the JSON of a cell.
type cellJSON struct {
	Program string        `json:"program"`
	Disk    string        `json:"disk"`
	Mode    string        `json:"mode"`
	Handle  string        `json:"handle"`
	End     string        `json:"end"`
	Then    string        `json:"then"`
	Verdict string        `json:"verdict"`
	Syncs   int           `json:"syncs_failed"`
	Images  int           `json:"images"`
	Lost    int           `json:"images_lost"`
	Named   int           `json:"images_named"`
	Bad     int           `json:"bad"`
	First   []failureJSON `json:"failures"`
}

type failureJSON struct {
	Error string `json:"error"`
	Story string `json:"story"`
	Fault string `json:"fault"`
	Crash string `json:"crash"`
}

func syncfailCell(t *synclab.Table, c *synclab.Cell) cellJSON {
	out := cellJSON{
		Program: t.Program, Disk: t.Disk, Mode: c.Mode, Handle: c.Handle(), End: c.End(), Then: c.Then(), Verdict: c.Verdict(),
		Syncs: c.Fired, Images: c.Images, Lost: c.Lost, Named: c.Named, Bad: c.BadAll, First: []failureJSON{},
	}
	for _, f := range c.Bad {
		out.First = append(out.First, failureJSON{f.Err, f.Story, f.Fault, f.Crash})
	}
	return out
}
