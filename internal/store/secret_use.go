package store

import "time"

// SecretUse says that a secret was given to a step, or to the environment that a deploy step brings a release to.
type SecretUse struct {
	Name        string
	Run         string // ID
	Step        string
	Environment string // empty for a script step
	At          time.Time

	// Pipeline and Number are the run's. They are answered only.
	Pipeline string
	Number   int
}

// NoteSecretUse keeps a use. That of another attempt of the same step counts for both.
func (tx *Tx) NoteSecretUse(u SecretUse) error {
	_, err := tx.exec(`
		INSERT INTO secret_uses (run, step, name, environment, at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (run, step, name) DO UPDATE SET at = excluded.at`, u.Run, u.Step, u.Name, u.Environment, micros(u.At))
	return err
}

// SecretUses answers who was given a project's secrets, or the one of that name, newest first.
func (tx *Tx) SecretUses(project, name string, limit int) ([]SecretUse, error) {
	var c conditions
	c.equal("r.project", project)
	c.equal("u.name", name)
	return all(tx, func(r row) (u SecretUse, err error) {
		var at int64
		err = r.Scan(&u.Name, &u.Run, &u.Step, &u.Environment, &at, &u.Pipeline, &u.Number)
		u.At = moment(at)
		return u, err
	}, `SELECT u.name, u.run, u.step, u.environment, u.at, r.pipeline, r.number
		FROM secret_uses u JOIN runs r ON r.id = u.run`+c.where()+" ORDER BY u.at DESC, u.run, u.step, u.name LIMIT ?", c.limited(limit)...)
}
