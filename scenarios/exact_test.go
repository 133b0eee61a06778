package scenarios

import (
	"runtime/debug"
	"testing"
)

// BenchmarkExact searches one batch to the end, as untorn-sim explore does: how
// long that takes and how many runs.
func BenchmarkExact(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	for _, row := range []struct {
		name         string
		events, size int
		depth, kinds string
		garbage      string
		disk         string
	}{
		{"64 dirty cells, events of 1 KiB", 28, 1000, "0", "power", "zero", "posix"},
		{"256 dirty cells, events of 1 KiB", 116, 1000, "0", "power", "zero", "posix"},
		{"64 dirty cells, events of 2 KiB", 14, 2048, "0", "power", "zero", "posix"},
		{"256 dirty cells, events of 4 KiB", 30, 4096, "0", "power", "zero", "posix"},
		{"64 dirty cells, events of 100 B", 140, 100, "0", "power", "zero", "posix"},
		{"64 dirty cells, events of 100 B, with garbage", 140, 100, "0", "power", "zero+garbage+stale", "posix"},
		{"batch of 5, two power losses", 5, 100, "1", "power", "zero+garbage+stale", "posix"},
		{"batch of 5, two crashes of any kind", 5, 100, "1", "power,kill,reopen", "zero+garbage+stale", "posix"},
		{"64 dirty cells, to a fixpoint", 140, 100, "fixpoint", "power", "zero", "ext4"},
		{"64 dirty cells, to a fixpoint on btrfs", 140, 100, "fixpoint", "power", "zero", "btrfs"},
		{"64 dirty cells, to a fixpoint on posix", 140, 100, "fixpoint", "power", "zero", "posix"},
	} {
		b.Run(row.name, func(b *testing.B) {
			p := Plain(row.disk, row.events, row.size)
			for key, value := range map[string]string{
				"lazy": "true", "images": "0", "segment": "4194304", "allpoints": "false",
				"depth": row.depth, "kinds": row.kinds, "garbage": row.garbage,
			} {
				p.Set(key, value)
			}
			for b.Loop() {
				r, err := Run(b.Context(), p, Config{})
				if err != nil || r.Violated > 0 {
					b.Fatalf("%d violations, %v", r.Violated, err)
				}
				b.ReportMetric(float64(r.Recoveries), "runs")
				exact := 0.0
				if r.Exact {
					exact = 1
				}
				b.ReportMetric(exact, "exact")
			}
		})
	}
}
