package store

import (
	"strings"
	"time"
)

// Secret is a value that only steps of the branches it is granted to get to see.
type Secret struct {
	Project     string // project's ID
	Environment string // name; empty is every step of the project
	Name        string
	Sealed      []byte
	Branches    []string // globs; empty is protected branches only
	SetBy       string
	SetAt       time.Time
}

// PutSecret keeps a secret; one of the same name in the same place is replaced.
func (tx *Tx) PutSecret(s Secret) error {
	_, err := tx.exec(`
		INSERT INTO secrets (project, environment, name, sealed, branches, set_by, set_at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (project, environment, name) DO UPDATE SET sealed = excluded.sealed,
			branches = excluded.branches, set_by = excluded.set_by, set_at = excluded.set_at`,
		s.Project, s.Environment, s.Name, s.Sealed, strings.Join(s.Branches, " "), s.SetBy, micros(s.SetAt))
	return err
}

// Secrets answers a project's secrets, by environment and name.
func (tx *Tx) Secrets(project string) ([]Secret, error) {
	return all(tx, scanSecret, `
		SELECT project, environment, name, sealed, branches, set_by, set_at FROM secrets
		WHERE project = ? ORDER BY environment, name`, project)
}

// DeleteSecret forgets a secret.
func (tx *Tx) DeleteSecret(project, environment, name string) error {
	return tx.must(missing("secret", name),
		"DELETE FROM secrets WHERE project = ? AND environment = ? AND name = ?", project, environment, name)
}

func scanSecret(r row) (Secret, error) {
	var s Secret
	var branches string
	var at int64
	err := r.Scan(&s.Project, &s.Environment, &s.Name, &s.Sealed, &branches, &s.SetBy, &at)
	s.Branches, s.SetAt = strings.Fields(branches), moment(at)
	return s, err
}
