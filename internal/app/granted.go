package app

import (
	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/store"
)

// granted answers secrets by who asks for them.
type granted struct{ *access.Secrets }

// ForStep answers a script step's secrets: its environment is that of the last deployment before it.
func (g granted) ForStep(tx *store.Tx, run towpath.Run, step towpath.Step) (access.Given, error) {
	use := access.Use{Project: run.Project, Branch: run.Change.Branch, Trusted: run.Change.Trusted, Fork: run.Change.IsFromFork()}
	for _, before := range run.Behind(step.Name) {
		if before.Kind == towpath.KindDeploy && before.State == towpath.StepPassed {
			use.Environment = before.Deploy
		}
	}
	return g.Open(tx, use, step.Script.Grants())
}

// ForEnvironment answers the secrets of an environment's instances. What may be deployed there was decided before.
func (g granted) ForEnvironment(tx *store.Tx, e towpath.Environment) (access.Given, error) {
	use := access.Use{Project: e.Project, Environment: e.Name, Instances: true, Trusted: true}
	if d := e.Deployment; d != nil {
		use.Branch = d.Ref
	}
	return g.Open(tx, use, e.Definition.Grants())
}
