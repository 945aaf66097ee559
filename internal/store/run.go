package store

import "github.com/towpath-cd/towpath"

// CreateRun adds a run. It answers ErrExists where its ID, or its number in the pipeline, is taken.
func (tx *Tx) CreateRun(r towpath.Run) error {
	doc, err := encode(r)
	if err != nil {
		return err
	}
	return tx.must(taken("run", r.ID), `
		INSERT INTO runs (id, project, pipeline, number, branch, revision, state, created, finished, version, doc)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?) ON CONFLICT DO NOTHING`,
		r.ID, r.Project, r.Pipeline, r.Number, r.Change.Branch, r.Change.Revision, string(r.State),
		micros(r.CreatedAt), micros(r.FinishedAt), doc)
}

// Run answers a run by its ID, with its version.
func (tx *Tx) Run(id string) (towpath.Run, int, error) {
	return load[towpath.Run](tx, missing("run", id), "SELECT doc, version FROM runs WHERE id = ?", id)
}

// RunByNumber answers a run by its number in its pipeline, with its version.
func (tx *Tx) RunByNumber(pipeline string, n int) (towpath.Run, int, error) {
	return load[towpath.Run](tx, missing("run", n),
		"SELECT doc, version FROM runs WHERE pipeline = ? AND number = ?", pipeline, n)
}

// SaveRun stores a run that was loaded at that version; ErrConflict where it has another by now.
func (tx *Tx) SaveRun(r towpath.Run, version int) error {
	doc, err := encode(r)
	if err != nil {
		return err
	}
	return tx.must(ErrConflict, `
		UPDATE runs SET state = ?, created = ?, finished = ?, doc = ?, version = version + 1
		WHERE id = ? AND version = ?`,
		string(r.State), micros(r.CreatedAt), micros(r.FinishedAt), doc, r.ID, version)
}

// RunFilter says which runs are wanted. What is left empty does not matter.
type RunFilter struct {
	Projects []string // IDs; nil is every project, an empty list is none
	Pipeline string
	Branch   string
	Revision string
	States   []towpath.RunState
	Older    int    // only numbers below this one; of use with Pipeline
	Before   string // ID of the last run of the page before
	Limit    int    // 0 is a thousand
}

// Runs answers runs, newest first.
func (tx *Tx) Runs(f RunFilter) ([]towpath.Run, error) {
	var c conditions
	c.in("project", f.Projects)
	c.equal("pipeline", f.Pipeline)
	c.equal("branch", f.Branch)
	c.equal("revision", f.Revision)
	c.in("state", texts(f.States))
	if f.Older > 0 {
		c.add("number < ?", f.Older)
	}
	if f.Before != "" {
		c.add("(created, number, id) < (SELECT created, number, id FROM runs WHERE id = ?)", f.Before)
	}
	return all(tx, document[towpath.Run],
		"SELECT doc FROM runs"+c.where()+" ORDER BY created DESC, number DESC, id DESC LIMIT ?", c.limited(f.Limit)...)
}

// StateBefore answers how the last run of the same branch before this one ended, of those that passed or failed; empty
// where there is none.
func (tx *Tx) StateBefore(r towpath.Run) (towpath.RunState, error) {
	state, err := one(tx, nil, text, `
		SELECT state FROM runs WHERE pipeline = ? AND branch = ? AND number < ? AND state IN (?, ?)
		ORDER BY number DESC LIMIT 1`,
		r.Pipeline, r.Change.Branch, r.Number, string(towpath.RunPassed), string(towpath.RunFailed))
	return towpath.RunState(state), err
}

// RunID answers the ID of a run by its number in its pipeline.
func (tx *Tx) RunID(pipeline string, n int) (string, error) {
	return one(tx, missing("run", n), text, "SELECT id FROM runs WHERE pipeline = ? AND number = ?", pipeline, n)
}

// texts answers nil where states is empty.
func texts[T ~string](states []T) []string {
	var found []string
	for _, s := range states {
		found = append(found, string(s))
	}
	return found
}
