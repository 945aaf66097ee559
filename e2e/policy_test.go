//go:build linux

package e2e_test

import (
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

// TestADeploymentBeyondThePolicyIsRefusedBeforeAnythingIsTouched has a pipeline file turn to hosts and to another worker than the
// server allows, and a policy that changes while a run is on its way. What is live goes on serving.
func TestADeploymentBeyondThePolicyIsRefusedBeforeAnythingIsTouched(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	repository := s.newRepository("app", short).watch()
	s.ends(1, "passed")
	s.serves("one")
	if code, said := s.towpath("policy", "live", "--ref", "main", "--address", "web1.example.com,10.0.0.0/8"); code != 0 || !strings.Contains(said, "web1.example.com") {
		t.Fatalf("towpath policy ended with %d: %s", code, said)
	}
	traffic := s.asks()

	elsewhere := strings.Replace(short["towpath.yaml"], "{process: {command: ./app}}",
		"{hosts: {addresses: [web1.example.com, 203.0.113.9], port: 8000, path: /srv/app, restart: 'true'}}", 1)
	elsewhere = strings.Replace(elsewhere, "{blue-green: {standby: 1s}}", "all-at-once", 1)
	elsewhere = strings.Replace(elsewhere, `balancer: {proxy: {host: "*"}}`, "balancer: none", 1)
	revision := repository.push(tree{"version": "two", "towpath.yaml": elsewhere})
	var refused client.Change
	until(s, "the change is refused", func() bool {
		changes, err := s.api.Changes(t.Context(), "app")
		s.must(err)
		for _, c := range changes {
			if c.Revision == revision && c.Outcome != "" && c.Outcome != "pending" {
				refused = c
			}
		}
		return refused.Revision != ""
	})
	for _, text := range []string{"towpath.yaml:13: the policy of app/live does not allow address 203.0.113.9", "towpath policy"} {
		if refused.Outcome != "failed" || !strings.Contains(refused.Reason, text) || strings.Contains(refused.Reason, "address web1") {
			t.Errorf("the change is %s: %s", refused.Outcome, refused.Reason)
		}
	}

	s.holds("hold")
	repository.push(tree{"version": "three", "towpath.yaml": withHeld(s.root + "/hold")})
	s.reaches(2, "held", "running") // the change that was refused has made no run
	_, err := s.api.ChangePolicy(t.Context(), "app/live", client.PolicyChange{Refs: []string{"release/*"}})
	s.must(err)
	s.letsGo("hold")
	s.ends(2, "failed")
	run, err := s.api.Run(t.Context(), "app", 2)
	s.must(err)
	last := run.Steps[len(run.Steps)-1]
	if last.Name != "live" || last.Reason != "the policy of app/live does not allow main: it allows release/*" {
		t.Errorf("the deployment ended as %+v", last)
	}
	s.environment("live", "what was live", isLive(1))
	s.serves("one")
	s.flawless(traffic)

	_, err = s.api.ChangePolicy(t.Context(), "app/live", client.PolicyChange{Lift: []string{"ref"}, Workers: []string{"another"}})
	s.must(err)
	s.environment("live", "left by its keeper", func(e client.Environment) bool {
		return e.Keeper == "" && e.Policy != nil && strings.Contains(e.Policy.Conflict, "nobody looks after them")
	})
	s.serves("one") // an instance does not end with its keeper's leave
}
