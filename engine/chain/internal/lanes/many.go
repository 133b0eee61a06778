package lanes

// width is how many messages are hashed at once.
const width = 8

// enough is from how many messages on the lanes are faster than one by one, even
// if the other lanes do nothing (BenchmarkRest). Eight blocks side by side take
// less than two one by one, but a group has to be laid out first, which only
// pays for two messages if they have more than one block.
func enough(blocks int) int {
	if blocks == 1 {
		return 3
	}
	return 2
}

// SumMany sets each of the sums to the hash of the message with its index. It
// panics unless there are as many.
func (k *Key) SumMany(messages [][]byte, sums [][Size]byte) {
	if len(messages) != len(sums) {
		panic("internal error: there are not as many sums as messages")
	}
	if k.kernels == portable || len(messages) < 2 {
		for i, message := range messages {
			k.sum(message, &sums[i])
		}
		return
	}
	// The messages that wait for others with as many blocks, less one.
	var waiting [chunkBlocks]struct {
		messages [width]int
		n        int
	}
	for i, message := range messages {
		if len(message) > chunkSize {
			k.sum(message, &sums[i])
			continue
		}
		n := blocks(len(message))
		w := &waiting[n-1]
		w.messages[w.n] = i
		w.n++
		if w.n == width {
			k.sumGroup(n, w.messages[:], messages, sums)
			w.n = 0
		}
	}
	for n := range waiting {
		w := &waiting[n]
		if w.n >= enough(n+1) {
			k.sumGroup(n+1, w.messages[:w.n], messages, sums)
			continue
		}
		for _, i := range w.messages[:w.n] {
			k.sum(messages[i], &sums[i])
		}
	}
}

// group is what the kernels read of eight messages, and where they write; the
// assembly takes the fields' places from here.
type group struct {
	message  [width]*byte // all blocks but the last
	last     [width]*byte // the last block, with zeros up to 64 bytes
	sum      [width]*[Size]byte
	lastSize [width]uint32 // without those zeros

	tails [width][blockSize]byte // last blocks that had to be filled up
}

// sumGroup hashes up to eight messages with n blocks each, by their indices.
func (k *Key) sumGroup(n int, indices []int, messages [][]byte, sums [][Size]byte) {
	// A group lies on the stack only as long as its pointers are set right here,
	// and not through one to it.
	var g group
	before := (n - 1) * blockSize
	for lane, i := range indices {
		message := messages[i]
		last := message[before:]
		if n > 1 {
			g.message[lane] = &message[0]
		}
		if len(last) == blockSize {
			g.last[lane] = &last[0]
		} else {
			copy(g.tails[lane][:], last)
			g.last[lane] = &g.tails[lane][0]
		}
		g.lastSize[lane] = uint32(len(last))
		g.sum[lane] = &sums[i]
	}
	// The lanes to spare do the first one's work again.
	for lane := len(indices); lane < width; lane++ {
		g.message[lane] = g.message[0]
		g.last[lane] = g.last[0]
		g.lastSize[lane] = g.lastSize[0]
		g.sum[lane] = g.sum[0]
	}
	chunk8(k.kernels, &k.words, deriveKeyMaterial, &g, n)
}
