package towpath

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// onHosts is a definition of production on hosts, without a balancer.
func onHosts(hosts ...string) EnvironmentDefinition {
	target := &HostsTarget{Path: "/srv/shop", Port: 8000}
	for _, name := range hosts {
		target.Hosts = append(target.Hosts, Host{Name: name})
	}
	return EnvironmentDefinition{Name: "production", Target: TargetDefinition{Hosts: target}}
}

// allows sets a policy of the place.
func (p *place) allows(c PolicyChange, barred map[string]string) {
	p.t.Helper()
	before := p.env.Policy
	before.Environment = p.env.Key
	policy, err := before.With(c, "ana", p.now)
	if err != nil {
		p.t.Fatal(err)
	}
	p.happens(PolicySet{Policy: policy, Barred: barred, At: p.now})
}

// asksWith is the wish of a run whose file has that definition.
func (p *place) asksWith(number int, d EnvironmentDefinition) string {
	p.t.Helper()
	id := fmt.Sprint("d", number)
	p.happens(DeploymentRequested{Deployment: Deployment{
		ID: id, Release: ref(number), Cause: CauseRun, By: "ana", Run: fmt.Sprint("run-", number), Step: "production", Definition: &d,
	}, At: p.now})
	return id
}

func TestWhichAddressesADefinitionHas(t *testing.T) {
	hosts := []Host{{Name: "web1"}, {Name: "10.0.0.7", User: "deploy", SSHPort: 2222}, {Name: "fd00::7"}}
	for _, c := range []struct {
		balancer BalancerDefinition
		want     []string
	}{
		{BalancerDefinition{}, nil},
		{BalancerDefinition{Proxy: &ProxyBalancer{Host: "shop.example.com", Listen: ":80"}}, nil},
		{BalancerDefinition{Proxy: &ProxyBalancer{At: "edge1:7443"}}, []string{"edge1"}},
		{BalancerDefinition{HAProxy: &HAProxyBalancer{Sockets: []string{"/run/admin.sock", "unix:///run/b.sock", "tcp://lb1:9999", "tcp://[fd00::1]:9999"}}}, []string{"lb1", "fd00::1"}},
		{BalancerDefinition{HAProxy: &HAProxyBalancer{Sockets: []string{"tcp://web1@lb1:9999"}}}, []string{"web1@lb1"}},
		{BalancerDefinition{Nginx: &NginxBalancer{Hosts: []Host{{Name: "lb1"}, {Name: "web1"}}}}, []string{"lb1"}},
		{BalancerDefinition{Nginx: &NginxBalancer{}}, nil},
		{BalancerDefinition{Caddy: &CaddyBalancer{Admin: "http://localhost:2019"}}, []string{"localhost"}},
		{BalancerDefinition{Caddy: &CaddyBalancer{Admin: "http://web1@lb1:2019"}}, []string{"lb1"}},
		{BalancerDefinition{Caddy: &CaddyBalancer{Admin: "http://[fd00::1]"}}, []string{"fd00::1"}},
		{BalancerDefinition{Caddy: &CaddyBalancer{Admin: "http://%zz"}}, []string{"http://%zz"}},
		{BalancerDefinition{Caddy: &CaddyBalancer{Admin: "unix:///run/caddy.sock"}}, nil},
		{BalancerDefinition{DNS: &DNSBalancer{Server: "ns1.example.com"}}, []string{"ns1.example.com"}},
		{BalancerDefinition{DNS: &DNSBalancer{Server: "[fd00::53]"}}, []string{"fd00::53"}},
		{BalancerDefinition{DNS: &DNSBalancer{Server: "10.0.0.53:5353"}}, []string{"10.0.0.53"}},
		{BalancerDefinition{Command: &CommandBalancer{Observe: "./observe", Shift: "./shift"}}, nil},
	} {
		d := EnvironmentDefinition{Target: TargetDefinition{Hosts: &HostsTarget{Hosts: hosts}}, Balancer: c.balancer}
		if got := d.Addresses(); !slices.Equal(got, append([]string{"web1", "10.0.0.7", "fd00::7"}, c.want...)) {
			t.Errorf("%s: %q", c.balancer.Kind(), got)
		}
	}
	if got := (EnvironmentDefinition{Target: TargetDefinition{Process: &ProcessTarget{}}}).Addresses(); got != nil {
		t.Errorf("a process on the keeper's machine is at %q", got)
	}
}

