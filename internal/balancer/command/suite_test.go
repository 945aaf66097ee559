//go:build linux

package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/balancer/balancertest"
	"github.com/towpath-cd/towpath/internal/balancer/nginx/nginxtest"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// The witness is a script of some forty lines that moves a real nginx.
func TestAScriptKeepsWhatABalancerPromises(t *testing.T) {
	balancertest.Kind{
		New: func(t *testing.T) balancertest.Balancer { return balancer{nginxtest.Start(t)} }, Keeps: true, CutsIdle: true,
		Awaits: true, IsSlow: true, Can: deploy.Capabilities{Weights: deploy.FullWeight, Fencing: true},
	}.Run(t)
}

// balancer is an nginx that a script moves.
type balancer struct{ nginx *nginxtest.Nginx }

func (b balancer) Address() string    { return b.nginx.Address }
func (b balancer) Stop(t *testing.T)  { b.nginx.Stop(t) }
func (b balancer) Start(t *testing.T) { b.nginx.Start(t) }

func (b balancer) Open(t *testing.T) deploy.Driver {
	t.Helper()
	script, err := filepath.Abs("testdata/nginx.sh")
	if err != nil {
		t.Fatal(err)
	}
	definition := b.nginx.Definition()
	call := fmt.Sprintf("FILE=%s DIR=%s sh %s", definition.File, filepath.Dir(definition.PID), script)
	return open(t, towpath.CommandBalancer{Observe: call, Shift: call, Drain: call, Weights: true, Fencing: true})
}

// WeighByHand changes what the script reads.
func (b balancer) WeighByHand(t *testing.T, i towpath.Instance, weight int) {
	t.Helper()
	const file = "conf.d/shop.conf"
	line := regexp.MustCompile(`(# member \S+ ` + regexp.QuoteMeta(i.Address) + `) \d+`)
	b.nginx.Write(t, file, line.ReplaceAllString(b.nginx.Read(t, file), fmt.Sprintf("$1 %d", weight)))
}

func open(t *testing.T, scripts towpath.CommandBalancer) *Driver {
	t.Helper()
	d, err := New(Options{
		Environment: "shop/production", Secrets: map[string]string{"LB_TOKEN": "geheimnis123"},
		Definition: towpath.EnvironmentDefinition{Balancer: towpath.BalancerDefinition{Command: &scripts}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// give orders all traffic to one instance.
func give(t *testing.T, d *Driver) error {
	t.Helper()
	_, err := d.Do(t.Context(), deploy.Order{
		Epoch: towpath.Epoch{Number: 7, Holder: "keeper"}, Operation: deploy.Shift{Weights: map[string]int{"r1-1": 100}},
		Instances: []towpath.Instance{{ID: "r1-1", Release: 1, Address: "10.0.0.1:80"}},
	})
	return err
}

// empty is an observe that has no members.
const empty = `echo '{"members": []}'`

func TestAScriptReadsItsOrder(t *testing.T) {
	out := filepath.Join(t.TempDir(), "order")
	d := open(t, towpath.CommandBalancer{Observe: empty, Shift: "{ cat; echo \"$TOWPATH_OPERATION $TOWPATH_EPOCH $TOWPATH_HOLDER $LB_TOKEN\"; echo \"$TOWPATH_MEMBERS\"; } >" + out})
	if err := give(t, d); err != nil {
		t.Fatal(err)
	}
	want := `{"operation":"shift","environment":"shop/production","epoch":{"number":7,"holder":"keeper"},"members":[{"id":"r1-1","release":1,"address":"10.0.0.1:80","share":100}]}
shift 7 keeper geheimnis123
r1-1 10.0.0.1:80 100
`
	if got, err := os.ReadFile(out); err != nil || strings.TrimSpace(string(got)) != strings.TrimSpace(want) {
		t.Errorf("%s, %v", got, err)
	}
}

func TestTheStatusOfAScriptSaysWhatItMeans(t *testing.T) {
	var again *deploy.Retryable
	var unknown *deploy.UnknownOutcome
	var stale *deploy.StaleEpoch
	var permanent *deploy.Permanent
	for _, c := range []struct {
		observe, shift string
		kind           any
		says           string
	}{
		{empty, "echo later >&2; exit 75", &again, "the script shift ended with status 75: later"},
		{empty, `echo "the token $LB_TOKEN is bad"; exit 1`, &unknown, "the token *** is bad"},
		{empty, `echo '{"epoch": {"number": 9, "holder": "other"}}'; exit 77`, &stale, "epoch 9"},
		{empty, "exit 77", &unknown, "status 77"},
		{`echo '{"epoch": {"number": 8, "holder": "other"}, "members": []}'`, "exit 1", &stale, "epoch 8"},
		{"echo none", "", &permanent, "prints no JSON"},
		{"exit 3", "", &again, "the script observe ended with status 3: it printed nothing"},
	} {
		err := give(t, open(t, towpath.CommandBalancer{Observe: c.observe, Shift: c.shift}))
		if err == nil || !errors.As(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s; %s: %T %v", c.observe, c.shift, err, err)
		}
	}
}

func TestWhatIsCountedIsAwaited(t *testing.T) {
	count := filepath.Join(t.TempDir(), "count")
	d := open(t, towpath.CommandBalancer{
		Observe:  `n=$(cat ` + count + ` 2>/dev/null || echo 3); echo $((n > 0 ? n - 1 : 0)) >` + count + `; echo "{\"members\": [{\"id\": \"r1-1\", \"address\": \"a:1\", \"share\": 0, \"in_flight\": $n}]}"`,
		Shift:    "exit 1",
		Sessions: true,
	})
	seen, err := d.Observe(t.Context())
	if err != nil || seen.Instances[0].Traffic.Requests != 3 || seen.Instances[0].Traffic.IsIdle() {
		t.Errorf("%+v, %v", seen, err)
	}
	_, err = d.Do(t.Context(), deploy.Order{Operation: deploy.Drain{Instances: []string{"r1-1"}, Within: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	if seen, err = d.Observe(t.Context()); err != nil || !seen.Instances[0].Traffic.IsIdle() {
		t.Errorf("%+v, %v", seen, err)
	}
}

func TestADrainThatDoesNotEndIsEndedWithItsTime(t *testing.T) {
	d := open(t, towpath.CommandBalancer{Observe: empty, Shift: "exit 1", Drain: "sleep 600"})
	_, err := d.Do(t.Context(), deploy.Order{Operation: deploy.Drain{Instances: []string{"r1-1"}, Within: 200 * time.Millisecond}})
	if err != nil {
		t.Errorf("%v", err)
	}
}
