package color

import (
	"os"

	"golang.org/x/sys/windows"
)

// isTerminal asks a console to understand escape sequences, which old ones do not.
func isTerminal(file *os.File) bool {
	console, mode := windows.Handle(file.Fd()), uint32(0)
	return windows.GetConsoleMode(console, &mode) == nil &&
		windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
