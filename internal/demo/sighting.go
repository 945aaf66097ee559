package demo

import (
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// sighting is all that was seen of a process which was killed during a deployment, and of that deployment.
type sighting struct {
	process      string
	release      int       // that was deployed
	moment       string    // of the kill, in words
	killed       time.Time // zero where it was not
	answered     time.Time // zero where it did not come back
	run          client.Run
	deployment   client.Deployment
	live         int // release, once the run had ended
	answers      int // of the release since the kill
	failedBefore int // requests
	failed       int // requests since the kill
}

// judged says what the kill has come to. Something may have failed before all could be seen.
func (s sighting) judged(failed error) Kill {
	k := Kill{Process: s.process, Release: s.release, Moment: s.moment, Failed: s.failed, Problem: s.problem()}
	if !s.answered.IsZero() {
		k.AnsweredMS = milliseconds(s.answered.Sub(s.killed))
	}
	if failed != nil {
		k.Problem = failed.Error()
		return k
	}
	k.LiveMS = milliseconds(s.deployment.EndedAt.Sub(s.killed))
	return k
}

// problem says why a kill does not count as recovered from; empty where it does.
func (s sighting) problem() string {
	during := s.deployment.Release == s.release && s.killed.After(s.deployment.BeganAt) && s.killed.Before(s.deployment.EndedAt)
	switch {
	case s.killed.IsZero():
		return fmt.Sprintf("the %s was not killed", s.process)
	case s.answered.IsZero():
		return fmt.Sprintf("the %s did not come back", s.process)
	case !during:
		return fmt.Sprintf("the %s was not killed during the deployment of release %d", s.process, s.release)
	case s.deployment.State != string(towpath.DeploymentLive):
		return fmt.Sprintf("the deployment of release %d is %s: %s", s.release, s.deployment.State, s.deployment.Outcome)
	case s.run.State != string(towpath.RunPassed):
		return fmt.Sprintf("run %d is %s: %s", s.run.Number, s.run.State, s.run.Reason)
	case s.live != s.release:
		return fmt.Sprintf("release %d is live, and not release %d", s.live, s.release)
	case s.answers == 0:
		return fmt.Sprintf("release %d is live, but nothing is answered by it", s.release)
	case s.failed > 0:
		return fmt.Sprintf("%d requests failed meanwhile", s.failed)
	}
	return ""
}
