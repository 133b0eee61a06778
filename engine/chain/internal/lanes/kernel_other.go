//go:build !amd64 || purego

package lanes

// Without kernels every Key is portable, and nothing calls these.

func best() kernels { return portable }

func sumChunk(*[8]uint32, uint32, []byte, *[Size]byte) {
	panic("internal error: there are no kernels here")
}

func chunk8(kernels, *[8]uint32, uint32, *group, int) {
	panic("internal error: there are no kernels here")
}
