package store

import (
	"errors"

	"github.com/towpath-cd/towpath"
)

// Policy answers what is allowed of an environment, by its key, whether there is such an environment yet or not. Where nobody has set
// anything it says nothing.
func (tx *Tx) Policy(key string) (towpath.Policy, error) {
	p, err := one(tx, missing("policy", key), document[towpath.Policy], "SELECT doc FROM policies WHERE environment = ?", key)
	if errors.Is(err, ErrNotFound) {
		return towpath.Policy{Environment: key}, nil
	}
	return p, err
}

// SavePolicy keeps a policy of an environment of a project, by its ID.
func (tx *Tx) SavePolicy(project string, p towpath.Policy) error {
	doc, err := encode(p)
	if err != nil {
		return err
	}
	_, err = tx.exec(`
		INSERT INTO policies (environment, project, doc) VALUES (?, ?, ?)
		ON CONFLICT (environment) DO UPDATE SET project = excluded.project, doc = excluded.doc`, p.Environment, project, doc)
	return err
}
