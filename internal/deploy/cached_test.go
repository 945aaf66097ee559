package deploy_test

import (
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// What loses its share has clients that keep its address: for no longer than it stays up, whatever the strategy is.
func TestNobodyThatAnswersLosesTrafficWhileClientsKeepItsAddressForLong(t *testing.T) {
	longer := map[string]func(*story) *story{
		"to be shortened":  func(s *story) *story { return s.behindDNS(time.Hour) },
		"shortened before": func(s *story) *story { return s.behindDNS(time.Minute).shortened(time.Hour) },
	}
	cases := map[string]func(*story) *story{
		"rolling":     func(s *story) *story { return s.rolling(1, 0).serves(release41).wants(release42) },
		"all at once": func(s *story) *story { return s.allAtOnceBalanced().serves(release41).wants(release42) },
		"back":        func(s *story) *story { return s.rolling(1, 0).serves(release42, release41).rollsBack() },
		"removal": func(s *story) *story {
			return s.rolling(1, 0).serves(release41).happens(towpath.RemovalRequested{ID: "d3", By: "ana", At: noon})
		},
	}
	for ago, keeps := range longer {
		for name, happens := range cases {
			t.Run(name+" "+ago, func(t *testing.T) {
				facts := happens(keeps(shop().onHosts(3))).facts()
				if moved := firstMove(t, facts); moved < time.Hour {
					t.Errorf("an instance loses its traffic after %s\n%s", moved, deploy.NewForecast(facts))
				}
			})
		}
	}
}

// firstMove answers how long an ideal keeper waits before an instance loses its traffic.
func firstMove(t *testing.T, f deploy.Facts) time.Duration {
	t.Helper()
	began, shortened := f.Now, f.Observed.Cached.TTL
	for _, step := range deploy.NewPlan(f).Steps {
		switch o := step.Operation.(type) {
		case deploy.Shorten:
			shortened = o.TTL
		case deploy.Await:
			f.Now = o.Until
		case deploy.Shift:
			if shortened != time.Minute {
				t.Errorf("traffic moves while addresses are kept for %s", shortened)
			}
			return f.Now.Sub(began)
		}
	}
	t.Error("no traffic moves")
	return 0
}

func TestWhatFailsLosesItsTrafficAtOnceHoweverLongItIsKept(t *testing.T) {
	facts := shop().onHosts(3).behindDNS(time.Minute).shortened(time.Hour).rolling(1, 0).serves(release41).fails("r41-1").facts()
	steps := deploy.NewPlan(facts).UpToBarrier()
	if len(steps) == 0 || steps[0].Operation.String() != "shift to r41-1 0%, r41-2 100%, r41-3 100%" {
		t.Errorf("it begins with %v", steps)
	}
}

func TestWhatClientsKeepIsShortAgainBeforeAnythingIsDeployed(t *testing.T) {
	facts := shop().onHosts(2).behindDNS(time.Hour).rolling(1, 0).serves(release41).facts()
	plan := deploy.NewPlan(facts)
	if len(plan.Steps) != 1 || plan.Steps[0].Operation != (deploy.Shorten{TTL: time.Minute}) {
		t.Errorf("the plan is %v", plan.Steps)
	}
	facts.Observed.Blind = true
	if plan := deploy.NewPlan(facts); len(plan.Steps) > 0 && plan.Steps[0].Operation == (deploy.Shorten{TTL: time.Minute}) {
		t.Errorf("blindly, the plan is %v", plan.Steps)
	}
}
