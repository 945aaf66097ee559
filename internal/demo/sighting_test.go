package demo

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// recovered is what is seen where all went well.
func recovered() sighting {
	began := time.Date(2026, 11, 22, 14, 2, 0, 0, time.UTC)
	return sighting{
		process: "server", release: 4, moment: "release 4 stands", killed: began.Add(time.Second), answered: began.Add(1120 * time.Millisecond),
		run:        client.Run{Number: 5, State: string(towpath.RunPassed)},
		deployment: client.Deployment{Release: 4, State: string(towpath.DeploymentLive), BeganAt: began, EndedAt: began.Add(4 * time.Second)},
		live:       4, answers: 812,
	}
}

func TestAKillIsRecoveredFromOnlyWhereAllOfItWasSeen(t *testing.T) {
	if k := recovered().judged(nil); !k.isRecovered() || k.AnsweredMS != 120 || k.LiveMS != 3000 {
		t.Errorf("got %+v", k)
	}
	for name, c := range map[string]struct {
		spoil func(*sighting)
		says  string
	}{
		"it was not killed":           {func(s *sighting) { s.killed = time.Time{} }, "was not killed"},
		"it did not come back":        {func(s *sighting) { s.answered = time.Time{} }, "did not come back"},
		"it was killed too early":     {func(s *sighting) { s.deployment.BeganAt = s.killed.Add(1) }, "not killed during"},
		"it was killed too late":      {func(s *sighting) { s.deployment.EndedAt = s.killed.Add(-1) }, "not killed during"},
		"another was deployed":        {func(s *sighting) { s.deployment.Release = 3 }, "not killed during"},
		"the deployment went back":    {func(s *sighting) { s.deployment.State = "returned" }, "is returned"},
		"the deployment goes on":      {func(s *sighting) { s.deployment.State = "running" }, "is running"},
		"the run failed":              {func(s *sighting) { s.run.State = "failed" }, "run 5 is failed"},
		"another release is live":     {func(s *sighting) { s.live = 2 }, "release 2 is live, and not release 4"},
		"nobody is answered by it":    {func(s *sighting) { s.answers = 0 }, "nothing is answered"},
		"requests failed meanwhile":   {func(s *sighting) { s.failed = 2 }, "2 requests failed"},
		"it was never even looked at": {func(s *sighting) { *s = sighting{process: "server"} }, "was not killed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := recovered()
			c.spoil(&s)
			if k := s.judged(nil); k.isRecovered() || !strings.Contains(k.Problem, c.says) || !strings.Contains(k.String(), "not recovered") {
				t.Errorf("got %+v, want %q", k, c.says)
			}
		})
	}
	if k := recovered().judged(errors.New("run 5 has not ended")); k.isRecovered() || k.Problem != "run 5 has not ended" {
		t.Errorf("where something failed before: got %+v", k)
	}
}
