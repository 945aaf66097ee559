package store

import (
	"errors"

	"github.com/towpath-cd/towpath"
)

// CreateEnvironment adds an environment. It answers ErrExists where its key is taken.
func (tx *Tx) CreateEnvironment(e towpath.Environment) error {
	doc, err := encode(e)
	if err != nil {
		return err
	}
	return tx.must(taken("environment", e.Key), `
		INSERT INTO environments (key, project, pipeline, name, keeper, version, doc) VALUES (?, ?, ?, ?, ?, 1, ?)
		ON CONFLICT DO NOTHING`, e.Key, e.Project, e.Pipeline, e.Name, e.Keeper.Worker, doc)
}

// Environment answers an environment by its key, with its version.
func (tx *Tx) Environment(key string) (towpath.Environment, int, error) {
	return load[towpath.Environment](tx, missing("environment", key),
		"SELECT doc, version FROM environments WHERE key = ?", key)
}

// SaveEnvironment stores an environment that was loaded at that version.
func (tx *Tx) SaveEnvironment(e towpath.Environment, version int) error {
	doc, err := encode(e)
	if err != nil {
		return err
	}
	return tx.must(ErrConflict,
		"UPDATE environments SET keeper = ?, doc = ?, version = version + 1 WHERE key = ? AND version = ?",
		e.Keeper.Worker, doc, e.Key, version)
}

// EnvironmentFilter says which environments are wanted. What is left empty does not matter.
type EnvironmentFilter struct {
	Projects []string // IDs; nil is every project, an empty list is none
	Pipeline string
	Keeper   string // worker's ID
}

// Environments answers environments, by name and then by pipeline, as the board lines them up.
func (tx *Tx) Environments(f EnvironmentFilter) ([]towpath.Environment, error) {
	var c conditions
	c.in("project", f.Projects)
	c.equal("pipeline", f.Pipeline)
	c.equal("keeper", f.Keeper)
	return all(tx, document[towpath.Environment],
		"SELECT doc FROM environments"+c.where()+" ORDER BY name, pipeline", c.args...)
}

// DeleteEnvironment forgets an environment and what was observed of it. Its deployments stay for their history.
func (tx *Tx) DeleteEnvironment(key string) error {
	return tx.must(missing("environment", key), "DELETE FROM environments WHERE key = ?", key)
}

// SaveObservation keeps what an environment's keeper saw. An older one than what is known is left out.
func (tx *Tx) SaveObservation(environment string, o towpath.Observation) error {
	doc, err := encode(o)
	if err != nil {
		return err
	}
	_, err = tx.exec(`
		INSERT INTO observations (environment, at, doc) VALUES (?, ?, ?)
		ON CONFLICT (environment) DO UPDATE SET at = excluded.at, doc = excluded.doc
		WHERE observations.at <= excluded.at`, environment, micros(o.At), doc)
	return err
}

// Observation answers what was seen of an environment last; false where nothing has been seen yet.
func (tx *Tx) Observation(environment string) (towpath.Observation, bool, error) {
	o, err := one(tx, ErrNotFound, document[towpath.Observation],
		"SELECT doc FROM observations WHERE environment = ?", environment)
	if errors.Is(err, ErrNotFound) {
		return o, false, nil
	}
	return o, err == nil, err
}

// Observations answers what was seen last of every environment that a filter finds, by its key. What was never seen is not
// in it.
func (tx *Tx) Observations(f EnvironmentFilter) (map[string]towpath.Observation, error) {
	var c conditions
	c.in("environments.project", f.Projects)
	c.equal("environments.pipeline", f.Pipeline)
	c.equal("environments.keeper", f.Keeper)
	rows, err := all(tx, seenEnvironment, `
		SELECT observations.environment, observations.doc FROM observations
		JOIN environments ON environments.key = observations.environment`+c.where(), c.args...)
	found := make(map[string]towpath.Observation, len(rows))
	for _, r := range rows {
		found[r.key] = r.observation
	}
	return found, err
}

type seen struct {
	key         string
	observation towpath.Observation
}

func seenEnvironment(r row) (s seen, err error) {
	var doc string
	if err := r.Scan(&s.key, &doc); err != nil {
		return s, err
	}
	s.observation, err = decode[towpath.Observation](doc)
	return s, err
}
