package crash

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/load"
)

const (
	trialHost        = "trial.test"
	trialPipeline    = "trial"
	trialEnvironment = "trial/staging"
)

// The ways in which a version of the trial goes, in turn.
const (
	goesWell     = "well"
	goesAway     = "withdrawn" // its run is canceled while its deployment waits for another
	neverHealthy = "sick"
	failsLater   = "erring" // which its watch sees
)

func modes() []string { return []string{goesWell, failsLater, goesAway, neverHealthy} }

// stuckAfter is how long somebody looks at a deployment that goes neither on nor back, before they take it back: where a hook
// was cut, nobody but a person knows what it has done.
const stuckAfter = 15 * time.Second

// trial is a team whose changes fail in every way. Each of them waits for a person before it takes the traffic.
type trial struct {
	*Story
	repository *repository
	acts       int
	pushed     []push
	canceled   []int // numbers of runs
}

func (w *World) trialFiles(version, mode string) map[string]string {
	return map[string]string{"version": version, "mode": mode, "towpath.yaml": fmt.Sprintf(`
pipeline: trial
steps:
  - build: trial
    retry: {lost: 10}
    run: |
      %[1]s
      mkdir dist
      cp %[2]s version mode dist/
    artifacts: dist/
  - deploy: staging
environments:
  staging:
    target: {process: {command: ./app}}
    strategy: {blue-green: {standby: 1s, until: promoted, test: test -n "$TOWPATH_URL"}}
    balancer: {proxy: {host: %[3]s}}
    health: {http: /healthz, release: /release, interval: 50ms, within: 3s}
    watch: {for: 2s, minimum: 20}
    drain: {requests: 1s, streams: 1s, stop: 2s}
    hooks:
      before: echo "$TOWPATH_RELEASE $TOWPATH_HOOK" >> %[4]s
      after: echo "$TOWPATH_RELEASE $TOWPATH_HOOK" >> %[4]s
      failed: echo "$TOWPATH_RELEASE $TOWPATH_HOOK" >> %[4]s
`, w.noting(), w.Application, trialHost, w.path("hooks"))}
}

func newTrial(ctx context.Context, s *Story) (actor, error) {
	t := &trial{Story: s}
	var err error
	if t.repository, err = s.newRepository(ctx, trialPipeline, s.trialFiles("0", goesWell)); err != nil {
		return nil, err
	}
	if err = s.watch(ctx, t.repository); err != nil {
		return nil, err
	}
	s.beside = load.Start(ctx, load.Options{ // what becomes of these requests is not judged: they are for the watch to see
		Address: s.Traffic, Host: trialHost, Targets: []load.Target{{Path: "/"}}, Streams: []string{"/stream"},
		Kept: 1, Pause: 20 * time.Millisecond, Timeout: 10 * time.Second,
	})
	return t, nil
}

func (t *trial) act(ctx context.Context) error {
	mode := modes()[t.acts%len(modes())]
	t.acts++
	if mode != goesAway {
		made, err := t.pushes(ctx, mode)
		if err == nil {
			err = t.ends(ctx, made)
		}
		return err
	}
	if err := t.freezes(ctx); err != nil {
		return err
	}
	first, err := t.pushes(ctx, goesWell)
	if err == nil {
		first, err = t.deploys(ctx, first)
	}
	if err != nil {
		return err
	}
	second, err := t.pushes(ctx, goesAway)
	if err == nil {
		second, err = t.deploys(ctx, second)
	}
	if err == nil {
		err = t.cancel(ctx, second)
	}
	for _, r := range []client.Run{first, second} {
		if err == nil {
			err = t.ends(ctx, r)
		}
	}
	return err
}

// pushes a version, and answers its run.
func (t *trial) pushes(ctx context.Context, mode string) (client.Run, error) {
	version := strconv.Itoa(len(t.pushed) + 1)
	revision, err := t.repository.push(ctx, "Version "+version+", "+mode, t.trialFiles(version, mode))
	if err != nil {
		return client.Run{}, err
	}
	t.pushed = append(t.pushed, push{revision: revision})
	return t.runOf(ctx, trialPipeline, revision)
}

// deploys waits until the run has asked for its deployment.
func (t *trial) deploys(ctx context.Context, r client.Run) (client.Run, error) {
	return t.run(ctx, r, "asks for its deployment", func(r client.Run) bool {
		state := stepOf(r, "staging").State
		return state == "running" || state == "waiting"
	})
}

