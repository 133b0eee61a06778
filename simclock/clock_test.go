package simclock

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func Example() {
	clock := New(Epoch())
	done := clock.Event("the nightly sync")
	clock.After(8*time.Hour, done.Set)
	clock.Jump(-time.Hour)                 // somebody set the clock back
	err := done.Wait(context.Background()) // returns at once, eight hours later
	fmt.Println(err, clock.Now())
	// Output: <nil> 2020-01-01 07:00:00 +0000 UTC
}

func at(t *testing.T, c *Clock, want time.Duration) {
	t.Helper()
	if got := c.Now().Sub(Epoch()); got != want {
		t.Fatalf("the wall clock stands at epoch%+v, want epoch%+v", got, want)
	}
}

func TestReadingDoesNotMoveTime(t *testing.T) {
	c := New(time.Time{})
	for range 3 {
		at(t, c, 0)
	}
	if got, want := c.Now().String(), "2020-01-01 00:00:00 +0000 UTC"; got != want {
		t.Fatalf("a new clock says %q, want %q", got, want)
	}
}

func TestStartLosesItsMonotonicReading(t *testing.T) {
	start := time.Now()
	if got, want := New(start).Now(), start.UTC().Round(0); got != want {
		t.Fatalf("started at %v, the clock says %v", want, got)
	}
}

func TestWallMovesByAdvanceJumpAndDrift(t *testing.T) {
	c := New(Epoch())
	c.Advance(time.Second)
	at(t, c, time.Second)
	c.Jump(-time.Minute)
	at(t, c, -59*time.Second)
	c.Drift(500_000) // half as fast again
	at(t, c, -59*time.Second)
	c.Advance(10 * time.Second)
	at(t, c, -44*time.Second)
	c.Drift(-500_000)
	c.Pass(10 * time.Second)
	at(t, c, -39*time.Second)
	c.Drift(0)
	c.Advance(time.Second)
	at(t, c, -38*time.Second)
	if got, want := c.Elapsed(), 22*time.Second; got != want {
		t.Fatalf("elapsed %v, want %v", got, want)
	}
}

func TestDriftIsExactAndBounded(t *testing.T) {
	for _, test := range []struct {
		ppm  int64
		over time.Duration
		want time.Duration
	}{
		{1, time.Second, time.Second + time.Microsecond},
		{-1, time.Second, time.Second - time.Microsecond},
		{100, 365 * 24 * time.Hour, 365*24*time.Hour + 3153600*time.Millisecond},
		{MaxDrift, 1, 2},
		{MaxDrift + 1, time.Hour, 2 * time.Hour},
		{math.MinInt64, time.Second, time.Microsecond},
		{MinDrift, 1000 * time.Hour, 3600 * time.Millisecond},
	} {
		c := New(Epoch())
		c.Drift(test.ppm)
		c.Advance(test.over)
		if got := c.Now().Sub(Epoch()); got != test.want {
			t.Errorf("drift %d over %v: wall moved %v, want %v", test.ppm, test.over, got, test.want)
		}
	}
}

func TestMonotonicTimeEndsButDoesNotWrap(t *testing.T) {
	c := New(Epoch())
	c.Advance(math.MaxInt64)
	ran := false
	c.After(math.MaxInt64, func() { ran = true })
	c.Advance(math.MaxInt64)
	if c.Elapsed() != math.MaxInt64 || !ran {
		t.Fatalf("elapsed %v, ran %v", c.Elapsed(), ran)
	}
}

// journal notes what ran, and when on the monotonic clock.
type journal struct {
	clock *Clock
	lines []string
}

func (j *journal) note(name string) func() {
	return func() { j.lines = append(j.lines, fmt.Sprint(name, "@", j.clock.Elapsed())) }
}

func (j *journal) want(t *testing.T, lines ...string) {
	t.Helper()
	if !reflect.DeepEqual(j.lines, lines) && len(j.lines)+len(lines) > 0 {
		t.Fatalf("ran %v, want %v", j.lines, lines)
	}
}