func TestWhatAPolicyAllows(t *testing.T) {
	d := onHosts("web1", "10.0.0.7", "fd00::7", "::ffff:10.0.0.8")
	d.Secrets, d.Balancer.DNS = []string{"DATABASE_URL"}, &DNSBalancer{Server: "ns1:53", Key: "TSIG"}
	const beyond = "the policy of shop/production does not allow "
	for _, c := range []struct {
		policy Policy
		want   string
	}{
		{Policy{}, ""},
		{Policy{Addresses: []string{"web1", "10.0.0.0/8", "fd00::/8", "ns1"}}, ""},
		{Policy{Addresses: []string{"web1", "10.0.0.7", "10.0.0.8", "fd00::7", "ns1"}, Secrets: []string{"TSIG", "DATABASE_URL"}}, ""},
		{Policy{Addresses: []string{"10.0.0.0/29", "fd00:0:0::7", "ns1", "WEB1", "web1.", "web"}}, beyond + "address web1, address ::ffff:10.0.0.8"},
		{Policy{Addresses: []string{"0.0.0.0/0", "::/0"}}, beyond + "address web1, address ns1"},
		{Policy{Addresses: []string{}, Secrets: []string{}}, beyond + "address web1, address 10.0.0.7, address fd00::7, address ::ffff:10.0.0.8, address ns1, secret DATABASE_URL, secret TSIG"},
		{Policy{Secrets: []string{"DATABASE_URL"}}, beyond + "secret TSIG"},
	} {
		c.policy.Environment = "shop/production"
		if got := c.policy.Refuses(d); got != c.want {
			t.Errorf("%s: %q, want %q", c.policy, got, c.want)
		}
	}
	for name, want := range map[string]bool{"barge-1": true, "barge-2": false} {
		if (Policy{Workers: []string{"barge-1"}}).AdmitsWorker(name) != want || !(Policy{}).AdmitsWorker(name) || (Policy{Workers: []string{}}).AdmitsWorker(name) {
			t.Errorf("worker %s", name)
		}
	}
}

// What looks like an address and is read otherwise by somebody else is a name here, which nobody allowed.
func TestAnAddressInAnotherSpellingIsNotAllowed(t *testing.T) {
	p := Policy{Addresses: []string{"127.0.0.0/8", "10.0.0.0/8"}}
	for _, host := range []string{"127.1", "0x7f000001", "2130706433", "010.0.0.1", "10.0.0.1.", "10.0.0.1%eth0", "localhost", ""} {
		if p.Refuses(onHosts(host)) == "" {
			t.Errorf("%q is allowed", host)
		}
	}
}

