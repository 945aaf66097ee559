package store

import "github.com/towpath-cd/towpath"

// RecordDeployment keeps a deployment as it now is. Its environment has to exist. A final state stays.
func (tx *Tx) RecordDeployment(d towpath.Deployment) error {
	doc, err := encode(d)
	if err != nil {
		return err
	}
	known, err := all(tx, text, "SELECT project FROM environments WHERE key = ?", d.Environment)
	if err != nil || len(known) == 0 {
		return orMissing(err, "environment", d.Environment)
	}
	_, err = tx.exec(`
		INSERT INTO deployments (id, project, environment, run, state, requested, ended, doc)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, ended = excluded.ended, doc = excluded.doc
		WHERE deployments.ended = 0`,
		d.ID, known[0], d.Environment, d.Run, string(d.State), micros(d.RequestedAt), micros(d.EndedAt), doc)
	return err
}

func orMissing(err error, what, name string) error {
	if err != nil {
		return err
	}
	return missing(what, name)
}

// Deployment answers a deployment by its ID.
func (tx *Tx) Deployment(id string) (towpath.Deployment, error) {
	return one(tx, missing("deployment", id), document[towpath.Deployment], "SELECT doc FROM deployments WHERE id = ?", id)
}

// DeploymentFilter says which deployments are wanted. What is left empty does not matter.
type DeploymentFilter struct {
	Projects    []string // IDs; nil is every project, an empty list is none
	Environment string   // key
	Run         string   // run's ID
	States      []towpath.DeploymentState
	Before      string // ID of the last deployment of the page before
	Limit       int    // 0 is a thousand
}

// Deployments answers deployments, newest first.
func (tx *Tx) Deployments(f DeploymentFilter) ([]towpath.Deployment, error) {
	var c conditions
	c.in("project", f.Projects)
	c.equal("environment", f.Environment)
	c.equal("run", f.Run)
	c.in("state", texts(f.States))
	if f.Before != "" {
		c.add("(requested, id) < (SELECT requested, id FROM deployments WHERE id = ?)", f.Before)
	}
	return all(tx, document[towpath.Deployment],
		"SELECT doc FROM deployments"+c.where()+" ORDER BY requested DESC, id DESC LIMIT ?", c.limited(f.Limit)...)
}
