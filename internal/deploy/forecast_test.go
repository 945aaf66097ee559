package deploy_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

var update = flag.Bool("update", false, "write the golden files anew")

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestForecastTellsPeopleWhatWillHappen(t *testing.T) {
	cases := map[string]deploy.Facts{
		"first_deployment":         shop().wants(release41).facts(),
		"blue_green":               shop().serves(release41).wants(release42).facts(),
		"watched":                  shop().watched().serves(release41).wants(release42).facts(),
		"watched_first":            shop().watched().wants(release41).facts(),
		"gated":                    shop().gated().serves(release41).wants(release42).facts(),
		"rollback_from_standby":    shop().serves(release42, release41).standsBy(release41).rollsBack().facts(),
		"rollback_without_standby": shop().serves(release42, release41).rollsBack().facts(),
		"all_at_once":              shop().allAtOnce().serves(release41).wants(release42).facts(),
		"single":                   shop().serves(release41).single("r41-1").wants(release42).facts(),
		"single_all_at_once":       shop().allAtOnce().serves(release41).single("r41-1").wants(release42).facts(),
		"single_on_hosts":          shop().onHosts(3).rolling(1, 0).serves(release41).single("r41-1").wants(release42).facts(),
		"single_on_a_host_away":    shop().onHosts(3).rolling(1, 0).minimum(1).serves(release42).files(release41).single("r42-3").rollsBack().away("web3").facts(),
		"nothing_to_do":            shop().serves(release41).facts(),
		"standing_by":              shop().serves(release42, release41).standsBy(release41).facts(),
		"instance_missing":         shop().serves(release41).loses("r41-1").facts(),
		"instance_failing":         shop().serves(release41).fails("r41-1").facts(),
		"first_deployment_failed":  shop().wants(release41).places(release41).giveUp().facts(),
		"rolling":                  shop().rolling(1, 0).serves(release41).wants(release42).facts(),
		"rolling_surge":            shop().rolling(1, 1).serves(release41).wants(release42).facts(),
		"rolling_alone":            shop().unbalanced().rolling(1, 0).serves(release41).wants(release42).facts(),
		"hosts_rolling":            shop().onHosts(3).rolling(1, 0).serves(release41).wants(release42).facts(),
		"hosts_rolling_alone":      shop().unbalanced().onHosts(3).rolling(2, 0).serves(release41).wants(release42).facts(),
		"hosts_rolling_surge":      shop().onHosts(2, "blue", "green").rolling(1, 1).serves(release41).wants(release42).facts(),
		"hosts_in_common":          shop().onHosts(2).rolling(1, 0).inCommon().serves(release41).wants(release42).facts(),
		"hosts_all_at_once":        shop().onHosts(2).allAtOnceBalanced().serves(release41).wants(release42).facts(),
		"hosts_blue_green":         shop().onHosts(2, "blue", "green").serves(release41).wants(release42).facts(),
		"hosts_back_without_one":   shop().onHosts(3).rolling(1, 0).minimum(1).serves(release42).files(release41).rollsBack().away("web3").facts(),
		"hosts_stuck":              shop().onHosts(3).rolling(1, 0).minimum(2).serves(release42).files(release41).rollsBack().away("web3").facts(),
		"canary":                   shop().canary(threeSteps...).serves(release41).wants(release42).facts(),
		"canary_watched":           shop().watched().canary(threeSteps...).serves(release41).wants(release42).facts(),
		"canary_on_hosts":          shop().onHosts(2, "blue", "green").canary(threeSteps...).serves(release41).wants(release42).facts(),
		"canary_back":              shop().canary(threeSteps...).serves(release41).places(release42).with(release42, 5).wants(release42).giveUp().facts(),
		"canary_first":             shop().canary(threeSteps...).wants(release41).facts(),
		"dns_first":                shop().onHosts(3).behindDNS(0).rolling(1, 0).wants(release41).facts(),
		"dns_rolling":              shop().onHosts(3).behindDNS(time.Minute).rolling(1, 0).serves(release41).wants(release42).facts(),
		"dns_shortened":            shop().onHosts(3).behindDNS(time.Hour).rolling(2, 0).serves(release41).wants(release42).facts(),
		"dns_shortening":           shop().onHosts(3).behindDNS(time.Minute).shortened(20*time.Minute).rolling(2, 0).serves(release41).wants(release42).facts(),
		"dns_all_at_once":          shop().onHosts(2).behindDNS(time.Minute).allAtOnceBalanced().serves(release41).wants(release42).facts(),
		"halted":                   shop().serves(release41).halted("release 41 does not start either").facts(),
	}
	for name, facts := range cases {
		t.Run(name, func(t *testing.T) { isGolden(t, name, deploy.NewForecast(facts).String()) })
	}
}

func isGolden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (go test ./internal/deploy -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s reads differently (-want +got):\n%s", file, diff)
	}
}

