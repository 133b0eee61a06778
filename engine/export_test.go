package engine

// MutexFree reports whether nobody holds the log's mutex.
func (l *Log) MutexFree() bool {
	if !l.mu.TryLock() {
		return false
	}
	l.mu.Unlock()
	return true
}

// TokenFree reports whether nobody has the commit token.
func (l *Log) TokenFree() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.token.held
}
