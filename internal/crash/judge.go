package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/load"
)

// Rest lets nobody begin anything any more, and returns when everything has come to rest.
func (s *Story) Rest(ctx context.Context) error {
	s.rest()
	s.acting.Wait()
	for _, l := range []*load.Load{s.load, s.beside} {
		if l != nil {
			l.Stop()
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errEndless)
	defer cancel()
	why := ""
	err := s.awaits(ctx, "everything is at rest", func(ctx context.Context) (is bool, err error) {
		seen, err := s.unrest(ctx)
		if err == nil {
			why = seen
		}
		return seen == "" && err == nil, err
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, why)
	}
	return nil
}

func pipelines() []string {
	return []string{shopPipeline, trialPipeline, toolsPipeline, millPipeline, bakeryPipeline, ovenPipeline, teamPipeline}
}

// unrest answers what is still going on; empty where nothing is.
func (s *Story) unrest(ctx context.Context) (why string, err error) {
	for _, pipeline := range pipelines() {
		runs, err := s.Owner.Runs(ctx, client.RunFilter{Pipeline: pipeline, State: "running,waiting"})
		if err != nil || len(runs) > 0 {
			return fmt.Sprintf("%d runs of %s", len(runs), pipeline), err
		}
	}
	environments, err := s.Owner.Environments(ctx)
	if err != nil {
		return "", err
	}
	for _, e := range environments {
		isStandingBy := e.Key == trialEnvironment && len(e.Instances) > 1 // as long as one stands by
		if e.Deployment != nil || len(e.Queue) > 0 || e.Keeper == "" || isStandingBy {
			return fmt.Sprintf("%+v", e), nil
		}
	}
	losses, err := s.judgeInstances(ctx)
	for _, judge := range []func(context.Context) ([]Loss, error){s.judgeClock, s.owed} {
		if err == nil && len(losses) == 0 {
			losses, err = judge(ctx)
		}
	}
	if len(losses) > 0 {
		return losses[0].String(), err
	}
	return "", err
}

// owed are the alerts and runs that are still to come.
func (s *Story) owed(ctx context.Context) ([]Loss, error) {
	runs, err := s.runsOf(ctx, trialPipeline)
	if err != nil {
		return nil, err
	}
	losses, err := s.judgeFollowed(ctx)
	return append(s.judgeAlerts(runs), losses...), err
}

// Verdict is what was found once everything was at rest.
type Verdict struct {
	Losses  []Loss
	Acted   int // things that were done from beginning to end
	Alerts  int // different ones that were received
	Twice   int // of them more than once: nobody could refuse them
	Refused int // requests to which no connection was had
	Failed  int // requests without a whole and right answer
	Asked   int // requests
}

// Count answers how many losses are of a kind.
func (v Verdict) Count(kind string) int {
	count := 0
	for _, loss := range v.Losses {
		if loss.Kind == kind {
			count++
		}
	}
	return count
}

// Judge compares what was acknowledged with what is stored. The story has to rest.
func (s *Story) Judge(ctx context.Context) (Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s.mutex.Lock()
	v := Verdict{Losses: slices.Clone(s.losses), Acted: s.acted}
	s.mutex.Unlock()
	v.Alerts, v.Twice = s.receiver.doubled()
	if s.load != nil {
		report := s.load.Report()
		v.Asked, v.Failed, v.Refused = report.Requests, report.Failed, report.Refused
	}
	for _, fault := range s.Faults() {
		v.Losses = append(v.Losses, Loss{WrongEnd, fault})
	}
	parts := []func(context.Context) ([]Loss, error){s.judgeScripts, s.judgeInstances, s.judgeClock, s.judgeProcesses, s.judgeBackup}
	for _, a := range s.actors {
		parts = append(parts, a.judge)
	}
	for _, part := range parts {
		losses, err := part(ctx)
		if err != nil {
			return v, err
		}
		v.Losses = append(v.Losses, losses...)
	}
	return v, nil
}

func (s *Story) judgeScripts(ctx context.Context) ([]Loss, error) {
	ran, err := timesIn(s.notes())
	if err != nil {
		return nil, err
	}
	var losses []Loss
	for _, pipeline := range pipelines() {
		runs, err := s.runsOf(ctx, pipeline)
		if err != nil {
			return nil, err
		}
		losses = append(losses, judgeAttempts(runs, ran)...)
	}
	return losses, nil
}

// timesIn answers how often each line stands in a file; a missing one has none.
func timesIn(path string) (map[string]int, error) {
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	times := map[string]int{}
	for line := range strings.Lines(string(content)) {
		times[strings.TrimSpace(line)]++
	}
	return times, nil
}

// judgeInstances sees that what is supervised is what the server knows of, and runs.
func (s *Story) judgeInstances(ctx context.Context) (losses []Loss, err error) {
	known := map[string]bool{}
	environments, err := s.Owner.Environments(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range environments {
		for _, i := range e.Instances {
			known[e.Key+" "+i.ID] = true
		}
	}
	entries, err := s.Instances()
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		of := entry.Spec.Env["TOWPATH_ENVIRONMENT"] + " " + entry.Spec.Instance
		if !known[of] {
			losses = append(losses, Loss{LeftBehind, "instance " + of})
		}
		if !entry.Supervised || !entry.Alive {
			losses = append(losses, Loss{WrongEnd, fmt.Sprintf("%s is supervised: %t, runs: %t", of, entry.Supervised, entry.Alive)})
		}
		delete(known, of)
	}
	for of := range known {
		losses = append(losses, Loss{LostEvent, "there is no instance " + of})
	}
	return losses, nil
}

// judgeProcesses sees that nothing runs but what should.
func (s *Story) judgeProcesses(context.Context) (losses []Loss, err error) {
	entries, err := s.Instances()
	if err != nil {
		return nil, err
	}
	const clocks = 1
	wanted := map[string]int{
		"server": 1, "worker": 1, "proxy": 1, "hold": 1, "sleep": clocks,
		"supervise": len(entries) + clocks, "sh": len(entries) + clocks, filepath.Base(s.Application): len(entries),
	}
	found := map[string]int{}
	var all []string
	for _, p := range s.processes() {
		found[p.Name()]++
		all = append(all, p.String())
	}
	for name, count := range found {
		if count > wanted[name] {
			losses = append(losses, Loss{LeftBehind, fmt.Sprintf("%d processes of %s, not %d:\n%s", count, name, wanted[name], strings.Join(all, "\n"))})
		}
	}
	return losses, nil
}

// judgeBackup sees that all that is stored belongs together: the database, the artifacts by their digests, the logs, and
// the chain of the audit.
func (s *Story) judgeBackup(ctx context.Context) ([]Loss, error) {
	file := s.path("backup")
	taken := s.command("backup", file, "--server", s.Owner.Address(), "--token", s.token)
	if out, err := taken.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("take a backup: %w: %s", err, out)
	}
	defer os.Remove(file)
	out, err := s.command("backup", "--verify", file, "--json").Output()
	if err != nil {
		return []Loss{{LostEvent, fmt.Sprintf("a backup cannot be restored: %v: %s", err, out)}}, nil
	}
	var restored struct {
		Audit   string
		Missing []string `json:"missing_releases"`
	}
	if err := json.Unmarshal(out, &restored); err != nil {
		return nil, fmt.Errorf("read what was restored: %w: %s", err, out)
	}
	if restored.Audit != "" || len(restored.Missing) > 0 {
		return []Loss{{LostEvent, "of the backup: " + string(out)}}, nil
	}
	return nil, ctx.Err()
}
