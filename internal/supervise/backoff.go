package supervise

import "time"

// wait is how long to wait before the next start, after a number of failures in a row (at least one).
func (r Restart) wait(failures int) time.Duration {
	wait := r.First
	for range failures - 1 {
		if wait *= 2; wait >= r.Most {
			return r.Most
		}
	}
	return min(wait, r.Most)
}