// ends waits for the end of a run, and lets its release have the traffic meanwhile.
func (t *trial) ends(ctx context.Context, r client.Run) error {
	began := time.Now()
	_, err := t.run(ctx, r, "is over", func(client.Run) bool {
		_, _ = t.Owner.Promote(ctx, trialEnvironment, client.Promotion{}) // which is refused most of the time
		if time.Since(began) > stuckAfter {
			began = time.Now()
			_, _ = t.Owner.Rollback(ctx, trialEnvironment, "it is stuck")
		}
		return false
	})
	return err
}

func (t *trial) freezes(ctx context.Context) error {
	err := t.set(ctx, func(ctx context.Context) error {
		_, err := t.Owner.Freeze(ctx, trialEnvironment, "the story freezes it", time.Time{})
		return err
	})
	if err != nil {
		return err
	}
	err = t.set(ctx, func(ctx context.Context) error {
		_, err := t.Owner.Thaw(ctx, trialEnvironment)
		return err
	})
	if err == nil {
		err = t.freezesWidely(ctx)
	}
	if err == nil {
		err = t.bounds(ctx)
	}
	return err
}

// bounds says which addresses an environment may have that has none.
func (t *trial) bounds(ctx context.Context) error {
	return t.set(ctx, func(ctx context.Context) error {
		_, err := t.Owner.ChangePolicy(ctx, trialEnvironment, client.PolicyChange{Addresses: []string{"10.0.0.0/8"}})
		return err
	})
}

// freezesWidely freezes what the story does not deploy to, and ends that.
func (t *trial) freezesWidely(ctx context.Context) error {
	const nowhere = "nowhere"
	err := t.set(ctx, func(ctx context.Context) error {
		_, err := t.Owner.FreezeName(ctx, nowhere, client.NewFreeze{Reason: "the story freezes it"})
		return err
	})
	if err != nil {
		return err
	}
	return t.set(ctx, func(ctx context.Context) error { return t.Owner.ThawName(ctx, nowhere) })
}

// set makes an idempotent call until it is answered.
func (t *trial) set(ctx context.Context, do func(context.Context) error) error {
	_, err := t.ask(ctx, do)
	if has(err, "conflict", "not_found") {
		return nil // it is so already, or there is no environment yet
	}
	return err
}

func (t *trial) cancel(ctx context.Context, r client.Run) error {
	_, err := t.ask(ctx, func(ctx context.Context) error {
		_, err := t.Owner.CancelRun(ctx, r.Pipeline, r.Number)
		return err
	})
	if err == nil {
		t.canceled = append(t.canceled, r.Number)
	}
	if has(err, "conflict") {
		err = nil // it is over
	}
	return err
}

func (t *trial) judge(ctx context.Context) ([]Loss, error) {
	runs, err := t.runsOf(ctx, trialPipeline)
	if err != nil {
		return nil, err
	}
	losses := judgePushes(t.pushed, runs, func(client.Run) bool { return true })
	losses = append(losses, judgeCanceled(t.canceled, runs)...)
	losses = append(losses, t.judgeAlerts(runs)...)
	history, err := t.deploymentsTo(ctx, trialEnvironment)
	if err != nil {
		return losses, err
	}
	of := map[int]int{}
	for _, d := range history {
		of[d.Release]++
		if !d.IsFinal() {
			losses = append(losses, Loss{WrongEnd, fmt.Sprintf("a deployment does not end: %+v", d)})
		}
	}
	ran, err := timesIn(t.path("hooks"))
	for hook, times := range ran {
		var release int
		if _, scanned := fmt.Sscanf(hook, "%d", &release); scanned != nil || times > of[release] {
			losses = append(losses, Loss{Doubled, fmt.Sprintf("hook %q ran %d times in %d deployments", hook, times, of[release])})
		}
	}
	return losses, err
}

// judgeCanceled sees that what was canceled did not go on.
func judgeCanceled(numbers []int, runs []client.Run) (losses []Loss) {
	for _, number := range numbers {
		i := slices.IndexFunc(runs, func(r client.Run) bool { return r.Number == number })
		if i < 0 || runs[i].State != "canceled" {
			losses = append(losses, Loss{LostEvent, fmt.Sprintf("#%d was canceled: %v", number, runs[max(i, 0)].State)})
		}
	}
	return losses
}

// judgeAlerts sees that people were told of each run that failed.
func (s *Story) judgeAlerts(runs []client.Run) (losses []Loss) {
	for _, r := range runs {
		if key := "announce/" + r.ID + "/failed"; r.State == "failed" && !s.receiver.isTaken(key) {
			losses = append(losses, Loss{LostEvent, "nobody was told of " + describe(r)})
		}
	}
	return losses
}
