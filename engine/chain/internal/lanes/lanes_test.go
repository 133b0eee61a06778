package lanes

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/zeebo/blake3"
	"pgregory.net/rapid"
)

const context = "untorn 2026-01-01 lanes test"

func (k kernels) String() string { return [...]string{"portable", "AVX2", "AVX512"}[k] }

// all are the kernels that this processor has.
func all() []kernels { return []kernels{portable, avx2, avx512}[:best()+1] }

// each runs a test with every kernel, and says which ones it cannot.
func each(t *testing.T, test func(t *testing.T, with kernels)) {
	for _, with := range []kernels{portable, avx2, avx512} {
		t.Run(with.String(), func(t *testing.T) {
			if with > best() {
				t.Skip("NOT RUN: not in this processor or build")
			}
			test(t, with)
		})
	}
}

// want is the hash by the library.
func want(context string, message []byte) (sum [Size]byte) {
	h := blake3.NewDeriveKey(context)
	_, _ = h.Write(message)
	h.Sum(sum[:0])
	return sum
}

// fill makes messages that look random, so no two blocks are alike.
func fill(count, size int) [][]byte {
	random := rand.NewChaCha8([32]byte{byte(count), byte(size), byte(size >> 8)})
	messages := make([][]byte, count)
	for i := range messages {
		messages[i] = make([]byte, size)
		_, _ = random.Read(messages[i])
	}
	return messages
}

