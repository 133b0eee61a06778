package engine

// MutexFree reports whether nobody holds the log's mutex.
func (l *Log) MutexFree() bool {
	if !l.mu.TryLock() {
		return false
	}
	l.mu.Unlock()
	return true
}
