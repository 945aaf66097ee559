package towpath

import "slices"

// MaxLost is how many lost workers a build or test step survives where its file says nothing.
const MaxLost = 3

// Retry says when an attempt that did not pass is followed by another, which begins at once.
type Retry struct {
	Lost  int   // how many lost workers a step survives; where its file says nothing, MaxLost for builds and tests, else 0
	Times int   `json:",omitempty"` // how many failures it survives
	Codes []int `json:",omitempty"` // only failures with one of these exit codes; empty is any failure
}

// survivesLoss says whether the step runs again after a lost worker. Where the file says nothing, builds and tests do, and
// others do not, because half of what they did may have happened.
func (s *Step) survivesLoss() bool { return s.count(AttemptLost) <= s.Script.Retry.Lost }

// survivesFailure says whether the step runs again after its current attempt, which failed with that exit code. A timeout
// is a failure without one.
func (s *Step) survivesFailure(exitCode int) bool {
	retry := s.Script.Retry
	if len(retry.Codes) > 0 && !slices.Contains(retry.Codes, exitCode) {
		return false
	}
	return s.count(AttemptFailed) <= retry.Times
}

// count answers how many attempts ended so.
func (s *Step) count(state AttemptState) int {
	n := 0
	for _, a := range s.Attempts {
		if a.State == state {
			n++
		}
	}
	return n
}
