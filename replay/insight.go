package replay

// What else a row tells of its seeds, for a report. Counts depend on the seeds
// alone, like the digest; Slowest does not.

// Crashed counts the crashes of a row that came before the same kind of operation,
// left the same kind of image, and ended alike.
type Crashed struct {
	Before  string `json:"before"`  // verb and class of file of the operation that was next, such as "syncdata seg"; "note" or "end"
	Image   string `json:"image"`   // what the disk had: newest, prefix, mixed, torn, garbage, kill, reopen
	Outcome string `json:"outcome"` // a named state of the recovery, such as "cut a tail"; or the invariant that was broken
	Times   int64  `json:"times"`
}

// Covered says how often a kind of fault came behind a named point of the engine.
type Covered struct {
	Fault string `json:"fault"` // its kind, and its mode if it has one, such as "failsync ext4"
	Point string `json:"point"` // the last named point before it, such as "batch.sync"; "" before the first
	Could int64  `json:"could"` // operations there that such a fault can hit
	Hits  int64  `json:"hits"`
}

// Behaviour is something that a seed did, and the lowest seed that did it: a state that
// was reached, or a kind of crash with its outcome.
type Behaviour struct {
	Name string `json:"name"`
	Seed uint64 `json:"seed"`
}

// Slow is a seed and how long it took.
type Slow struct {
	Seed    uint64  `json:"seed"`
	Seconds float64 `json:"seconds"`
}
