//go:build linux

package e2e_test

import (
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

// byStrategy deploys at once, to processes behind the proxy.
func byStrategy(strategy string) tree {
	file := strings.ReplaceAll(behindHAProxy["towpath.yaml"], "{haproxy: {socket: SOCKET, backend: shop}}", `{proxy: {host: "*"}}`)
	return behindHAProxy.with(tree{"towpath.yaml": strings.ReplaceAll(file, "{blue-green: {standby: 10m}}", strategy)})
}

func TestACanarysShareGrowsByTimeAndByAPersonWithoutAFailure(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	repository := s.newRepository("app", byStrategy("{canary: {steps: [20% for 1s, 60% until promoted], standby: 10m}}")).watch()
	s.ends(1, "passed")
	traffic := s.asks()

	repository.push(tree{"version": "two"})
	s.environment("live", "at the step that a person ends", func(e client.Environment) bool {
		share := map[int]int{}
		for _, i := range e.Instances {
			share[i.Release] += i.Weight
		}
		return share[2] > share[1] && share[1] > 0 && e.Deployment != nil
	})
	_, err := s.api.Promote(s.Context(), "app/live", client.Promotion{Step: 2})
	s.must(err)
	s.ends(2, "passed")
	s.serves("two")

	_, err = s.api.Rollback(s.Context(), "app/live", "the cart is empty")
	s.must(err)
	s.environment("live", "back on release 1", isLive(1))
	s.serves("one")
	s.flawless(traffic)
}

func TestProcessesRollWithOneMoreMeanwhileWithoutAFailure(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	repository := s.newRepository("app", byStrategy("{rolling: {batch: 1, surge: 1}}")).watch()
	s.ends(1, "passed")
	traffic := s.asks()
	repository.push(tree{"version": "two"})
	s.ends(2, "passed")
	s.serves("two")
	repository.push(tree{"version": "three", "mode": "sick"})
	s.ends(3, "failed")
	s.environment("live", "on release 2 alone", isLive(2))
	s.serves("two")
	s.flawless(traffic)
}
