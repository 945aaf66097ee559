package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/approval"
	"github.com/towpath-cd/towpath/internal/store"
)

// ChangePolicy changes what the server allows of an environment, which need not be there yet. Who keeps it and may not any more
// hears of that at once.
func (c *Conductor) ChangePolicy(ctx context.Context, pipeline, name string, change towpath.PolicyChange, by Act) (after towpath.Policy, err error) {
	key := towpath.EnvironmentKey(pipeline, name)
	if name == approval.ProtectedEnvironment && change.Protected != nil && !*change.Protected {
		return after, towpath.Errorf(towpath.CodeInvalid, "%s is always protected", name).
			WithHint("--ref says which branches and tags may deploy there")
	}
	if err := approval.CheckRefs(change.Refs); err != nil {
		return after, err
	}
	err = c.update(ctx, func(a *act) error {
		project, err := a.tx.PipelineProject(pipeline)
		if err != nil {
			return err
		}
		before, err := a.tx.Policy(key)
		if err != nil {
			return err
		}
		if after, err = before.With(change, by.By, a.at); err != nil {
			return err
		}
		if err := a.tx.SavePolicy(project, after); err != nil {
			return err
		}
		if err := a.tellPolicy(after); err != nil {
			return err
		}
		a.ring(TopicKeepers)
		return by.Record(a.tx)
	})
	return after, err
}

// tellPolicy tells the environment of its policy, if there is one already.
func (a *act) tellPolicy(p towpath.Policy) error {
	e, _, err := a.tx.Environment(p.Environment)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	barred, err := a.barredBy(p, e)
	if err != nil {
		return err
	}
	_, err = a.environmentHappens(e.Key, towpath.PolicySet{Policy: p, Barred: barred, At: a.at})
	return err
}

// barredBy answers why deployments that wait may not begin any more, as their refs are not allowed, by their IDs.
func (a *act) barredBy(p towpath.Policy, e towpath.Environment) (map[string]string, error) {
	barred := map[string]string{}
	for _, d := range e.Queue {
		release, err := a.tx.Release(e.Pipeline, d.Release.Number)
		if err != nil {
			return nil, err
		}
		run, _, err := a.tx.Run(release.Run)
		if err != nil {
			return nil, err
		}
		definition := e.Definition
		if d.Definition != nil {
			definition = *d.Definition
		}
		if reason := approval.BarsBranch(run.Change, definition, p); reason != "" {
			barred[d.ID] = reason
		}
	}
	return barred, nil
}

// exceeds says what of a definition a policy does not allow, its keeper among it; empty is that it may be adopted.
func (a *act) exceeds(p towpath.Policy, d towpath.EnvironmentDefinition) (string, error) {
	if reason := p.Refuses(d); reason != "" || p.Workers == nil {
		return reason, nil
	}
	known, err := a.tx.Workers()
	if err != nil {
		return "", err
	}
	for _, name := range p.Workers {
		i := slices.IndexFunc(known, func(w store.KnownWorker) bool { return w.Name == name })
		if i < 0 || d.Worker.Admits(known[i].Worker) {
			return "", nil // one that is not there yet may fit
		}
	}
	allowed := strings.Join(p.Workers, ", ")
	if allowed == "" {
		return fmt.Sprintf("the policy of %s allows no worker", p.Environment), nil
	}
	return fmt.Sprintf("the policy of %s allows the workers %s, of which none has what the file asks for: %s", p.Environment, allowed, d.Worker), nil
}

// keepsToPolicies refuses a run whose pipeline file asks for more of an environment than the server allows. One that may not deploy
// there for its branch is refused where it comes to that, after what it tests.
func (a *act) keepsToPolicies(change towpath.Change, p towpath.Pipeline, file string) error {
	var problems []string
	for _, s := range p.Steps {
		d, is := p.Environment(s.Deploy)
		if s.Kind != towpath.KindDeploy || s.Excluded != "" || !is {
			continue
		}
		policy, err := a.tx.Policy(towpath.EnvironmentKey(p.Name, d.Name))
		if err != nil {
			return err
		}
		if approval.BarsBranch(change, d, policy) != "" {
			continue
		}
		reason, err := a.exceeds(policy, d)
		if err != nil {
			return err
		}
		if problem := fmt.Sprintf("%s:%d: %s", file, d.Line, reason); reason != "" && !slices.Contains(problems, problem) {
			problems = append(problems, problem)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return towpath.Errorf(towpath.CodeForbidden, "%s", strings.Join(problems, "\n")).
		WithHint("take it out of the file, or ask who may write the project's secrets to allow it with towpath policy")
}
