// Package synclab asks what becomes of a store when a sync fails: for each way
// in which file systems fail (see simfs.FS.FailSync), for a program that goes on
// with its handle or opens the store again, that submits the record again or
// gives up, and that is restarted or loses power. No real disk fails on demand
// in so many ways.
//
//	stories ──run once──▶ every sync, by call site
//	                        │  one fails, mode by mode
//	                        ▼
//	    open put put … sync FAILS … go on … crash anywhere ──▶ open, look, put
//	                                                            │
//	              what the caller was told ──────compare────────┘──▶ verdict
//
// A Program is any store of records; Engine is the event log of this module. To
// put another one through the lab, write two small types:
//
//	type Program interface {
//		Name() string
//		Open(fs afero.Fs, seed uint64) (Store, error)
//	}
//	type Store interface {
//		Put(key, value string) error // nil: durable
//		All() ([]Record, error)      // in the order in which they were put
//		Close() error
//	}
//
//	table, err := synclab.Run(ctx, myProgram{}, synclab.Config{})
//	fmt.Print(table)
//
// # The cells
//
// A row is a mode. A column says how the program goes on after the step in which
// the sync failed, whoever was told: with the handle that it has, or closing the
// store and opening it again in the same process, so that the page cache stays;
// whether it submits a record that failed again, under its key; and what ends the
// process, at any point from the failure on: a restart, which keeps the page
// cache and is followed by a loss of power at any point of what the new process
// does, or a loss of power at once.
//
// # The verdicts
//
//	ok                              what was acknowledged is there, and nothing wrong is
//	acknowledged data lost:
//	  unavoidable                   the sync lied, and nobody had been told when the record
//	                                was acknowledged; the store serves nothing wrong
//	BAD                             what the program could have avoided, in words: a record lost
//	                                whose sync was not lied about, or which an opened store had
//	                                shown; a wrong, foreign or double record; a record missing
//	                                between others; a loss that a later record on the disk
//	                                proves and that nobody names; a store that does not open
//	cannot happen                   the disk has no such mode, or no sync of the program meets it
//
// A cell's verdict is the worst of all its runs: each sync of each story, each
// crash point behind it, and its images: all, or where there are more than 32
// every prefix of what was pending and what differs from one in one variable, at
// most 64.
//
// Records have at most two pages: of what is larger than a program's look-ahead,
// no proof may be in reach.
//
// # What names a loss
//
// A store that refuses to open, or to be read, and says that it is damaged, has
// named the loss, if the program's Damage method says so of the error. Where
// Salvage exists it must then yield every record that nothing explains the loss
// of.
//
// # Contract
//
// A Program gets time and randomness from its seed, and runs nothing in the
// background when a method has returned. Put under a key whose record is there
// has no effect. The lab gives the same table for any number of workers.
package synclab
