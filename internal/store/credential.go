package store

import "time"

// Credential is a sealed value that the server and a project's repository or forge show each other.
type Credential struct {
	Project string // project's ID
	Name    string
	Sealed  []byte
	SetAt   time.Time
}

// PutCredential keeps a credential; one of the same name is replaced.
func (tx *Tx) PutCredential(c Credential) error {
	_, err := tx.exec(`
		INSERT INTO credentials (project, name, sealed, set_at) VALUES (?, ?, ?, ?)
		ON CONFLICT (project, name) DO UPDATE SET sealed = excluded.sealed, set_at = excluded.set_at`,
		c.Project, c.Name, c.Sealed, micros(c.SetAt))
	return err
}

// Credentials answers a project's credentials, by name.
func (tx *Tx) Credentials(project string) ([]Credential, error) {
	return all(tx, func(r row) (c Credential, err error) {
		var at int64
		err = r.Scan(&c.Project, &c.Name, &c.Sealed, &at)
		c.SetAt = moment(at)
		return c, err
	}, "SELECT project, name, sealed, set_at FROM credentials WHERE project = ? ORDER BY name", project)
}

// DeleteCredential forgets a credential.
func (tx *Tx) DeleteCredential(project, name string) error {
	return tx.must(missing("credential", name), "DELETE FROM credentials WHERE project = ? AND name = ?", project, name)
}
