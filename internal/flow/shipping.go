package flow

import (
	"errors"
	"fmt"
	"slices"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// anyPlatform is the platform of artifacts that run everywhere.
const anyPlatform = "any"

// shipped answers the artifacts that a deploy step ships. Of a matrix they are those that were built on the environment's
// platform; the reason says why there are none.
func (a *act) shipped(run towpath.Run, step towpath.Step, d towpath.EnvironmentDefinition) (shipped []towpath.Artifact, reason string, err error) {
	var built []towpath.Artifact // by combinations of matrices
	for _, name := range step.Ships {
		s, _ := run.Step(name)
		shipped = append(shipped, s.Artifacts...)
		if s.Of != "" {
			built = append(built, s.Artifacts...)
		}
	}
	if len(built) == 0 {
		return shipped, "", nil
	}
	platform, err := a.platformOf(run, d)
	if err != nil {
		return nil, "", err
	}
	if platform == "" {
		return shipped, severalPlatforms(built, d), nil
	}
	shipped = slices.DeleteFunc(shipped, func(artifact towpath.Artifact) bool {
		return slices.Contains(built, artifact) && !fits(artifact, platform)
	})
	return shipped, unbuilt(run, step, shipped, platform), nil
}

// platformOf is where an environment's releases run: what its definition says, else its keeper's; empty where neither is
// known.
func (a *act) platformOf(run towpath.Run, d towpath.EnvironmentDefinition) (string, error) {
	if d.Platform != "" {
		return d.Platform, nil
	}
	if d.Worker.OS != "" && d.Worker.Arch != "" {
		return d.Worker.OS + "/" + d.Worker.Arch, nil
	}
	environment, _, err := a.tx.Environment(towpath.EnvironmentKey(run.Pipeline, d.Name))
	if err == nil && environment.Keeper.Worker != "" {
		var keeper store.KnownWorker
		keeper, err = a.tx.Worker(environment.Keeper.Worker)
		if err == nil {
			return keeper.Platform(), nil
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return "", err
}

func fits(a towpath.Artifact, platform string) bool {
	return a.Platform == platform || a.Platform == anyPlatform || a.Platform == ""
}

// severalPlatforms says that nobody can tell which artifacts are for an environment whose platform is not known.
func severalPlatforms(built []towpath.Artifact, d towpath.EnvironmentDefinition) string {
	for _, artifact := range built {
		if !fits(artifact, built[0].Platform) {
			return fmt.Sprintf("its artifacts were built on %s and on %s, and it is not known on which %s is: write platform: below it",
				built[0].Platform, artifact.Platform, d.Name)
		}
	}
	return ""
}

// unbuilt says that a step's matrix was not built for a platform, though the deployment ships what it built.
func unbuilt(run towpath.Run, step towpath.Step, shipped []towpath.Artifact, platform string) string {
	has := map[string]bool{}
	for _, artifact := range shipped {
		s, _ := run.Step(artifact.Step)
		has[s.Of] = true
	}
	for _, name := range step.Ships {
		if s, _ := run.Step(name); s.Of != "" && len(s.Artifacts) > 0 && !has[s.Of] {
			return fmt.Sprintf("no combination of %s was built on %s", s.Of, platform)
		}
	}
	return ""
}
