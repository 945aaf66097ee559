package flow

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/git"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

// Work is an attempt that was leased to a worker, with all that it needs.
type Work struct {
	Lease   towpath.Lease
	Project towpath.Project
	Run     towpath.Run
	Step    towpath.Step
	Secrets map[string]string
	given   Given              // of which Secrets are the values
	Access  git.Access         // what the repository is shown
	Outputs map[string]string  // TOWPATH_OUT_…
	Uses    []towpath.Artifact // that stand in the workspace
	Place   string             // name of the environment deployed to last before this step; may be empty
	URL     string             // of that environment
}

// work gathers what an attempt needs. A secret that was not granted, or cannot be opened, fails the step at once, not the
// worker's call: that one would only come again.
func (a *act) work(lease towpath.Lease, run towpath.Run) (*Work, error) {
	project, _, err := a.tx.Project(run.Project)
	if err != nil {
		return nil, err
	}
	step, _ := run.Step(lease.Step)
	w := &Work{Lease: lease, Project: project, Run: run, Step: step}
	if w.given, err = a.secrets.ForStep(a.tx, run, step); err != nil {
		return nil, a.failUnstarted(lease, err)
	}
	if err := a.noteUses(store.SecretUse{Run: run.ID, Step: step.Name}, atHand(w.given)); err != nil {
		return nil, err
	}
	if w.Access, err = a.accessTo(project); err != nil {
		return nil, a.failUnstarted(lease, err)
	}
	w.Uses = usedBy(run, step)
	w.Outputs = outputsFor(run, step)
	w.Place, w.URL, err = a.placeBefore(run, step)
	return w, err
}

// noteUses keeps that secrets were given away.
func (a *act) noteUses(use store.SecretUse, names []string) error {
	use.At = a.at
	for _, name := range names {
		use.Name = name
		if err := a.tx.NoteSecretUse(use); err != nil {
			return err
		}
	}
	return nil
}

// accessTo answers what a project's repository is shown.
func (a *act) accessTo(p towpath.Project) (access git.Access, err error) {
	if a.credentials != nil {
		access, err = a.credentials.ForRepository(a.tx, p)
	}
	if access.KnownHosts == "" {
		access.KnownHosts = p.KnownHosts
	}
	return access, err
}

func (a *act) failUnstarted(lease towpath.Lease, cause error) error {
	if errors.Is(cause, store.ErrUnwritable) {
		return cause
	}
	if err := a.endLease(lease); err != nil {
		return err
	}
	_, err := a.runHappens(lease.Run, towpath.StepReported{
		Step: lease.Step, Attempt: lease.Attempt, Worker: lease.Worker,
		State: towpath.AttemptFailed, Reason: cause.Error(), Unbegun: true, At: a.at,
	})
	return err
}

// UsedBy answers the artifacts that an attempt which is leased may read.
func (c *Conductor) UsedBy(ctx context.Context, l towpath.Lease) (used []towpath.Artifact, err error) {
	err = c.store.View(ctx, func(tx *store.Tx) error {
		run, _, err := tx.Run(l.Run)
		if step, ok := run.Step(l.Step); err == nil && ok {
			used = usedBy(run, step)
		}
		return err
	})
	return used, err
}

// usedBy answers the artifacts that a step uses, each with where it stands in the workspace: at the path at which it was
// kept, and where several combinations of a matrix are used, each in a folder of its step's name.
func usedBy(run towpath.Run, step towpath.Step) []towpath.Artifact {
	var used []towpath.Artifact
	combinations := map[string]int{}
	for _, name := range step.Script.Uses {
		s, _ := run.Step(name)
		combinations[s.Of]++
	}
	for _, name := range step.Script.Uses {
		s, _ := run.Step(name)
		for _, a := range s.Artifacts {
			if s.Of != "" && combinations[s.Of] > 1 {
				a.Path = path.Join(s.Name, a.Path)
			}
			used = append(used, a)
		}
	}
	return used
}

// outputsFor names the outputs of the steps that this one needs: TOWPATH_OUT_<STEP>_<NAME>.
func outputsFor(run towpath.Run, step towpath.Step) map[string]string {
	outputs := map[string]string{}
	for _, before := range run.Behind(step.Name) {
		for name, value := range before.Outputs {
			outputs["TOWPATH_OUT_"+variable(before.Name)+"_"+variable(name)] = value
		}
	}
	return outputs
}

// variable makes a name fit for an environment variable: upper case, and an underscore for whatever is not a letter or
// a digit.
func variable(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, name)
}

