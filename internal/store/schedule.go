package store

import (
	"time"

	"github.com/towpath-cd/towpath"
)

// Schedule is a time at which a pipeline runs by itself, and when it does next.
type Schedule struct {
	Project  string // ID
	Pipeline string
	When     towpath.Schedule
	Since    time.Time // the time that it fired for last; before the first, when it was seen first
	Next     time.Time // zero is never
	Turn     int       // counts how often the clock was set back so far that times come again
}

// Follower is a pipeline that runs after another has passed.
type Follower struct {
	Project  string // ID
	Pipeline string
	After    string // pipeline
}

// Schedules answers those of a project.
func (tx *Tx) Schedules(project string) ([]Schedule, error) {
	return all(tx, scanSchedule, selectSchedules+" WHERE project = ? ORDER BY pipeline, cron, zone", project)
}

// DueSchedules answers those whose time has come, the earliest first, and those that fired after `latest`: they did so by
// a clock that was set back since.
func (tx *Tx) DueSchedules(now, latest time.Time, limit int) ([]Schedule, error) {
	var c conditions
	c.add("next > 0 AND (next <= ? OR since > ?)", micros(now), micros(latest))
	return all(tx, scanSchedule, selectSchedules+c.where()+" ORDER BY next, project, pipeline LIMIT ?", c.limited(limit)...)
}

// Schedule answers one as it is now. ErrNotFound says that its pipeline does not name it any more.
func (tx *Tx) Schedule(s Schedule) (Schedule, error) {
	return one(tx, missing("schedule", s.Pipeline), scanSchedule,
		selectSchedules+" WHERE project = ? AND pipeline = ? AND cron = ? AND zone = ?", s.Project, s.Pipeline, s.When.Cron, s.When.Zone)
}

// SaveSchedule keeps a schedule, new or again.
func (tx *Tx) SaveSchedule(s Schedule) error {
	_, err := tx.exec(`
		INSERT INTO schedules (project, pipeline, cron, zone, since, next, turn) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (project, pipeline, cron, zone) DO UPDATE SET since = excluded.since, next = excluded.next, turn = excluded.turn`,
		s.Project, s.Pipeline, s.When.Cron, s.When.Zone, micros(s.Since), micros(s.Next), s.Turn)
	return err
}

// DeleteSchedule forgets a schedule.
func (tx *Tx) DeleteSchedule(s Schedule) error {
	_, err := tx.exec("DELETE FROM schedules WHERE project = ? AND pipeline = ? AND cron = ? AND zone = ?",
		s.Project, s.Pipeline, s.When.Cron, s.When.Zone)
	return err
}

const selectSchedules = "SELECT project, pipeline, cron, zone, since, next, turn FROM schedules"

func scanSchedule(r row) (Schedule, error) {
	var s Schedule
	var since, next int64
	err := r.Scan(&s.Project, &s.Pipeline, &s.When.Cron, &s.When.Zone, &since, &next, &s.Turn)
	s.Since, s.Next = moment(since), moment(next)
	return s, err
}

// Followers answers the pipelines that run after that one, of whatever project.
func (tx *Tx) Followers(pipeline string) ([]Follower, error) {
	return all(tx, scanFollower, "SELECT project, pipeline, after FROM followers WHERE after = ? ORDER BY project, pipeline", pipeline)
}

// FollowersOf answers a project's pipelines that run after others.
func (tx *Tx) FollowersOf(project string) ([]Follower, error) {
	return all(tx, scanFollower, "SELECT project, pipeline, after FROM followers WHERE project = ? ORDER BY pipeline, after", project)
}

func scanFollower(r row) (f Follower, err error) {
	return f, r.Scan(&f.Project, &f.Pipeline, &f.After)
}

// SaveFollower keeps a follower; one that is known stays.
func (tx *Tx) SaveFollower(f Follower) error {
	_, err := tx.exec("INSERT INTO followers (project, pipeline, after) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
		f.Project, f.Pipeline, f.After)
	return err
}

// DeleteFollower forgets a follower.
func (tx *Tx) DeleteFollower(f Follower) error {
	_, err := tx.exec("DELETE FROM followers WHERE project = ? AND pipeline = ? AND after = ?", f.Project, f.Pipeline, f.After)
	return err
}

// WantsTags says whether tags start pipelines of a project.
func (tx *Tx) WantsTags(project string) (bool, error) {
	found, err := all(tx, text, "SELECT project FROM tagged WHERE project = ?", project)
	return len(found) > 0, err
}

// SaveWantsTags keeps whether tags start pipelines of a project.
func (tx *Tx) SaveWantsTags(project string, wants bool) error {
	query := "DELETE FROM tagged WHERE project = ?"
	if wants {
		query = "INSERT INTO tagged (project) VALUES (?) ON CONFLICT DO NOTHING"
	}
	_, err := tx.exec(query, project)
	return err
}
