package dump_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/spf13/afero"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/engine/dump"
	"github.com/untorn-db/untorn/faults"
	"github.com/untorn-db/untorn/simclock"
	"github.com/untorn-db/untorn/simfs"
	"github.com/untorn-db/untorn/simfs/explore"
)

// sourceLog is a log to be dumped, with batches that need three segments of 64 KiB.
func sourceLog(t fataler) *engine.Log {
	t.Helper()
	log := smallLog(t)
	for i := range 4 {
		if _, err := log.Append(context.Background(), engine.Draft{Stream: "large", Type: "t", Data: []byte(strings.Repeat(fmt.Sprint(i), 30<<10))}); err != nil {
			t.Fatalf("append: %v", err)
		}
	}
	return log
}

// importer imports a dump into a log on a disk that crashes.
type importer struct {
	text []byte
	id   uuid.UUID
	// into makes the log another one, and what follows must be the case of a prefix.
	elsewhere bool
}

// open opens the log on a disk.
func (i importer) open(fs afero.Fs, entropy uint64) (*engine.Log, error) {
	clock := simclock.New(simclock.Epoch())
	o := engine.Options{Dir: "log", FS: fs, Clock: clock, Waits: waits{clock}, SegmentSize: 64 << 10, Preallocate: 8192, ID: i.id}
	if i.elsewhere {
		o.ID = uuid.UUID{1}
	}
	seed := [32]byte{}
	binary.LittleEndian.PutUint64(seed[:], entropy)
	o.Rand = rand.NewChaCha8(seed)
	return engine.Open(o)
}

func (i importer) run(log *engine.Log) (dump.Result, error) {
	r, err := dump.Read(bytes.NewReader(i.text))
	if err != nil {
		return dump.Result{}, err
	}
	return dump.Import(context.Background(), log, r, dump.Options{})
}

// check says how a log is not what an import can leave: a prefix of the dump, and all of
// it if it is done.
func (i importer) check(log *engine.Log, source *engine.Log, done bool) error {
	if _, err := log.Verify(context.Background()); err != nil {
		return err
	}
	head := log.LogHead()
	if i.elsewhere {
		want, n := source.Read(engine.Query{}), uint64(0)
		var ids []uuid.UUID
		for e, err := range want {
			if err != nil {
				return err
			}
			ids = append(ids, e.ID)
		}
		for e, err := range log.Read(engine.Query{}) {
			if err != nil {
				return err
			}
			if e.Sequence > uint64(len(ids)) || e.ID != ids[e.Sequence-1] {
				return fmt.Errorf("event %d is %v", e.Sequence, e.ID)
			}
			n++
		}
		if done && n != uint64(len(ids)) {
			return fmt.Errorf("%d events of %d", n, len(ids))
		}
		return nil
	}
	want, err := source.HeadAt(head.Batch)
	switch {
	case err != nil:
		return err
	case head.Batch > 0 && want.Hash != head.Hash:
		return fmt.Errorf("head %v, want %v", head, want)
	case done && head != source.LogHead():
		return fmt.Errorf("head %v, want %v", head, source.LogHead())
	}
	return nil
}

// recovered checks a log, and completes the import.
func (i importer) recovered(fs afero.Fs, entropy uint64, source *engine.Log, done bool) (err error) {
	log, err := i.open(fs, entropy)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if err := i.check(log, source, done); err != nil {
		return err
	}
	if _, err := i.run(log); err != nil {
		return err
	}
	if err := i.check(log, source, true); err != nil {
		return err
	}
	if again := new(bytes.Buffer); !i.elsewhere {
		if _, err := dump.Write(context.Background(), again, log, dump.Range{}); err != nil || !bytes.Equal(again.Bytes(), i.text) {
			return fmt.Errorf("another dump; %w", err)
		}
	}
	return nil
}

func importers(t fataler, source *engine.Log) map[string]importer {
	i := importer{text: dumped(t, source, dump.Range{}), id: source.ID()}
	other := i
	other.elsewhere = true
	return map[string]importer{"exact": i, "elsewhere": other}
}

