//go:build unix && !aix

package color

import (
	"os"

	"golang.org/x/sys/unix"
)

// isTerminal asks for the size of the window, which only a terminal has: /dev/null is a
// device, too.
func isTerminal(file *os.File) bool {
	raw, err := file.SyscallConn()
	if err != nil {
		return false
	}
	terminal := false
	err = raw.Control(func(fd uintptr) {
		_, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ)
		terminal = err == nil
	})
	return err == nil && terminal
}
