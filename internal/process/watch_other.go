//go:build !linux

package process

import "time"

// watchPace is how often a process that is not our child is looked at.
const watchPace = 250 * time.Millisecond

// watch waits for the end of a process by looking.
type watch struct{ id Identity }

func newWatch(id Identity) (*watch, error) {
	if !Alive(id) {
		return nil, ErrGone
	}
	return &watch{id: id}, nil
}

func (w *watch) wait() {
	ticker := time.NewTicker(watchPace)
	defer ticker.Stop()
	for Alive(w.id) {
		<-ticker.C
	}
}

func (*watch) close() {}
