package explore

import (
	"encoding/hex"
	"testing"

	"github.com/untorn-db/untorn/simfs"
)

// Keys and digests are compared between processes and architectures, so they
// are fixed here as bytes.
func TestKeysAreFixed(t *testing.T) {
	image := [16]byte{1, 2, 3, 15: 16}
	for _, test := range []struct {
		name string
		got  digest
		want string
	}{
		{"empty text", digest{}.text(""), "1daf76526450b5c7d6b1f9a8cc0b7062"},
		{"text", digest{}.text("acked 17, and more"), "1f606661619a2b4c33430efc6b6ad293"},
		{"key", keyOf(image, digest{}.text("a"), simfs.PowerLoss, 1), "eb33ffa99a3f3a2f0b6884d87345b8b5"},
		{"key, killed", keyOf(image, digest{}.text("a"), simfs.ProcessKill, 1), "7fb6542e47ca6ba8d754810fe29b7413"},
		{"key, deeper", keyOf(image, digest{}.text("a"), simfs.PowerLoss, 2), "72274334c56e6ffa1e4fac351782c47c"},
		{"sum", digest{1, 1 << 63}.plus(digest{2, 1 << 63}), "04000000000000000000000000000000"},
	} {
		key := test.got.key()
		if got := hex.EncodeToString(key[:]); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	if got, want := entropyOf(image, 3), uint64(0x945a9623955461d2); got != want {
		t.Errorf("entropy %#x, want %#x", got, want)
	}
}

func TestLogarithm(t *testing.T) {
	for _, test := range []struct {
		k    int
		want int64 // log2(k)·2¹⁶, rounded up
	}{{1, 0}, {2, 1 << 16}, {3, 103873}, {4, 2 << 16}, {5, 152170}, {1000, 653118}, {65536, 16 << 16}} {
		if got := logarithm(test.k); got != test.want {
			t.Errorf("log2(%d)·2¹⁶ = %d, want %d", test.k, got, test.want)
		}
	}
}
