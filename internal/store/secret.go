package store

import (
	"strings"
	"time"
)

// Secret is a sealed value, with where it may go.
type Secret struct {
	Project      string // project's ID
	Name         string
	Sealed       []byte
	Source       string   // name of the command that has the value, which is what is sealed then; else empty
	Environments []string // names; empty is steps only
	Branches     []string // globs; empty is protected branches
	SetAt        time.Time
}

// PutSecret keeps a secret; one of the same name is replaced.
func (tx *Tx) PutSecret(s Secret) error {
	_, err := tx.exec(`
		INSERT INTO secrets (project, name, sealed, source, environments, branches, set_at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (project, name) DO UPDATE SET sealed = excluded.sealed, source = excluded.source, environments = excluded.environments,
			branches = excluded.branches, set_at = excluded.set_at`,
		s.Project, s.Name, s.Sealed, s.Source, strings.Join(s.Environments, " "), strings.Join(s.Branches, " "), micros(s.SetAt))
	return err
}

// Secrets answers a project's secrets, by name.
func (tx *Tx) Secrets(project string) ([]Secret, error) {
	return all(tx, scanSecret, `
		SELECT project, name, sealed, source, environments, branches, set_at FROM secrets
		WHERE project = ? ORDER BY name`, project)
}

// DeleteSecret forgets a secret.
func (tx *Tx) DeleteSecret(project, name string) error {
	return tx.must(missing("secret", name), "DELETE FROM secrets WHERE project = ? AND name = ?", project, name)
}

func scanSecret(r row) (Secret, error) {
	var s Secret
	var environments, branches string
	var at int64
	err := r.Scan(&s.Project, &s.Name, &s.Sealed, &s.Source, &environments, &branches, &at)
	s.Environments, s.Branches, s.SetAt = strings.Fields(environments), strings.Fields(branches), moment(at)
	return s, err
}