func TestAPolicyChangesListByList(t *testing.T) {
	p := Policy{Environment: "shop/production"}
	steps := []struct {
		change PolicyChange
		want   string
	}{
		{PolicyChange{Refs: []string{"main", "tags/v*", "main"}, Addresses: []string{" web1 ", "10.0.0.0/8"}}, "refs main, tags/v*; addresses 10.0.0.0/8, web1"},
		{PolicyChange{Protected: new(true), Secrets: []string{}}, "protected; refs main, tags/v*; no secrets; addresses 10.0.0.0/8, web1"},
		{PolicyChange{Protected: new(false), Workers: []string{"barge-1"}, Lift: []string{"ref", "address"}}, "workers barge-1; no secrets"},
	}
	for i, s := range steps {
		before := p
		var err error
		if p, err = p.With(s.change, "ana", epochStart); err != nil || p.String() != s.want || p.By != "ana" || !p.At.Equal(epochStart) {
			t.Errorf("%d: %q (%v), want %q", i, p, err, s.want)
		}
		if i > 0 && before.String() != steps[i-1].want {
			t.Errorf("%d: the one before became %q", i, before)
		}
	}
	for _, wrong := range []PolicyChange{
		{},
		{Lift: []string{"approver"}},
		{Refs: []string{"main"}, Lift: []string{"ref"}},
		{Refs: []string{""}},
		{Workers: []string{"barge 1"}},
		{Addresses: []string{"10.0.0.0/33"}},
		{Addresses: []string{"web1/24"}},
		{Addresses: []string{"web1:22"}},
		{Addresses: []string{"deploy@web1"}},
		{Addresses: []string{"*.example.com"}},
		{Addresses: []string{"[fd00::1]"}},
		{Addresses: []string{"::ffff:10.0.0.0/104"}},
		{Secrets: slices.Repeat([]string{"A"}, mostAllowed+1)},
	} {
		if after, err := p.With(wrong, "ben", epochStart); CodeOf(err) != CodeInvalid {
			t.Errorf("%+v made %q (%v)", wrong, after, err)
		}
	}
}

func TestADeploymentBeyondThePolicyIsRefusedWhenItWouldBegin(t *testing.T) {
	p := newPlace(t)
	p.allows(PolicyChange{Addresses: []string{"web1", "web2"}}, nil)
	first := p.asksWith(1, onHosts("web1"))
	p.asksWith(2, onHosts("web1", "web3"))
	if state, reason := p.told(); state != DeploymentRefused || reason != "the policy of shop/production does not allow address web3" {
		t.Errorf("its step was told %s (%s)", state, reason)
	}
	p.asks(3, CauseManual) // it waits for its turn, and goes by the definition that is in force then
	p.allows(PolicyChange{Addresses: []string{"web2"}}, nil)
	if len(p.env.Queue) != 1 {
		t.Errorf("%+v waits", p.env.Queue)
	}
	if p.reaches(first); p.env.Deployment != nil || p.env.DefinitionVersion != 2 {
		t.Fatalf("under way is %+v, by definition %d", p.env.Deployment, p.env.DefinitionVersion)
	}
	if state, reason := p.told(); state != DeploymentRefused || reason != "the policy of shop/production does not allow address web1" {
		t.Errorf("its step was told %s (%s)", state, reason)
	}
	p.reaches(p.asksWith(4, onHosts("web2")))
	p.serves(4, 4)
}

func TestAPolicyThatIsSetRefusesWhatWaitsAndLetsWhatHasBegunEnd(t *testing.T) {
	p := newPlace(t)
	p.reaches(p.asksWith(1, onHosts("web1")))
	under := p.asksWith(2, onHosts("web1", "web2"))
	barred, beyond, fine := p.asksWith(3, onHosts("web1")), p.asksWith(4, onHosts("web2")), p.asksWith(5, onHosts("web1"))
	serial := p.env.Serial
	p.allows(PolicyChange{Addresses: []string{"web1"}}, map[string]string{barred: "idea is not allowed"})
	told := map[string]string{}
	for _, e := range p.effects {
		if tell, is := e.(TellStep); is {
			told[tell.Deployment.ID] = string(tell.Deployment.State) + ": " + tell.Deployment.Outcome
		}
	}
	want := map[string]string{barred: "refused: idea is not allowed", beyond: "refused: the policy of shop/production does not allow address web2"}
	if !cmp.Equal(told, want) || len(p.env.Queue) != 1 || p.env.Queue[0].ID != fine || p.env.Serial != serial {
		t.Errorf("told was %v, and %+v waits", told, p.env.Queue)
	}
	p.reaches(under)
	p.reaches(fine)
	p.serves(5, 5)
	p.refuses(PolicySet{Policy: Policy{Environment: "shop/staging"}, At: p.now}, CodeInvalid)
}