// TestImportSurvivesCrashes: killed, or without power, at every operation, on every disk
// that may be left, an import leaves a prefix of the dump, and is completed by the next.
func TestImportSurvivesCrashes(t *testing.T) {
	source := sourceLog(t)
	defer closed(t, source)
	for name, i := range importers(t, source) {
		for _, preset := range []simfs.Guarantees{simfs.Posix(), simfs.Ext4()} {
			t.Run(name+"/"+preset.Name, func(t *testing.T) {
				// A recovery reads all there is, so that few of the images of a crash can be
				// tried; those of each crash point are.
				config := explore.Config{
					Guarantees: preset, CellSize: 4096, Kinds: explore.Power | explore.Kill,
					Exhaustive: -1, MaxDeviation: 1, Samples: 2, MaxPerPoint: 24,
				}
				if testing.Short() {
					config.MaxImages = 60
				}
				report, err := explore.Explore(context.Background(), config, explore.Program{
					Workload: func(run *explore.Run) error {
						log, err := i.open(run.FS, run.Entropy)
						if err != nil {
							return err
						}
						if result, err := i.run(log); err != nil || !result.Durable {
							return fmt.Errorf("%+v: %w", result, err)
						}
						run.Note(explore.Note{Key: "imported", Change: explore.Narrows})
						return log.Close()
					},
					Recover: func(run *explore.Run) error {
						return i.recovered(run.FS, run.Entropy, source, len(run.History) > 0)
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range report.Violations {
					t.Error(v)
				}
				if report.CrashPoints < 50 || report.Recoveries < 50 {
					t.Errorf("%d crash points, %d recoveries", report.CrashPoints, report.Recoveries)
				}
				t.Logf("%d crash points, %d recoveries, exact: %v %s", report.CrashPoints, report.Recoveries, report.Exact, report.Why)
			})
		}
	}
}

// TestImportSurvivesEveryFault lets every operation fail, once and from then on: what an
// import has told is so, and the next one completes it.
func TestImportSurvivesEveryFault(t *testing.T) {
	source := sourceLog(t)
	defer closed(t, source)
	for name, i := range importers(t, source) {
		t.Run(name, func(t *testing.T) {
			run := func(line string) (*simfs.FS, *faults.FS, dump.Result, error) {
				fault, err := faults.Parse(line)
				if err != nil {
					t.Fatal(err)
				}
				disk := simfs.New(simfs.Options{})
				failing := faults.New(disk, []faults.Fault{fault}, faults.Options{})
				log, err := i.open(failing, 1)
				if err != nil {
					return disk, failing, dump.Result{}, err
				}
				result, err := i.run(log)
				log.Close()
				return disk, failing, result, err
			}
			_, counted, _, _ := run("step=9 sync * #1: fail EIO")
			tried, failed := 0, 0
			for _, count := range counted.Counts() {
				for n := 1; n <= count.N; n++ {
					for _, lasting := range []string{"", " sticky"} {
						line := fmt.Sprintf("step=0 %v %s #%d: fail EIO%s", count.Op, count.Class, n, lasting)
						tried++
						disk, _, result, err := run(line)
						if err != nil {
							failed++
						}
						for _, choose := range []simfs.Chooser{simfs.Latest(), simfs.Oldest()} {
							image := disk.Crash(simfs.PowerLoss).Mount(choose)
							if result.Durable && result.Batch > 0 {
								log, err := i.open(image, 2)
								if err != nil {
									t.Fatalf("%s: %v", line, err)
								}
								if head := log.LogHead(); !i.elsewhere && head.Batch < result.Batch {
									t.Errorf("%s: the log ends with batch %d, and %+v was told", line, head.Batch, result)
								}
								log.Close()
							}
							if err := i.recovered(image, 3, source, err == nil); err != nil {
								t.Errorf("%s: %v", line, err)
							}
						}
					}
				}
			}
			if failed == 0 {
				t.Error("no import has failed")
			}
			t.Logf("%d faults, %d imports failed", tried, failed)
		})
	}
}