var (
	release41 = towpath.ReleaseRef{Number: 41, Change: 128, Revision: "3f2c1aa9b0c4", Title: "slower checkout"}
	release42 = towpath.ReleaseRef{Number: 42, Change: 130, Revision: "9be07d4417fe", Title: "faster checkout"}
)

// shop is an environment of two instances behind the proxy, to which stories happen.
func shop() *story {
	return &story{count: 2, environment: towpath.NewEnvironment("p1", "shop", towpath.EnvironmentDefinition{
		Name: "production", Instances: 2, Minimum: 2,
		Strategy: towpath.StrategyDefinition{Kind: towpath.StrategyBlueGreen, Standby: time.Hour},
		Balancer: towpath.BalancerDefinition{Proxy: &towpath.ProxyBalancer{Host: "shop.example.com"}},
		Health:   towpath.HealthDefinition{HTTP: "/healthz", Within: time.Minute},
		Drain:    towpath.DrainDefinition{Requests: 30 * time.Second, Streams: 5 * time.Minute},
	}, noon)}
}

type story struct {
	count       int // instances of a release
	environment towpath.Environment
	slots       []towpath.Slot
	cached      *towpath.Cached
	instances   []towpath.Instance
	singles     []towpath.Single
}

func (s *story) facts() deploy.Facts {
	return deploy.Facts{
		Environment: s.environment, Now: noon,
		Observed: towpath.Observation{Instances: s.instances, Slots: s.slots, Cached: s.cached, Singles: s.singles, At: noon},
	}
}

func (s *story) gated() *story {
	s.environment.Definition.Strategy.Test = "./smoke.sh"
	s.environment.Definition.Strategy.UntilPromoted = true
	return s
}

func (s *story) watched() *story {
	s.environment.Definition.Watch = towpath.WatchDefinition{For: 5 * time.Minute, Errors: 0.01, P99: 500 * time.Millisecond, Minimum: 50}
	return s
}

func (s *story) allAtOnce() *story {
	s.environment.Definition.Strategy = towpath.StrategyDefinition{Kind: towpath.StrategyAllAtOnce}
	s.environment.Definition.Balancer = towpath.BalancerDefinition{}
	s.environment.Definition.Minimum = 0
	return s
}

// serves makes a release live, after earlier ones, and lets it take all traffic.
func (s *story) serves(live towpath.ReleaseRef, before ...towpath.ReleaseRef) *story {
	s.environment.Goal, s.environment.Live = live, live
	s.environment.LiveAt = noon.Add(-48 * time.Hour)
	s.environment.History = append(before, live)
	weight := deploy.FullWeight
	if !s.isBalanced() {
		weight = 0
	}
	return s.places(live).with(live, weight)
}

func (s *story) standsBy(r towpath.ReleaseRef) *story {
	s.environment.StandbyUntil = noon.Add(40 * time.Minute)
	return s.places(r).with(r, 0)
}

// places adds two healthy instances of a release that the balancer does not know.
func (s *story) places(r towpath.ReleaseRef) *story {
	for n := range max(s.count, len(s.hosts())) {
		slot := ""
		if all := s.environment.Definition.Target.Slots(); len(all) > 0 {
			slot = all[n*len(all)/len(s.hosts())].Name
		}
		s.instances = append(s.instances, towpath.Instance{
			ID: towpath.InstanceID(r.Number, len(s.instances)+1), Release: r.Number, State: towpath.InstanceRunning, Slot: slot,
			Health: towpath.HealthPassing, Traffic: towpath.Traffic{Known: true}, Since: noon.Add(-time.Hour),
		})
	}
	return s
}

func (s *story) with(r towpath.ReleaseRef, weight int) *story {
	for n := range s.instances {
		if s.instances[n].Release == r.Number && s.isBalanced() {
			s.instances[n].Traffic = towpath.Traffic{Known: true, Member: true, Weight: weight}
		}
	}
	return s
}

func (s *story) wants(r towpath.ReleaseRef) *story {
	return s.happens(towpath.DeploymentRequested{
		Deployment: towpath.Deployment{ID: "d1", Release: r, Cause: towpath.CauseRun, By: "ana"}, At: noon,
	})
}

func (s *story) rollsBack() *story {
	return s.happens(towpath.RollbackRequested{ID: "d2", By: "ben", Reason: "carts are empty", At: noon})
}

func (s *story) giveUp() *story {
	return s.happens(towpath.GoalFailed{Deployment: "d1", Reason: "never healthy", At: noon})
}

func (s *story) happens(e towpath.EnvironmentEvent) *story {
	s.environment, _ = s.environment.Next(e)
	return s
}

func (s *story) halted(reason string) *story {
	s.environment.Halted = reason
	return s
}

func (s *story) loses(id string) *story {
	kept := s.instances[:0]
	for _, i := range s.instances {
		if i.ID != id {
			kept = append(kept, i)
		}
	}
	s.instances = kept
	return s
}

func (s *story) fails(id string) *story {
	for n := range s.instances {
		if s.instances[n].ID == id {
			s.instances[n].Health = towpath.HealthFailing
		}
	}
	return s
}