func TestARollbackBeyondThePolicySaysSoAndOneUnderWayEnds(t *testing.T) {
	p := newPlace(t)
	p.reaches(p.asksWith(1, onHosts("web1")))
	p.reaches(p.asksWith(2, onHosts("web1", "web2")))
	p.allows(PolicyChange{Addresses: []string{"web1"}}, nil)
	back := RollbackRequested{ID: "b", By: "ana", At: p.now}
	p.refuses(back, CodeForbidden)
	if err := p.env.Refuses(back); !strings.Contains(err.Error(), "does not allow address web2") || !strings.Contains(err.Error(), "rollback") {
		t.Errorf("it is refused with %v", err)
	}
	p.asks(1, CauseManual) // by the definition in force, as a rollback
	if state, _ := p.told(); state != DeploymentRefused {
		t.Errorf("a release before by hand is %s", state)
	}
	p.allows(PolicyChange{Lift: []string{PolicyAddress}}, nil)
	p.asks(3, CauseManual)
	p.allows(PolicyChange{Addresses: []string{"web1"}}, nil)
	p.happens(RollbackRequested{ID: "b2", By: "ana", At: p.now}) // it turns back what has begun
	p.reaches(p.env.Deployment.ID)
	p.serves(2, 2)
	p.reaches(p.asksWith(4, onHosts("web1")))
	p.happens(RollbackRequested{ID: "b3", By: "ana", At: p.now}) // now by the new definition
	p.reaches("b3")
	p.serves(2, 2)
	p.allows(PolicyChange{Addresses: []string{}}, nil)
	p.reaches(p.removes()) // what was allowed once may be taken away
	if !p.env.IsRemoved() {
		t.Error("it is still there")
	}
}

// Whatever happens in which order: nothing begins whose definition the policy of that moment does not allow.
func TestNothingBeginsBeyondThePolicyWhateverHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		env := NewEnvironment("project-1", "shop", onHosts("a"), epochStart)
		hosts := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "10.0.0.1"}), 1, 3, rapid.ID[string])
		lists := rapid.SampledFrom([][]string{nil, {}, {"a"}, {"a", "b"}, {"10.0.0.0/8"}, {"a", "b", "10.0.0.1"}})
		for n := range rapid.IntRange(1, 30).Draw(t, "events") {
			at := epochStart.Add(time.Duration(n+1) * time.Second)
			d := onHosts(hosts.Draw(t, "hosts")...)
			asked := Deployment{ID: fmt.Sprint("d", n), Release: ref(n + 1), Cause: CauseManual}
			underWay := ""
			if env.Deployment != nil {
				underWay = env.Deployment.ID
			}
			withFile := asked
			withFile.Cause, withFile.Definition = CauseRun, &d
			event := rapid.SampledFrom([]EnvironmentEvent{
				DeploymentRequested{Deployment: asked, At: at},
				DeploymentRequested{Deployment: withFile, At: at},
				PolicySet{Policy: Policy{Environment: env.Key, Addresses: lists.Draw(t, "allowed")}, At: at},
				GoalReached{Deployment: underWay, At: at},
				GoalFailed{Deployment: underWay, Reason: "x", At: at},
				RollbackRequested{ID: asked.ID, By: "ana", At: at},
			}).Draw(t, "event")
			before := env
			env, _ = env.Next(event)
			began := env.Deployment != nil && (before.Deployment == nil || before.Deployment.ID != env.Deployment.ID)
			if reason := env.Exceeds(nil); began && reason != "" {
				t.Fatalf("%#v began %s by %+v: %s", event, env.Deployment.ID, env.Definition, reason)
			}
			if before.Deployment != nil && before.Policy.Addresses != nil && env.Deployment == nil {
				if _, isSet := event.(PolicySet); isSet {
					t.Fatal("a policy ended what had begun")
				}
			}
		}
	})
}
