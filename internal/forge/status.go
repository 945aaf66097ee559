package forge

import "fmt"

// Words is how a forge calls the states of a status.
type Words struct{ Pending, Success, Failure string }

// Of answers the forge's word. What was skipped counts as a success.
func (w Words) Of(s State) (string, error) {
	switch s {
	case StatePending:
		return w.Pending, nil
	case StateSuccess, StateSkipped:
		return w.Success, nil
	case StateFailure:
		return w.Failure, nil
	}
	return "", fmt.Errorf("a status is never %q", s)
}

// CheckRevision holds what a status is set on to a full hash.
func CheckRevision(revision string) error {
	if !isHash(revision) {
		return fmt.Errorf("%q is no full hash of a commit", cut(revision, 80))
	}
	return nil
}

// Short makes of what people read one line of at most so many characters.
func Short(text string, limit int) string {
	runes := []rune(cleaned(text))
	return string(runes[:min(len(runes), limit)])
}
