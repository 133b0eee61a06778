// Package litmus is a corpus of small programs that say what a crash may leave on
// each kind of disk, and the check that three searches agree on them.
//
//	testdata/replace.txt ──► Program ──┬─► eager   every variable decided in advance ─┐
//	                                   ├─► lazy    decided when first read, by replay ├─► equal sets,
//	                                   └─► naive   brute force that shares no code   ─┘    then the rules
//
// Example:
//
//	programs, _ := litmus.All()
//	for _, p := range programs {
//		r, err := litmus.Check(p, simfs.Ext4())
//		fmt.Println(p.Name, len(r.Outcomes), r.Broken, err)
//	}
//
// # A program
//
// A file of testdata. What it is about, and on the next lines why it matters; the
// program; below a line of dashes what presets must allow, must forbid, or have and
// nothing else. Every preset on which the program can happen is in some rule.
//
//	# Writing aside and renaming over, without a sync
//	# The most common way to save a file; on some disks it leaves an empty one.
//	create f
//	write f 0 o*512
//	sync f
//	syncdir /
//	create t
//	write t 0 a*512
//	rename t f
//	----
//	allow posix ext4-writeback xfs btrfs: f=
//	forbid ext4 sequential: f= | f=0*512
//	allow all: f=o*512 ... | f=a*512
//
// The power goes after the last operation. Operations are those of naive.Parse, and
//
//	crash         the power goes here, too; the rest runs on what it left
//	kill          the process dies, and another one goes on
//	read f        reads the whole file
//	fail f MODE   a sync of f fails, as simfs.FS.FailSync does
//
// After a crash an operation that cannot be done is left out.
//
// An outcome is the whole tree, as naive.Images prints it; bytes that are neither
// letters nor zeros are "?". In a rule "f=-" is a file that is not there, and "..."
// at the end allows what is not mentioned. "all" is every preset.
//
// Options, each on a line of its own:
//
//	option cell 4096   bytes that reach the platter together, instead of 512
//	option tear        a page may tear between its cells
//	option split       a rename is three steps
//	option unsafe      a write may harm the rest of its block
//	option noshrink    a data-only sync covers no size that shrank
//	option garbage     uncovered bytes may be noise
//	option stale       uncovered bytes may be those of an earlier file
//
// The naive search knows neither the last five nor fail; such a program says so,
// and why, in a line that begins with "naive no:".
package litmus
