package scenarios

// damage is done below.
func (r *run) damage() error { return nil }
