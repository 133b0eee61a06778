package synclab

import (
	"github.com/spf13/afero"
)

// Program is a store that can be put through the lab. See the package
// documentation for what it promises.
type Program interface {
	Name() string
	// Open opens the store, and makes it if there is none. Whatever the program
	// needs of time and randomness follows from seed.
	Open(fs afero.Fs, seed uint64) (Store, error)
}

// Store is a store that is open.
type Store interface {
	// Put adds a record, durably if it returns nil. Under a key that the store
	// has it does nothing: the caller tries again after an error.
	Put(key, value string) error
	// All returns what the store serves, oldest first.
	All() ([]Record, error)
	// Close gives everything back, after an error too.
	Close() error
}

// Record is what a store keeps.
type Record struct{ Key, Value string }

// Damager is a Program that can tell that its files are damaged.
type Damager interface {
	// Damage reports whether an error of Open or All names damage.
	Damage(err error) bool
}

// Salvager is a Program that can read what is whole in damaged files. It writes
// nothing.
type Salvager interface {
	Salvage(fs afero.Fs) ([]Record, error)
}