// placeBefore finds the environment that was deployed to last before a step, for TOWPATH_ENVIRONMENT and TOWPATH_URL.
func (a *act) placeBefore(run towpath.Run, step towpath.Step) (name, url string, err error) {
	for _, before := range run.Behind(step.Name) {
		if before.Kind == towpath.KindDeploy && before.State == towpath.StepPassed {
			name = before.Deploy
		}
	}
	if name == "" {
		return "", "", nil
	}
	key := towpath.EnvironmentKey(run.Pipeline, name)
	environment, _, err := a.tx.Environment(key)
	if errors.Is(err, store.ErrNotFound) {
		return name, "", nil // it was removed since
	}
	if err != nil || environment.Definition.URL != "" {
		return name, environment.Definition.URL, err
	}
	seen, _, err := a.tx.Observation(key)
	if address := seen.Reach(environment.Live.Number); address != "" {
		url = "http://" + address
	}
	return name, url, err
}

// RenewStep keeps a lease. It answers its new expiry, and why the attempt should stop; empty where it should not.
func (c *Conductor) RenewStep(ctx context.Context, l towpath.Lease) (expires time.Time, stop string, err error) {
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		l.Expires = c.clock().Add(queue.LeaseTime)
		stop, err = tx.Renew(l)
		return err
	})
	return l.Expires, stop, err
}

// ReportStep takes a worker's last word on an attempt. The same report may come again: its worker did not hear that it
// was taken.
func (c *Conductor) ReportStep(ctx context.Context, l towpath.Lease, e towpath.StepReported, log store.Log) error {
	return c.update(ctx, func(a *act) error {
		log.Run, log.Step, log.Attempt, log.FinishedAt = l.Run, l.Step, l.Attempt, a.at
		e.Step, e.Attempt, e.Worker, e.At = l.Step, l.Attempt, l.Worker, a.at
		run, err := a.runHappens(l.Run, e)
		if err != nil {
			if isRepeated(run, e) {
				return nil
			}
			return err
		}
		for _, artifact := range e.Artifacts {
			if err := a.tx.KeepArtifact(l.Run, artifact, a.at); err != nil {
				return err
			}
		}
		if err := a.tx.SaveLog(log); err != nil {
			return err
		}
		return a.endLease(l)
	})
}

// isRepeated says that this report was taken before.
func isRepeated(run towpath.Run, e towpath.StepReported) bool {
	s, ok := run.Step(e.Step)
	if !ok || e.Attempt < 1 || e.Attempt > s.Attempt() {
		return false
	}
	earlier := s.Attempts[e.Attempt-1]
	return earlier.Worker == e.Worker && earlier.State == e.State
}

// Cancel stops a run. Steps that run are interrupted; a deployment that is under way goes on to its end.
func (c *Conductor) Cancel(ctx context.Context, run string, by Act) (towpath.Run, error) {
	var after towpath.Run
	err := c.update(ctx, func(a *act) (err error) {
		if after, err = a.runHappens(run, towpath.CancelRequested{By: by.By, At: a.at}); err != nil {
			return err
		}
		return by.Record(a.tx)
	})
	return after, err
}

func (a *act) enqueue(run towpath.Run, e towpath.EnqueueStep) error {
	step, _ := run.Step(e.Step)
	q := store.QueuedStep{
		Run: e.Run, Step: e.Step, Attempt: e.Attempt, Project: run.Project, Kind: step.Kind,
		Selector: step.Script.Worker, Trusted: run.Change.Trusted, Begun: hasBegun(run), ReadyAt: a.at,
	}
	project, _, err := a.tx.Project(run.Project)
	if err != nil {
		return err
	}
	q.Priority, a.ready = project.Priority, true
	return a.tx.Enqueue(q)
}

// hasBegun says that a worker has had a step of the run.
func hasBegun(r towpath.Run) bool {
	return slices.ContainsFunc(r.Steps, func(s towpath.Step) bool {
		return slices.ContainsFunc(s.Attempts, func(a towpath.Attempt) bool { return a.Worker != "" })
	})
}

// endLease ends a lease, so that what waits for a step of its pipeline to end can be leased.
func (a *act) endLease(l towpath.Lease) error {
	a.freed = true
	return a.tx.Finish(l)
}

func (a *act) stopStep(e towpath.StopStep) error {
	taken, err := a.tx.Dequeue(e.Run, e.Step, e.Attempt)
	if err != nil || taken {
		return err
	}
	_, err = a.tx.StopLease(e.Run, e.Step, e.Attempt, e.Reason)
	return err
}

func (a *act) supersedeOlder(e towpath.SupersedeOlder) error {
	run, _, err := a.tx.Run(e.Run)
	if err != nil {
		return err
	}
	older, err := a.tx.Runs(store.RunFilter{
		Pipeline: run.Pipeline, Branch: run.Change.Branch, Older: run.Number,
		States: towpath.UnfinishedRuns,
	})
	if err != nil {
		return err
	}
	for _, o := range older {
		if o.Order() > run.Order() {
			continue // this one repeats an older change
		}
		_, err := a.runHappens(o.ID, towpath.Superseded{Gate: e.Gate, By: run.Number, At: a.at})
		if unlessRefused(err) != nil {
			return err
		}
	}
	return nil
}