func TestTimersRunByInstantThenCreation(t *testing.T) {
	c := New(Epoch())
	j := &journal{clock: c}
	c.After(3*time.Second, j.note("c"))
	c.After(1*time.Second, j.note("a1"))
	c.After(1*time.Second, j.note("a2"))
	c.After(2*time.Second, func() {
		j.note("b")()
		c.After(0, j.note("b-now"))
		c.After(time.Second, j.note("c-later"))
		c.After(time.Hour, j.note("never"))
	})
	c.Jump(-24 * time.Hour)
	c.Drift(MaxDrift)
	j.want(t)
	c.Advance(time.Second)
	j.want(t, "a1@1s", "a2@1s")
	c.Advance(2 * time.Second)
	j.want(t, "a1@1s", "a2@1s", "b@2s", "b-now@2s", "c@3s", "c-later@3s")
}

func TestStop(t *testing.T) {
	c := New(Epoch())
	j := &journal{clock: c}
	stopA := c.After(time.Second, j.note("a"))
	stopB := c.After(time.Second, j.note("b"))
	c.After(time.Second, j.note("c"))
	stopA()
	stopA()
	c.Advance(time.Second)
	stopB()
	j.want(t, "b@1s", "c@1s")
	if len(c.queue) != 0 {
		t.Fatalf("the queue still holds %d", len(c.queue))
	}
}

func TestATimerMayStopTheNext(t *testing.T) {
	c := New(Epoch())
	j := &journal{clock: c}
	var stop func()
	c.After(time.Second, func() { j.note("a")(); stop() })
	stop = c.After(time.Second, j.note("b"))
	c.Advance(time.Hour)
	j.want(t, "a@1s")
}

func TestPassRunsNothing(t *testing.T) {
	c := New(Epoch())
	j := &journal{clock: c}
	c.After(time.Second, j.note("timer"))
	c.Go("task", j.note("task"))
	c.Pass(time.Minute)
	j.want(t)
	c.Yield()
	j.want(t, "task@1m0s", "timer@1m0s")
}

func TestYieldGoesOnceAround(t *testing.T) {
	c := New(Epoch())
	j := &journal{clock: c}
	var again func()
	again = func() { j.note("again")(); c.Go("again", again) }
	c.Go("again", again)
	c.Go("other", j.note("other"))
	c.After(time.Second, j.note("later"))
	c.Yield()
	j.want(t, "again@0s", "other@0s")
	c.Yield()
	j.want(t, "again@0s", "other@0s", "again@0s")
}

func TestAdvanceInsideATask(t *testing.T) {
	c := New(Epoch())
	j := &journal{clock: c}
	c.After(1*time.Second, func() { j.note("slow")(); c.Advance(10 * time.Second); j.note("slow-end")() })
	c.After(2*time.Second, j.note("inner"))
	c.After(12*time.Second, j.note("outer"))
	c.Advance(5 * time.Second)
	j.want(t, "slow@1s", "inner@2s", "slow-end@11s")
	c.Advance(time.Second)
	j.want(t, "slow@1s", "inner@2s", "slow-end@11s", "outer@12s")
}

func TestWaitRunsTheQueueUntilTheEventIsSet(t *testing.T) {
	c := New(Epoch())
	j := &journal{clock: c}
	e := c.Event("the sync")
	c.After(time.Minute, j.note("too late"))
	c.After(time.Second, func() { j.note("set")(); e.Set(); e.Set() })
	c.After(time.Second, j.note("after the set"))
	c.Go("task", j.note("task"))
	for range 2 {
		if err := e.Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	j.want(t, "task@0s", "set@1s")
	at(t, c, time.Second)
}

func TestWaitEndsWithItsContext(t *testing.T) {
	c := New(Epoch())
	ctx, cancel := context.WithCancel(context.Background())
	c.After(time.Second, cancel)
	c.After(time.Minute, func() { t.Error("ran past the cancellation") })
	if err := c.Event("never").Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	at(t, c, time.Second)
	set := c.Event("already")
	set.Set()
	if err := set.Wait(ctx); err != nil {
		t.Fatalf("a set event answers %v, whatever the context says", err)
	}
}

// deadlock runs f and returns the report it panics with.
func deadlock(t *testing.T, f func()) (d *Deadlock) {
	t.Helper()
	defer func() {
		t.Helper()
		var ok bool
		if d, ok = recover().(*Deadlock); !ok {
			t.Fatal("no deadlock was reported")
		}
	}()
	f()
	return nil
}

func TestDeadlockNamesTheReasonAndWhatIsAroundIt(t *testing.T) {
	c := New(Epoch())
	stop := c.After(time.Minute, func() {})
	stop()
	run := func() string {
		token := c.Event("the commit token")
		c.After(time.Second, func() {
			if err := token.Wait(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return deadlock(t, func() { _ = c.Event("the group's sync").Wait(context.Background()) }).Error()
	}
	want := "simclock: deadlock after 1s: waiting for the commit token, and no task or timer is left that could end the wait\n" +
		"\tinside the task a timer\n\tinside the wait for the group's sync"
	if got := run(); got != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
	// The clock is not broken by it, and says the same again.
	if got := strings.Replace(run(), "after 2s", "after 1s", 1); got != want {
		t.Fatalf("the second time\n%s\nwant\n%s", got, want)
	}
	if len(c.open) != 0 {
		t.Fatalf("left open: %v", c.open)
	}
}

func TestATaskThatStartsItselfForEverIsReported(t *testing.T) {
	c := New(Epoch())
	var again func()
	again = func() { c.Go("filler", again) }
	c.Go("filler", again)
	defer func() {
		got := fmt.Sprint(recover())
		if want := "simclock: a million tasks ran and time stood still; the last one is filler"; got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}()
	c.Advance(time.Second)
}

func TestTimeDoesNotGoBack(t *testing.T) {
	c := New(Epoch())
	for name, f := range map[string]func(time.Duration){"Advance": c.Advance, "Pass": c.Pass} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s(-1) was accepted", name)
				}
			}()
			f(-1)
		}()
	}
	at(t, c, 0)
}

