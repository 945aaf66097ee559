package store

import (
	"errors"
	"fmt"

	"github.com/towpath-cd/towpath"
)

// CreateProject adds a project. It answers ErrExists where the name or the ID is taken.
func (tx *Tx) CreateProject(p towpath.Project) error {
	doc, err := encode(p)
	if err != nil {
		return err
	}
	return tx.must(taken("project", p.Name),
		"INSERT INTO projects (id, name, version, steps_at_once, doc) VALUES (?, ?, 1, ?, ?) ON CONFLICT DO NOTHING",
		p.ID, p.Name, p.StepsAtOnce, doc)
}

// Project answers a project by its ID, with its version.
func (tx *Tx) Project(id string) (towpath.Project, int, error) {
	return load[towpath.Project](tx, missing("project", id), "SELECT doc, version FROM projects WHERE id = ?", id)
}

// ProjectByName answers a project by its name, with its version.
func (tx *Tx) ProjectByName(name string) (towpath.Project, int, error) {
	return load[towpath.Project](tx, missing("project", name), "SELECT doc, version FROM projects WHERE name = ?", name)
}

// Projects answers every project, by name.
func (tx *Tx) Projects() ([]towpath.Project, error) {
	return all(tx, document[towpath.Project], "SELECT doc FROM projects ORDER BY name")
}

// SaveProject stores a project that was loaded at that version. It answers ErrExists where another has its name.
func (tx *Tx) SaveProject(p towpath.Project, version int) error {
	doc, err := encode(p)
	if err != nil {
		return err
	}
	if other, _, err := tx.ProjectByName(p.Name); err == nil && other.ID != p.ID {
		return taken("project", p.Name)
	} else if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return tx.must(ErrConflict,
		"UPDATE projects SET name = ?, steps_at_once = ?, doc = ?, version = version + 1 WHERE id = ? AND version = ?",
		p.Name, p.StepsAtOnce, doc, p.ID, version)
}

// DeleteProject forgets a project with all that belongs to it: pipelines, changes, runs, releases, environments and
// secrets. Whether something of it is still live is the caller's question.
func (tx *Tx) DeleteProject(id string) error {
	if _, err := tx.exec("DELETE FROM roles WHERE project = ?", id); err != nil {
		return err
	}
	return tx.must(missing("project", id), "DELETE FROM projects WHERE id = ?", id)
}

// ClaimPipeline makes sure that the pipeline's name belongs to the project; the first one to use it has it. It answers
// ErrExists where it belongs to another.
func (tx *Tx) ClaimPipeline(name, project string) error {
	_, err := tx.exec("INSERT INTO pipelines (name, project, runs, releases) VALUES (?, ?, 0, 0) ON CONFLICT DO NOTHING",
		name, project)
	if err != nil {
		return fmt.Errorf("claim pipeline %s: %w", name, err)
	}
	owner, err := tx.PipelineProject(name)
	if err == nil && owner != project {
		return taken("pipeline", name+" in another project")
	}
	return err
}

// PipelineProject answers the ID of the project that a pipeline belongs to.
func (tx *Tx) PipelineProject(name string) (string, error) {
	return one(tx, missing("pipeline", name), text, "SELECT project FROM pipelines WHERE name = ?", name)
}

// Pipelines answers the names of a project's pipelines.
func (tx *Tx) Pipelines(project string) ([]string, error) {
	return all(tx, text, "SELECT name FROM pipelines WHERE project = ? ORDER BY name", project)
}

// NextRunNumber counts a pipeline's runs: each call answers the next number, from 1.
func (tx *Tx) NextRunNumber(pipeline string) (int, error) {
	return one(tx, missing("pipeline", pipeline), number,
		"UPDATE pipelines SET runs = runs + 1 WHERE name = ? RETURNING runs", pipeline)
}

// NextReleaseNumber counts a pipeline's releases: each call answers the next number, from 1.
func (tx *Tx) NextReleaseNumber(pipeline string) (int, error) {
	return one(tx, missing("pipeline", pipeline), number,
		"UPDATE pipelines SET releases = releases + 1 WHERE name = ? RETURNING releases", pipeline)
}

// SkipNumbers moves the numbers of all runs and releases to come on to a round one, by a thousand at the least, so that
// none is given twice after a restore: a release that was made since the backup may still run under its number.
func (tx *Tx) SkipNumbers() error {
	const step = 1000
	_, err := tx.exec("UPDATE pipelines SET runs = (runs / ? + 2) * ?, releases = (releases / ? + 2) * ?", step, step, step, step)
	return err
}
