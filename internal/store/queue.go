package store

import (
	"time"

	"github.com/towpath-cd/towpath"
)

// QueuedStep is an attempt of a step that waits for a worker.
type QueuedStep struct {
	Run      string // run's ID
	Step     string
	Attempt  int    // counts from 1
	Project  string // project's ID
	Kind     towpath.StepKind
	Selector towpath.Selector
	Trusted  bool // of a protected branch
	Priority int  // higher ones first
	ReadyAt  time.Time
}

// Enqueue makes an attempt available. One that is queued or leased already stays as it is.
func (tx *Tx) Enqueue(q QueuedStep) error {
	selector, err := encode(q.Selector)
	if err != nil {
		return err
	}
	_, err = tx.exec(`
		INSERT INTO queue (run, step, attempt, project, kind, selector, trusted, priority, ready_at,
			worker, leased_at, expires, stop)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', 0, 0, '') ON CONFLICT DO NOTHING`,
		q.Run, q.Step, q.Attempt, q.Project, string(q.Kind), selector, bit(q.Trusted), q.Priority, micros(q.ReadyAt))
	return err
}

// Dequeue takes back an attempt that no worker has, and says whether it did.
func (tx *Tx) Dequeue(run, step string, attempt int) (bool, error) {
	n, err := tx.exec("DELETE FROM queue WHERE run = ? AND step = ? AND attempt = ? AND worker = ''", run, step, attempt)
	return n > 0, err
}

// Ready answers the attempts that wait, the most urgent first, then the oldest.
func (tx *Tx) Ready(limit int) ([]QueuedStep, error) {
	var c conditions
	return all(tx, scanQueued, `
		SELECT run, step, attempt, project, kind, selector, trusted, priority, ready_at FROM queue
		WHERE worker = '' ORDER BY priority DESC, ready_at, run, step LIMIT ?`, c.limited(limit)...)
}

func scanQueued(r row) (QueuedStep, error) {
	var q QueuedStep
	var selector string
	var trusted, ready int64
	err := r.Scan(&q.Run, &q.Step, &q.Attempt, &q.Project, &q.Kind, &selector, &trusted, &q.Priority, &ready)
	if err != nil {
		return q, err
	}
	q.Trusted, q.ReadyAt = trusted != 0, moment(ready)
	q.Selector, err = decode[towpath.Selector](selector)
	return q, err
}

// bit is a truth value as the database has it.
func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
