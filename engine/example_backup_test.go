package engine_test

import (
	"context"
	"fmt"

	"github.com/untorn-db/untorn/engine"
	"github.com/untorn-db/untorn/simfs"
)

// A backup of a log that is open, and a log that is made of it elsewhere. The head, kept
// where nobody can change it, tells whether it is the backup that was made.
func ExampleLog_Backup() {
	disk, elsewhere := simfs.New(simfs.Options{}), simfs.New(simfs.Options{})
	ctx := context.Background()
	log, err := engine.Open(engine.Options{FS: disk, Dir: "data"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer log.Close()
	if _, err := log.Append(ctx, engine.Draft{Stream: "order-42", Type: "order.placed"}); err != nil {
		fmt.Println(err)
		return
	}
	backup, err := log.Backup(ctx, engine.BackupTarget{FS: elsewhere, Dir: "backups/data"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(backup.Head == log.LogHead(), backup.Copied)

	restored, err := engine.Restore(ctx, engine.Options{FS: elsewhere, Dir: "backups/data"}, engine.BackupTarget{FS: disk, Dir: "restored"}, nil, backup.Head)
	fmt.Println(restored.Head == backup.Head, err)
	// Output:
	// true 1
	// true <nil>
}
