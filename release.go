package towpath

import (
	"maps"
	"time"
)

// Release is a set of artifacts with their configuration. It has one number for the whole fleet, and is never changed.
type Release struct {
	Project   string // project's ID
	Pipeline  string
	Number    int    // counts from 1 in its pipeline
	Run       string // run's ID
	Change    int    // the run's Order: says which of two releases is of the newer change
	Revision  string
	Title     string // first line of the commit message
	Author    string
	Artifacts []Artifact
	Env       map[string]map[string]string // by environment's name: the `env` of its definition at this revision
	CreatedAt time.Time
}

// Ref answers what an environment remembers of a release.
func (r Release) Ref() ReleaseRef {
	return ReleaseRef{Number: r.Number, Change: r.Change, Revision: r.Revision, Title: r.Title}
}

// EnvIn answers the settings that the release runs with in an environment: its own of then win over those of today.
func (r Release) EnvIn(d EnvironmentDefinition) map[string]string {
	env := make(map[string]string)
	if own, has := r.Env[d.Name]; has {
		maps.Copy(env, own)
	} else {
		maps.Copy(env, d.Env)
	}
	return env
}

// ReleaseRef names a release where the whole of it is not needed. The zero value is "no release".
type ReleaseRef struct {
	Number   int
	Change   int // Order of the run that made it
	Revision string
	Title    string
}