// sizes are all those of one chunk, then some of more.
func sizes() []int {
	var sizes []int
	for size := range 1101 {
		sizes = append(sizes, size)
	}
	return append(sizes, 2048, 4096, 8192, 8193, 20000)
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkMany hashes messages at once. It checks the hashes, and that nothing
// beside them and none of the messages is written.
func checkMany(t failer, k *Key, context string, messages [][]byte) {
	t.Helper()
	guard := [Size]byte(bytes.Repeat([]byte{0xa5}, Size))
	sums := make([][Size]byte, len(messages)+2)
	for i := range sums {
		sums[i] = guard
	}
	before := make([][]byte, len(messages))
	for i, message := range messages {
		before[i] = bytes.Clone(message)
	}
	k.SumMany(messages, sums[1:len(messages)+1])
	if sums[0] != guard || sums[len(sums)-1] != guard {
		t.Fatalf("%v: wrote beside the sums of %d messages", k.kernels, len(messages))
	}
	for i, message := range messages {
		if !bytes.Equal(message, before[i]) {
			t.Fatalf("%v: changed message %d of %d (%d bytes)", k.kernels, i, len(messages), len(message))
		}
		if got, want := sums[1+i], want(context, message); got != want {
			t.Fatalf("%v: message %d of %d (%d bytes):\ngot  %x\nwant %x", k.kernels, i, len(messages), len(message), got, want)
		}
	}
}

func TestSum(t *testing.T) {
	each(t, func(t *testing.T, with kernels) {
		k := newKey(context, with)
		for _, size := range sizes() {
			message := fill(1, size)[0]
			if got, want := k.Sum(message), want(context, message); got != want {
				t.Fatalf("%d bytes:\ngot  %x\nwant %x", size, got, want)
			}
		}
	})
}

// Every size on eight lanes, and on as few as are worth it, with lanes to spare.
func TestSumManyOfOneSize(t *testing.T) {
	each(t, func(t *testing.T, with kernels) {
		k := newKey(context, with)
		for _, size := range sizes() {
			checkMany(t, k, context, fill(width, size))
			checkMany(t, k, context, fill(enough(blocks(size)), size))
		}
	})
}

func TestSumManyOfMixedSizes(t *testing.T) {
	each(t, func(t *testing.T, with kernels) {
		k := newKey(context, with)
		for count := range 41 {
			// The first bounds keep the number of blocks alike, so that groups fill.
			for _, bound := range []int{1, 65, 200, 1025, 3000} {
				random := rand.New(rand.NewPCG(uint64(count), uint64(bound)))
				messages := fill(count, bound)
				for i := range messages {
					messages[i] = messages[i][:random.IntN(bound)]
				}
				checkMany(t, k, context, messages)
			}
		}
	})
}

func TestRandom(t *testing.T) {
	each(t, func(t *testing.T, with kernels) {
		rapid.Check(t, func(t *rapid.T) {
			context := rapid.String().Draw(t, "context")
			size := rapid.OneOf(rapid.IntRange(0, 200), rapid.IntRange(0, 1100), rapid.Just(1024), rapid.IntRange(2000, 9000))
			message := rapid.Custom(func(t *rapid.T) []byte {
				message := bytes.Repeat([]byte{0x5c}, size.Draw(t, "size"))
				if len(message) > 0 {
					message[rapid.IntRange(0, len(message)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
				}
				return message
			})
			messages := rapid.SliceOfN(message, 0, 40).Draw(t, "messages")
			checkMany(t, newKey(context, with), context, messages)
		})
	})
}

// What the code branches on is the messages' sizes: two bytes each.
func FuzzSumMany(f *testing.F) {
	f.Add("", uint64(0), []byte{})
	f.Add(context, uint64(1), bytes.Repeat([]byte{64, 0}, 20))
	f.Add(context, uint64(2), []byte("\x00\x04\x01\x04\x00\x04\xc1\x03\x00\x00\x00\x00\x40\x00\x41\x00\x00\x08"))
	f.Add(strings.Repeat("context", 200), uint64(3), []byte{1, 0})
	f.Fuzz(func(t *testing.T, context string, seed uint64, sizes []byte) {
		buffer := make([]byte, 1<<12)
		_, _ = rand.NewChaCha8([32]byte(binary.LittleEndian.AppendUint64(make([]byte, 24), seed))).Read(buffer)
		var messages [][]byte
		for ; len(sizes) >= 2 && len(messages) < 100; sizes = sizes[2:] {
			size := int(binary.LittleEndian.Uint16(sizes)) % 1200
			at := 13 * len(messages)
			messages = append(messages, buffer[at:at+size])
		}
		for _, with := range all() {
			checkMany(t, newKey(context, with), context, messages)
		}
	})
}

// The official test vectors: the message is 0, 1 … 250 again and again.
func TestVectors(t *testing.T) {
	const context = "BLAKE3 2019-12-27 16:29:52 test vectors context"
	each(t, func(t *testing.T, with kernels) {
		k := newKey(context, with)
		for size, want := range map[int]string{
			0:    "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d",
			1:    "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c",
			1023: "74a16c1c3d44368a86e1ca6df64be6a2f64cce8f09220787450722d85725dea5",
			1024: "7356cd7720d5b66b6d0697eb3177d9f8d73a4a5c5e968896eb6a689684302706",
			1025: "effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb",
			2048: "7b2945cb4fef70885cc5d78a87bf6f6207dd901ff239201351ffac04e1088a23",
		} {
			message := make([]byte, size)
			for i := range message {
				message[i] = byte(i % 251)
			}
			if got := fmt.Sprintf("%x", k.Sum(message)); got != want {
				t.Errorf("%d bytes:\ngot  %s\nwant %s", size, got, want)
			}
		}
	})
}

// The context is hashed by the kernels, too, up to a chunk.
func TestContexts(t *testing.T) {
	each(t, func(t *testing.T, with kernels) {
		for _, size := range []int{0, 1, 63, 64, 65, 127, 128, 129, 1023, 1024, 1025, 3000} {
			context := string(fill(1, size)[0])
			k := newKey(context, with)
			if size <= chunkSize && k.kernels != with {
				t.Fatalf("a context of %d bytes made %v of %v", size, k.kernels, with)
			}
			checkMany(t, k, context, fill(9, 100))
			checkMany(t, k, context, fill(1, 2000))
		}
	})
}

func TestUnaligned(t *testing.T) {
	each(t, func(t *testing.T, with kernels) {
		k := newKey(context, with)
		buffer := fill(1, 2*chunkSize)[0]
		for size := range 200 {
			var messages [][]byte
			for offset := range 64 {
				messages = append(messages, buffer[offset:offset+size])
			}
			checkMany(t, k, context, messages)
		}
	})
}

// A group points into itself, and to the stack's other values. So hash at every
// depth around those where the stack has to grow, and moves.
func TestStackMoves(t *testing.T) {
	each(t, func(t *testing.T, with kernels) {
		k := newKey(context, with)
		messages := fill(11, 100)
		expect := make([][Size]byte, len(messages))
		for i := range messages {
			expect[i] = want(context, messages[i])
		}
		var deeper func(depth int) bool
		deeper = func(depth int) bool {
			if depth > 0 {
				return deeper(depth - 1)
			}
			var sums [11][Size]byte
			k.SumMany(messages, sums[:])
			return [11][Size]byte(expect) == sums
		}
		for depth := range 400 {
			done := make(chan bool)
			go func() { done <- deeper(depth) }()
			if !<-done {
				t.Fatalf("wrong hashes at depth %d", depth)
			}
		}
	})
}

func TestConcurrent(t *testing.T) {
	each(t, func(t *testing.T, with kernels) {
		k := newKey(context, with)
		var messages [][]byte
		for _, size := range []int{0, 10, 64, 100, 100, 100, 300, 1024, 1025, 5000} {
			messages = append(messages, fill(3, size)...)
		}
		expect := make([][Size]byte, len(messages))
		for i := range messages {
			expect[i] = want(context, messages[i])
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 50 {
					sums := make([][Size]byte, len(messages))
					k.SumMany(messages, sums)
					for i := range sums {
						if sums[i] != expect[i] || k.Sum(messages[i]) != expect[i] {
							t.Errorf("message %d (%d bytes) has another hash than alone", i, len(messages[i]))
							return
						}
					}
				}
			})
		}
		wg.Wait()
	})
}

// The library's hashers come from a pool, which drops some under the race
// detector. So this is about the kernels.
func TestAllocations(t *testing.T) {
	each(t, func(t *testing.T, with kernels) {
		if with == portable {
			t.Skip("a pool allocates when it likes")
		}
		k := newKey(context, with)
		var messages [][]byte
		for _, size := range []int{0, 10, 64, 65, 100, 100, 100, 300, 1000, 1024} {
			messages = append(messages, fill(5, size)...)
		}
		sums := make([][Size]byte, len(messages))
		if n := testing.AllocsPerRun(100, func() { k.SumMany(messages, sums) }); n != 0 {
			t.Errorf("SumMany allocates %v times", n)
		}
		for i, message := range messages {
			if n := testing.AllocsPerRun(10, func() { sums[i] = k.Sum(message) }); n != 0 {
				t.Errorf("Sum of %d bytes allocates %v times", len(message), n)
			}
		}
	})
}

func TestAsManySums(t *testing.T) {
	each(t, func(t *testing.T, with kernels) {
		for _, sums := range []int{0, 2, 4} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("3 messages and %d sums do not panic", sums)
					}
				}()
				newKey(context, with).SumMany(fill(3, 10), make([][Size]byte, sums))
			}()
		}
	})
}

func TestGenerated(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("NOT RUN: no go command")
	}
	// The generator runs here, whatever these tests are built for.
	command := exec.Command(tool, "run", "gen.go")
	command.Env = append(os.Environ(), "GOOS=", "GOARCH=", "GOFLAGS=")
	got, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("kernel_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("kernel_amd64.s is not what gen.go writes: go generate")
	}
}
