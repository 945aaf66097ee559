package balancertest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// patience bounds whatever a promise waits for.
const patience = 30 * time.Second

// epoch is that of the suite's keeper.
var epoch = towpath.Epoch{Number: 7, Holder: "keeper"}

// rig is a balancer with a driver and backends, for one promise.
type rig struct {
	*testing.T
	kind     Kind
	balancer Balancer
	driver   deploy.Driver
	backends []*backend
}

func newRig(t *testing.T, k Kind) *rig {
	r := &rig{T: t, kind: k, balancer: k.New(t)}
	r.driver = r.open()
	return r
}

// open makes a driver, which is closed in the end.
func (r *rig) open() deploy.Driver {
	r.Helper()
	d := r.balancer.Open(r.T)
	r.Cleanup(func() {
		if err := d.Close(); err != nil {
			r.Errorf("close the driver: %v", err)
		}
	})
	return d
}

// must ends the test at an error.
func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// instances are those of backends that still answer, as a target sees them.
func (r *rig) instances() (all []towpath.Instance) {
	for _, b := range r.backends {
		if !b.isKilled {
			all = append(all, b.Instance)
		}
	}
	return all
}

// observe looks by the driver, and joins what it sees with what a target would, as a keeper does.
func (r *rig) observe() towpath.Observation {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	seen, err := r.driver.Observe(ctx)
	r.must(err)
	merged := deploy.Merge(towpath.Observation{Instances: r.instances()}, seen, true)
	deploy.Introduce(r.driver, merged.Instances)
	return merged
}

// traffic is what the balancer gives an instance.
func (r *rig) traffic(i towpath.Instance) towpath.Traffic {
	r.Helper()
	for _, seen := range r.observe().Instances {
		if seen.ID == i.ID {
			return seen.Traffic
		}
	}
	r.Fatalf("%s is not seen", i.ID)
	return towpath.Traffic{}
}

// try gives an order, with the instances that it names as they were seen last.
func (r *rig) try(o deploy.Operation) (deploy.Receipt, error) {
	r.Helper()
	return r.tryAs(epoch, o)
}

func (r *rig) tryAs(e towpath.Epoch, o deploy.Operation) (deploy.Receipt, error) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	order := deploy.Order{Epoch: e, Operation: o}
	named := deploy.InstancesOf(o)
	for _, i := range r.instances() {
		if slices.Contains(named, i.ID) {
			order.Instances = append(order.Instances, i)
		}
	}
	return r.driver.Do(ctx, order)
}

// does gives an order that has to succeed.
func (r *rig) does(o deploy.Operation) deploy.Receipt {
	r.Helper()
	receipt, err := r.try(o)
	if err != nil {
		r.Fatalf("%s: %v", o, err)
	}
	return receipt
}

// shifts sets the weights of backends, in turn with them.
func (r *rig) shifts(weights map[*backend]int) {
	r.Helper()
	table := make(map[string]int)
	for b, weight := range weights {
		table[b.ID] = weight
	}
	r.does(deploy.Shift{Weights: table})
}

// fresh asks anew, without a connection that was kept.
func fresh() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
}

// ask answers which instance answers a request; empty where none does.
func (r *rig) ask(client *http.Client) string {
	r.Helper()
	response, err := client.Get("http://" + r.balancer.Address() + "/")
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return ""
	}
	return strings.TrimSpace(string(body))
}

// answers counts who answers so many requests, half of them on one connection.
func (r *rig) answers(count int) map[string]int {
	r.Helper()
	kept := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}, Timeout: patience}
	defer kept.CloseIdleConnections()
	by := make(map[string]int)
	for n := range count {
		client := kept
		if n%2 == 0 {
			client = fresh()
		}
		by[r.ask(client)]++
	}
	return by
}

// serves checks that only this one answers.
func (r *rig) serves(b *backend) {
	r.Helper()
	if by := r.answers(20); by[b.ID] != 20 {
		r.Errorf("only %s should answer: %v", b.ID, by)
	}
}

// until waits for a condition.
func (r *rig) until(what string, is func() bool) {
	r.Helper()
	for deadline := time.Now().Add(patience); !is(); {
		if time.Now().After(deadline) {
			r.Fatalf("waited in vain until %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// isTyped says that an error has one of the kinds that a driver may answer.
func isTyped(err error) bool {
	var again *deploy.Retryable
	var permanent *deploy.Permanent
	var unknown *deploy.UnknownOutcome
	var stale *deploy.StaleEpoch
	return errors.As(err, &again) || errors.As(err, &permanent) || errors.As(err, &unknown) || errors.As(err, &stale)
}

// few answers all of the numbers, or the first one where the test has to be short.
func (r *rig) few(numbers ...int) []int {
	if testing.Short() {
		return numbers[:1]
	}
	return numbers
}
