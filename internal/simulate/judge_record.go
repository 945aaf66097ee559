package simulate

import (
	"fmt"
	"maps"
	"slices"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// kind is what an acknowledged fact is about.
type kind string

const (
	aChange     kind = "change"
	aRun        kind = "run"
	aReport     kind = "report"
	aDecision   kind = "decision"
	aCancel     kind = "cancel"
	aDeployment kind = "deployment"
)

// fact is something that the server has said yes to.
type fact struct {
	kind          kind
	subject, part string
	number        int
	said          string
}

// String is the fact in words.
func (f fact) String() string {
	return fmt.Sprintf("%s of %s %s %d %s", f.kind, f.subject, f.part, f.number, f.said)
}

// acknowledge keeps what the server has said yes to.
func (j *judge) acknowledge(f fact) { j.facts = append(j.facts, f) }

// copied remembers what was acknowledged when the database was copied: more is not asked of one that is restored.
func (j *judge) copied() {
	j.recheck()
	j.copyAt, j.copyOf = len(j.facts), len(j.places)
	j.copyWatches = map[string]map[string]watchSeen{}
	for key, m := range j.memory {
		j.copyWatches[key] = maps.Clone(m.watches)
	}
}

// hasNewPlaces says that environments came into being since the copy.
func (j *judge) hasNewPlaces() bool {
	j.recheck()
	return len(j.places) != j.copyOf
}

// restored forgets what was acknowledged since the copy, and what followed from it.
func (j *judge) restored() {
	j.facts = j.facts[:min(j.copyAt, len(j.facts))]
	j.given, j.begun, j.memory = map[string]string{}, map[string]bool{}, map[string]*memory{}
	j.ended, j.places = map[string]towpath.DeploymentState{}, map[string]towpath.Environment{}
	j.alerts = map[string]string{}
	for key, watches := range j.copyWatches { // they began when they did, and not when the copy came back
		maps.Copy(j.remember(key).watches, watches)
	}
	j.recheck()
}

// verify looks for every fact.
func (j *judge) verify(tx *store.Tx) error {
	for _, f := range j.facts {
		there, err := j.isRecorded(tx, f)
		if err != nil && towpath.CodeOf(err) != towpath.CodeNotFound {
			return err
		}
		if !there {
			j.breaks(recorded, "the %s was acknowledged, and is lost", f)
		}
	}
	return nil
}

func (j *judge) isRecorded(tx *store.Tx, f fact) (bool, error) {
	switch f.kind {
	case aChange:
		_, err := tx.RecordedChange(towpath.Change{Project: project.ID, Branch: project.DefaultBranch, Revision: f.subject}, "")
		return err == nil, err
	case aRun:
		_, is := j.runs[f.subject]
		return is, nil
	case aReport:
		step := stepOf(j.runs[f.subject], f.part)
		return len(step.Attempts) >= f.number && string(step.Attempts[f.number-1].State) == f.said, nil
	case aDecision:
		a, _, err := tx.Approval(f.subject)
		return slices.ContainsFunc(a.Decisions, func(d towpath.Decision) bool { return d.Account == f.part }), err
	case aCancel:
		run := j.runs[f.subject]
		return run.Stopping != "" || run.State.IsFinal() && run.State != "", nil
	}
	_, is := j.ended[f.subject]
	return is, nil
}

func stepOf(run towpath.Run, name string) towpath.Step {
	for _, s := range run.Steps {
		if s.Name == name {
			return s
		}
	}
	return towpath.Step{}
}

// checkRuns judges how many there are.
func (j *judge) checkRuns(runs []towpath.Run) {
	byHand, pushed := 0, map[string]int{}
	for _, run := range runs {
		if run.Change.Trigger == towpath.TriggerManual || run.Repeats != nil {
			byHand++
			continue
		}
		if pushed[run.Change.Revision]++; pushed[run.Change.Revision] > 1 {
			j.breaks(outcome, "the push of %.7s made %d runs", run.Change.Revision, pushed[run.Change.Revision])
		}
	}
	if byHand > j.wishes {
		j.breaks(outcome, "%d wishes made %d runs", j.wishes, byHand)
	}
}

// endedRun is any run that has ended, if there is one.
func (j *judge) endedRun(d dice) (towpath.Run, bool) {
	var ended []towpath.Run
	for _, id := range sortedKeys(j.runs) {
		if run := j.runs[id]; run.State.IsFinal() {
			ended = append(ended, run)
		}
	}
	if len(ended) == 0 {
		return towpath.Run{}, false
	}
	return pick(d, ended...), true
}

// checkChanges judges that each has one outcome, and the right one.
func (j *judge) checkChanges(changes []store.RecordedChange) {
	known := map[string]bool{}
	for _, c := range changes {
		if c.Change.Trigger == towpath.TriggerPush && known[c.Change.Revision] {
			j.breaks(outcome, "the push of %.7s is recorded twice", c.Change.Revision)
		}
		known[c.Change.Revision] = c.Change.Trigger == towpath.TriggerPush
		if c.Outcome == store.ChangeRun && len(c.Runs) != 1 {
			j.breaks(outcome, "the change %.7s made the runs %v", c.Change.Revision, c.Runs)
		}
		for _, commit := range j.world.repository.commits {
			right := c.Outcome == store.ChangePending || commit.isRight == (c.Outcome == store.ChangeRun)
			if commit.revision == c.Change.Revision && !right {
				j.breaks(outcome, "the change %.7s, whose file is right: %t, became %q: %s", commit.revision, commit.isRight, c.Outcome, c.Reason)
			}
		}
	}
}

// checkReleases judges that a run makes one release of its one set of artifacts.
func (j *judge) checkReleases(releases []towpath.Release) {
	byRun := map[string]int{}
	for _, r := range releases {
		j.changes[r.Number] = r.Change
		if byRun[r.Run]++; byRun[r.Run] > 1 {
			j.breaks(once, "run %s made %d releases of the same artifacts", r.Run, byRun[r.Run])
		}
	}
}

// leased judges that an attempt is given away once.
func (j *judge) leased(r *worker, wish flow.StepCall, work *flow.Work) {
	name := attemptName(work.Lease)
	switch {
	case j.given[name] != "" && j.given[name] != wish.ID: // the same is told again what it did not hear
		j.breaks(attempts, "%s was leased twice, now to %s", name, r.name)
	case work.Step.Kind == towpath.KindRun && work.Lease.Attempt > 1:
		j.breaks(attempts, "%s is a run step, and runs again", name)
	}
	j.given[name] = wish.ID
}

// ran keeps what an attempt makes.
func (j *judge) ran(a *attempt) {
	name := attemptName(a.lease)
	if j.begun[name] {
		j.breaks(attempts, "%s runs twice, now at %s", name, a.worker.name)
	}
	j.begun[name] = true
	for _, artifact := range a.report.Artifacts {
		add(j.built, a.lease.Run, artifact.Digest)
	}
}

func add(sets map[string]map[string]bool, name, value string) {
	if sets[name] == nil {
		sets[name] = map[string]bool{}
	}
	sets[name][value] = true
}

// decides keeps what somebody who may say yes has said yes to.
func (j *judge) decides(seen shown, d towpath.Decision) {
	if d.Account != mira || !d.Approved || seen.intent != seen.request.Intent {
		return
	}
	for _, digest := range seen.digests {
		add(j.seen, seen.request.Run, digest)
	}
}

// decided judges that a decision was taken only where it may be.
func (j *judge) decided(seen shown, d towpath.Decision) {
	switch {
	case d.Account != mira:
		j.breaks(approved, "%s was not asked, and the decision was taken", d.Account)
	case seen.intent != seen.request.Intent:
		j.breaks(approved, "a decision on something else was taken for %s", seen.request.ID)
	}
	j.acknowledge(fact{kind: aDecision, subject: seen.request.ID, part: d.Account})
}

// told judges that nothing is told under two keys, and hands the mail on.
func (j *judge) told(a towpath.Alert) {
	j.isTold[string(a.Kind)+a.Run+a.Environment] = true
	if a.Environment == "" {
		about := fmt.Sprint(a.Kind, a.Run, a.Step)
		if key, is := j.alerts[about]; is && key != a.Key {
			j.breaks(once, "people were told of %s of run %s as %s and as %s", a.Kind, a.Run, key, a.Key)
		}
		j.alerts[about] = a.Key
	}
	if a.Kind == towpath.AlertApproval {
		j.world.people.asked(a)
	}
}
