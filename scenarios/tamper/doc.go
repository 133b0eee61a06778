// Package tamper changes the files of logs in every way it knows, and checks that
// each change is named and that nothing changed is served.
//
//	stories ──tell──▶ log, its events, its head and receipts kept outside
//	                   │
//	                   ├─ flip, zero, swap, drop, cut, put in, splice, put back      damage
//	                   ├─ the same with right checksums, and some right hashes       forged
//	                   └─ written anew, valid in itself                              rewritten
//	                   │
//	                   ▼
//	      open read-only, read all ─ Verify ─ compare the head ─ VerifyReceipt
//	      open to write, read all
//	                   │
//	                   ▼
//	                verdict ──▶ a row of the table, or a find
//
//	report, err := tamper.Run(ctx, tamper.Config{Mutations: 100_000, Seed: 1})
//	fmt.Print(report)
//
// # What is asked
//
//   - The head that was kept names every mutation of what belongs to a log, as
//     untorn verify --head compares it. So does the last receipt together with
//     Verify, where the log is not valid in itself.
//   - So do the keys, without a head, of what is signed again.
//   - Without a head Open or Verify name all but two: what is left is the log
//     without its last batches (end gone), or a log that is valid in itself (needs
//     head). The suite does not believe that of a verdict alone: the one is compared
//     event by event, of the other all hashes are computed anew by its own code.
//   - Where the end is gone, nothing that is still whole proves that it was there:
//     no BEGIN or END that was written after its sync, where not more than a page
//     was damaged, and no header of a later segment.
//   - Reads alone, without Verify, show nothing but the truth after damage.
//   - Opened for writing the log names the damage, or keeps at least all whole
//     batches up to the first that was touched, and shows nothing but the truth.
//
// # The kinds
//
// damage needs no knowledge of the format. forged has right checksums: the seed
// that goes into them stands in the header of the segment. A fork is the same log
// in which one draft was another: it has the same seeds, so its sectors have right
// checksums in this log. rewritten is what somebody can do who computes all hashes
// anew, or has the engine write another log with the same ids.
//
// Three more are counted apart, and what is asked of them is less:
//
//   - not bound: what no hash covers, under right checksums: what BEGIN says was
//     synced, all that an END says, the time of a batch of notes alone, seeds and
//     sessions, alignment, carried, features of a header. It is named, or nothing that is shown is another.
//   - erased: an event that may be erased loses its content. Its hash stays, so that
//     no head can name it, and it is shown without content. What it was bound to stays
//     bound.
//   - outside: bytes that are part of nothing, by the format: gaps, padding, the rest
//     of the header's blocks, what lies behind the end. Nothing changes.
//
// Some of the logs are signed, behind each group, by a key that is retired and by
// the one after it. What is signed again, under an event that was changed, is
// signed by somebody who has neither, or only the retired one: the keys name it, as
// untorn verify --keys does, and so do the old signatures without any key, since
// the log does not have those heads any more. Who has the key can sign another
// log, and only a head that was kept names that.
//
// # The columns
//
//	head        named by Open, by Verify, or by the head that was kept
//	receipt     named by Open, by Verify, or by the last receipt
//	alone       named by Open, or by the last receipt without Verify
//	without     named by Open or Verify
//	keys        the same, where Verify has the keys of those who may have signed
//	end gone    not named without a head: the log without its last batches
//	last group  the same, and all that is gone is the last synced group of a log that
//	            was not closed
//	unproven    the same for a reader, since nothing proves the last batches any more;
//	            opened for writing all is there
//	needs head  not named without a head: valid in itself
//	same        not named, and nothing is another
//	refused     opened for writing: an error
//	cut         opened for writing: the last batches are gone, as a torn end is
//	unverified  reads alone show what was changed; Verify or the head names it
//	served      shown where nothing but the truth may be, or though it was verified
//	missed      finds
//
// What a receipt cannot see is told by the row: what is valid in itself and
// changes neither the receipt's event nor its stream before it nor any number up
// to it; and what comes behind its batch, such as the last signature.
//
// # How a log is judged
//
// A log that was closed is judged as untorn verify reads it: read-only. One that
// was not closed ends in batches that nothing proves durable, which a reader does
// not verify: it is opened for writing first, as its owner would.
//
// # Contract
//
// The same Config gives the same report, for any number of workers. Before
// anything is changed each log is judged as it is, and all must be well: a check
// that names everything would be found out.
package tamper