func TestKillForgetsTasksAndKeepsTime(t *testing.T) {
	c := New(Epoch())
	j := &journal{clock: c}
	c.Advance(time.Second)
	stop := c.After(time.Second, j.note("timer"))
	c.Go("task", j.note("task"))
	c.Kill()
	stop()
	c.Advance(time.Hour)
	j.want(t)
	at(t, c, time.Hour+time.Second)
}

// The queue against a list that is searched from the start each time.
func TestOrderAgainstAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type entry struct {
			at      time.Duration
			created int
			stop    func()
		}
		c := New(Epoch())
		var list []entry
		var got, want []int
		created := 0
		advance := func(d time.Duration) {
			until := c.Elapsed() + d
			for {
				first := -1
				for i, e := range list {
					if e.at <= until && (first < 0 || e.at < list[first].at) {
						first = i
					}
				}
				if first < 0 {
					break
				}
				want = append(want, list[first].created)
				list = append(list[:first], list[first+1:]...)
			}
			c.Advance(d)
		}
		t.Repeat(map[string]func(*rapid.T){
			"after": func(t *rapid.T) {
				d := time.Duration(rapid.IntRange(-2, 20).Draw(t, "d"))
				n := created
				created++
				stop := c.After(d, func() { got = append(got, n) })
				list = append(list, entry{c.Elapsed() + max(d, 0), n, stop})
			},
			"stop": func(t *rapid.T) {
				if len(list) == 0 {
					t.Skip("nothing to stop")
				}
				i := rapid.IntRange(0, len(list)-1).Draw(t, "i")
				list[i].stop()
				list = append(list[:i], list[i+1:]...)
			},
			"advance": func(t *rapid.T) { advance(time.Duration(rapid.IntRange(0, 10).Draw(t, "d"))) },
			"jump":    func(t *rapid.T) { c.Jump(time.Duration(rapid.Int32().Draw(t, "d"))) },
			"": func(t *rapid.T) {
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("ran %v, want %v", got, want)
				}
			},
		})
	})
}

// For the race detector: every method from several goroutines at once.
func TestConcurrentCallers(t *testing.T) {
	c := New(Epoch())
	var ran sync.Map
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 100 {
				name := fmt.Sprint(g, ".", i)
				e := c.Event(name)
				c.Go(name, func() { ran.Store(name, true); e.Set() })
				c.After(time.Millisecond, func() {})()
				c.Yield()
				c.Jump(time.Second)
				c.Drift(int64(i))
				_ = c.Now()
				c.Pass(1)
				c.Advance(1)
			}
		})
	}
	wg.Wait()
	c.Advance(time.Hour)
	for g := range 4 {
		for i := range 100 {
			if _, ok := ran.Load(fmt.Sprint(g, ".", i)); !ok {
				t.Errorf("task %d.%d never ran", g, i)
			}
		}
	}
}

func BenchmarkNow(b *testing.B) {
	c := New(Epoch())
	for b.Loop() {
		_ = c.Now()
	}
}
