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
	Begun    bool // a worker has had a step of its run before
	ReadyAt  time.Time
}

// Lane is what waits alike: steps of one pipeline that ask the same of a worker. Only its first step matters, until that
// is leased.
type Lane struct {
	First    QueuedStep
	Pipeline string
	Served   time.Time // when a step of the pipeline was last leased; zero: never
	Running  int       // steps of the pipeline that workers have
	AtOnce   int       // as many as may; 0: any number
}

// Enqueue makes an attempt available. One that is queued or leased already stays as it is.
func (tx *Tx) Enqueue(q QueuedStep) error {
	selector, err := encode(q.Selector)
	if err != nil {
		return err
	}
	_, err = tx.exec(`
		INSERT INTO lanes (project, pipeline, selector, served)
		SELECT project, pipeline, ?, 0 FROM runs WHERE id = ? ON CONFLICT DO NOTHING`, selector, q.Run)
	if err != nil {
		return err
	}
	_, err = tx.exec(`
		INSERT INTO queue (run, step, attempt, project, kind, selector, trusted, priority, begun, ready_at,
			worker, leased_at, expires, stop, lane)
		SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', 0, 0, '', lanes.id
		FROM runs JOIN lanes ON lanes.pipeline = runs.pipeline AND lanes.selector = ?
		WHERE runs.id = ? ON CONFLICT DO NOTHING`,
		q.Run, q.Step, q.Attempt, q.Project, string(q.Kind), selector, bit(q.Trusted), q.Priority, bit(q.Begun), micros(q.ReadyAt),
		selector, q.Run)
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
		SELECT run, step, attempt, project, kind, selector, trusted, priority, begun, ready_at FROM queue
		WHERE worker = '' ORDER BY priority DESC, ready_at, run, step LIMIT ?`, c.limited(limit)...)
}

// Lanes answers the lanes in which something waits. What it costs grows with their number, not with how much waits in
// them: each is found behind the one before it in the index.
func (tx *Tx) Lanes() ([]Lane, error) {
	lanes, err := all(tx, scanLane, `
		WITH RECURSIVE waiting (lane) AS (
			SELECT MIN(lane) FROM queue WHERE worker = ''
			UNION ALL
			SELECT (SELECT MIN(lane) FROM queue WHERE worker = '' AND lane > waiting.lane)
			FROM waiting WHERE waiting.lane IS NOT NULL
		)
		SELECT lanes.pipeline, lanes.served, projects.steps_at_once,
			queue.run, queue.step, queue.attempt, queue.project, queue.kind, queue.selector, queue.trusted, queue.priority,
			queue.begun, queue.ready_at
		FROM waiting JOIN lanes ON lanes.id = waiting.lane JOIN projects ON projects.id = lanes.project
		JOIN queue ON queue.rowid = (
			SELECT rowid FROM queue WHERE worker = '' AND lane = waiting.lane
			ORDER BY priority DESC, begun DESC, ready_at, run, step LIMIT 1
		)`)
	if err != nil || len(lanes) == 0 {
		return nil, err
	}
	running, err := tx.running()
	for i := range lanes {
		lanes[i].Running = running[lanes[i].Pipeline]
	}
	return lanes, err
}

// running counts the steps that workers have, by pipeline.
func (tx *Tx) running() (map[string]int, error) {
	count := map[string]int{}
	err := tx.each(func(r row) error {
		var pipeline string
		var n int
		err := r.Scan(&pipeline, &n)
		count[pipeline] = n
		return err
	}, `
		SELECT lanes.pipeline, SUM(held.n)
		FROM (SELECT lane, COUNT(*) AS n FROM queue WHERE worker <> '' GROUP BY lane) AS held
		JOIN lanes ON lanes.id = held.lane GROUP BY lanes.pipeline`)
	return count, err
}

func scanLane(r row) (Lane, error) {
	var l Lane
	var served int64
	first, err := scanQueued(prefixed{r, []any{&l.Pipeline, &served, &l.AtOnce}})
	l.First, l.Served = first, moment(served)
	return l, err
}

// prefixed is a row with more in front of what is scanned by another function.
type prefixed struct {
	row
	before []any
}

func (p prefixed) Scan(dest ...any) error { return p.row.Scan(append(p.before, dest...)...) }

func scanQueued(r row) (QueuedStep, error) {
	var q QueuedStep
	var selector string
	var trusted, begun, ready int64
	err := r.Scan(&q.Run, &q.Step, &q.Attempt, &q.Project, &q.Kind, &selector, &trusted, &q.Priority, &begun, &ready)
	if err != nil {
		return q, err
	}
	q.Trusted, q.Begun, q.ReadyAt = trusted != 0, begun != 0, moment(ready)
	q.Selector, err = decode[towpath.Selector](selector)
	return q, err
}

// WaitingSince answers the attempts in the lane of another that wait since then or longer.
func (tx *Tx) WaitingSince(of QueuedStep, since time.Time, limit int) ([]QueuedStep, error) {
	var c conditions
	c.add("run = ?", of.Run)
	c.add("step = ?", of.Step)
	c.add("attempt = ?", of.Attempt)
	c.add("ready_at <= ?", micros(since))
	return all(tx, scanQueued, `
		SELECT run, step, attempt, project, kind, selector, trusted, priority, begun, ready_at FROM queue
		WHERE worker = '' AND lane = (SELECT lane FROM queue WHERE run = ? AND step = ? AND attempt = ?)
			AND ready_at <= ? ORDER BY ready_at, run, step LIMIT ?`, c.limited(limit)...)
}

// bit is a truth value as the database has it.
func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
