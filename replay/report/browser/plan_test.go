package browser

import (
	"io"
	"testing"

	"github.com/untorn-db/untorn/replay/report"
	"github.com/untorn-db/untorn/replay/report/internal/example"
)

func failure(w io.Writer) error { return report.Plan(w, example.Failure()) }
func sweep(w io.Writer) error   { return report.Run(w, example.Rows()) }

func TestPlanShots(t *testing.T) {
	for name, v := range map[string]view{"desk": desk, "dark": deskDark, "phone": phone} {
		b := open(t, v, failure)
		b.fits()
		b.shoot("plan-"+name, true)
		b = open(t, v, sweep)
		b.fits()
		b.shoot("run-"+name, true)
	}
}
