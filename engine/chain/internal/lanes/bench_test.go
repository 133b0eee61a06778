package lanes

import (
	"fmt"
	"testing"

	"github.com/zeebo/blake3"
)

// One turn of the loop is one batch; ns/message is what to look at.

func BenchmarkSumMany(b *testing.B) {
	for _, count := range []int{8, 64, 100} {
		for _, size := range []int{64, 100, 128, 1024} {
			messages := fill(count, size)
			sums := make([][Size]byte, count)
			for _, with := range all() {
				key := newKey(context, with)
				b.Run(fmt.Sprintf("%dx%d/%s", count, size, with), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						key.SumMany(messages, sums)
					}
					perMessage(b, count)
				})
			}
			b.Run(fmt.Sprintf("%dx%d/Sum256", count, size), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					for i := range messages {
						sums[i] = blake3.Sum256(messages[i])
					}
				}
				perMessage(b, count)
			})
		}
	}
}

// BenchmarkSum is one message alone.
func BenchmarkSum(b *testing.B) {
	for _, size := range []int{32, 64, 100, 128, 1024} {
		message := fill(1, size)[0]
		for _, with := range all() {
			key := newKey(context, with)
			b.Run(fmt.Sprintf("%d/%s", size, with), func(b *testing.B) {
				for b.Loop() {
					key.Sum(message)
				}
			})
		}
		b.Run(fmt.Sprintf("%d/Sum256", size), func(b *testing.B) {
			for b.Loop() {
				blake3.Sum256(message)
			}
		})
	}
}

// BenchmarkRest hashes a few messages by one kernel and the other: from where
// on the lanes win is the constant enough.
func BenchmarkRest(b *testing.B) {
	for _, with := range all() {
		if with == portable {
			continue
		}
		key := newKey(context, with)
		for _, size := range []int{64, 100, 1024} {
			for count := 1; count <= 4; count++ {
				messages, sums := fill(count, size), make([][Size]byte, count)
				indices := []int{0, 1, 2, 3}[:count]
				b.Run(fmt.Sprintf("%s/%dx%d/lanes", with, count, size), func(b *testing.B) {
					for b.Loop() {
						key.sumGroup(blocks(size), indices, messages, sums)
					}
				})
				b.Run(fmt.Sprintf("%s/%dx%d/alone", with, count, size), func(b *testing.B) {
					for b.Loop() {
						for i := range messages {
							key.sum(messages[i], &sums[i])
						}
					}
				})
			}
		}
	}
}

func perMessage(b *testing.B, count int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(count), "ns/message")
}
