package simfs

import "syscall"

const errIsDir = syscall.EISDIR
