package store

import (
	"strconv"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
)

// ChangeOutcome is what became of a change.
type ChangeOutcome string

// The outcomes of a change; all but the first and the last are final.
const (
	ChangePending ChangeOutcome = "pending" // recorded; nobody has looked at it yet
	ChangeRun     ChangeOutcome = "run"     // it became runs
	ChangeIgnored ChangeOutcome = "ignored" // nothing is to be run for it; the reason says why
	ChangeFailed  ChangeOutcome = "failed"  // its pipeline file is missing or wrong; the reason says how
	ChangeHeld    ChangeOutcome = "held"    // it waits for a maintainer's go, after which it is pending again
)

// ChangeOutcomes lists every outcome.
var ChangeOutcomes = []ChangeOutcome{ChangePending, ChangeRun, ChangeIgnored, ChangeFailed, ChangeHeld}

// RecordedChange is a change and what became of it.
type RecordedChange struct {
	ID        int // rises with every change that is recorded
	Change    towpath.Change
	Outcome   ChangeOutcome
	Reason    string   // for people
	Runs      []string // their IDs
	AllowedBy string   // account that let a held change run
	SettledAt time.Time
}

// RecordChange keeps a change before anybody is told that it was taken. The key is "" for a push that was seen, by
// whatever means, and something of its own for each wish of a person, time of a schedule and run that is followed: a
// change with the same project, branch, revision and key is the same. It says whether the change is new.
func (tx *Tx) RecordChange(c towpath.Change, key string) (bool, error) {
	doc, err := encode(c)
	if err != nil {
		return false, err
	}
	n, err := tx.exec(`
		INSERT INTO changes (project, branch, revision, trigger_key, outcome, reason, runs, seen_at, settled_at, doc)
		VALUES (?, ?, ?, ?, ?, '', '', ?, 0, ?) ON CONFLICT DO NOTHING`,
		c.Project, c.Branch, c.Revision, key, string(ChangePending), micros(c.SeenAt), doc)
	return n > 0, err
}

// RecordedChange answers a change that was recorded under that key.
func (tx *Tx) RecordedChange(c towpath.Change, key string) (RecordedChange, error) {
	return one(tx, missing("change", c.Short()), scanChange,
		selectChanges+" WHERE project = ? AND branch = ? AND revision = ? AND trigger_key = ?",
		c.Project, c.Branch, c.Revision, key)
}

// PendingChanges answers the changes that nobody has looked at, in the order in which they were recorded.
func (tx *Tx) PendingChanges(limit int) ([]RecordedChange, error) {
	var c conditions
	return all(tx, scanChange, selectChanges+" WHERE outcome = 'pending' ORDER BY id LIMIT ?", c.limited(limit)...)
}

// Change answers a change of a project by its ID.
func (tx *Tx) Change(project string, id int) (RecordedChange, error) {
	return one(tx, missing("change", strconv.Itoa(id)), scanChange, selectChanges+" WHERE project = ? AND id = ?", project, id)
}

// AllowChange makes a change that is held pending again. CodeConflict says that it is not held.
func (tx *Tx) AllowChange(project string, id int, by string) error {
	return tx.must(towpath.Errorf(towpath.CodeConflict, "change %d waits for nobody's go", id), `
		UPDATE changes SET outcome = 'pending', reason = '', settled_at = 0, allowed_by = ?
		WHERE project = ? AND id = ? AND outcome = 'held'`, by, project, id)
}

// DropHeld ignores the changes of a line that wait for a maintainer's go, with the reason.
func (tx *Tx) DropHeld(project, line, reason string, at time.Time) error {
	_, err := tx.exec(`
		UPDATE changes SET outcome = 'ignored', reason = ?, settled_at = ? WHERE project = ? AND branch = ? AND outcome = 'held'`,
		reason, micros(at), project, line)
	return err
}

// SettleChange notes what became of a pending change. CodeStale says that it was settled before, or went with its project:
// another project's change may have its number then.
func (tx *Tx) SettleChange(c RecordedChange, at time.Time) error {
	return tx.must(towpath.Errorf(towpath.CodeStale, "change %d is settled already", c.ID), `
		UPDATE changes SET outcome = ?, reason = ?, runs = ?, settled_at = ? WHERE id = ? AND project = ? AND outcome = 'pending'`,
		string(c.Outcome), c.Reason, strings.Join(c.Runs, " "), micros(at), c.ID, c.Change.Project)
}

// ChangeFilter says which changes are wanted. What is left empty does not matter.
type ChangeFilter struct {
	Projects []string // IDs; nil is every project, an empty list is none
	Branch   string
	Revision string
	Outcomes []ChangeOutcome
	Before   int // ID of the last change of the page before
	Limit    int // 0 is a thousand
}

// Changes answers changes, newest first.
func (tx *Tx) Changes(f ChangeFilter) ([]RecordedChange, error) {
	var c conditions
	c.in("project", f.Projects)
	c.equal("branch", f.Branch)
	c.equal("revision", f.Revision)
	c.in("outcome", texts(f.Outcomes))
	if f.Before > 0 {
		c.add("id < ?", f.Before)
	}
	return all(tx, scanChange, selectChanges+c.where()+" ORDER BY id DESC LIMIT ?", c.limited(f.Limit)...)
}

const selectChanges = "SELECT id, doc, outcome, reason, runs, allowed_by, settled_at FROM changes"

func scanChange(r row) (RecordedChange, error) {
	var c RecordedChange
	var doc, runs string
	var settled int64
	if err := r.Scan(&c.ID, &doc, &c.Outcome, &c.Reason, &runs, &c.AllowedBy, &settled); err != nil {
		return c, err
	}
	c.Runs, c.SettledAt = strings.Fields(runs), moment(settled)
	change, err := decode[towpath.Change](doc)
	c.Change = change
	return c, err
}

// Heads answers the revision at which each branch of a project was seen last.
func (tx *Tx) Heads(project string) (map[string]string, error) {
	heads := map[string]string{}
	err := tx.each(func(r row) error {
		var branch, revision string
		err := r.Scan(&branch, &revision)
		heads[branch] = revision
		return err
	}, "SELECT branch, revision FROM heads WHERE project = ?", project)
	return heads, err
}

// LastChange answers the highest ID of a change that was recorded; 0 where there is none.
func (tx *Tx) LastChange() (int, error) {
	return one(tx, nil, number, "SELECT COALESCE(MAX(id), 0) FROM changes")
}

// Head answers the revision at which a branch was seen last; empty where it was not.
func (tx *Tx) Head(project, branch string) (string, error) {
	return one(tx, nil, text, "SELECT revision FROM heads WHERE project = ? AND branch = ?", project, branch)
}

// SaveHead notes the revision at which a branch was seen.
func (tx *Tx) SaveHead(project, branch, revision string, at time.Time) error {
	_, err := tx.exec(`
		INSERT INTO heads (project, branch, revision, seen_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (project, branch) DO UPDATE SET revision = excluded.revision, seen_at = excluded.seen_at`,
		project, branch, revision, micros(at))
	return err
}

// ForgetHead forgets a branch that is gone.
func (tx *Tx) ForgetHead(project, branch string) error {
	_, err := tx.exec("DELETE FROM heads WHERE project = ? AND branch = ?", project, branch)
	return err
}
