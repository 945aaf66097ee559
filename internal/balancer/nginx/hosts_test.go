//go:build linux

package nginx

import (
	"context"
	"errors"
	"os/user"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/balancer/nginx/nginxtest"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/ssh"
	"github.com/towpath-cd/towpath/internal/ssh/sshtest"
)

// pair is two hosts with an nginx each, whose files have the same names.
type pair struct {
	*testing.T
	hosts   [2]*sshtest.Host
	nginxes [2]*nginxtest.Nginx
	*Driver
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{T: t}
	lab := sshtest.New(t)
	var definition *towpath.NginxBalancer
	for n := range p.hosts {
		p.hosts[n] = lab.Host(sshtest.Setting{})
		p.nginxes[n] = nginxtest.PrepareFor(t, p.hosts[n].Disk(), lab.Root, p.hosts[n].IP)
		if definition == nil {
			definition = p.nginxes[n].Definition()
		}
		port, _ := strconv.Atoi(p.hosts[n].Port)
		definition.Hosts = append(definition.Hosts, towpath.Host{Name: p.hosts[n].IP, SSHPort: port})
	}
	me, err := user.Current()
	must(t, err)
	p.Driver, err = New(Options{
		Environment: "shop/production", SSH: ssh.Options{Home: lab.Home, Login: me.Username, KeepAlive: time.Second},
		Definition: towpath.EnvironmentDefinition{
			Drain: towpath.DrainDefinition{Requests: patience}, Balancer: towpath.BalancerDefinition{Nginx: definition},
		},
	})
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	for n := range p.hosts {
		p.tells(n, p.nginxes[n].Command(""))
	}
	return p
}

// tells has a host run a script.
func (p *pair) tells(host int, script string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	result, err := p.sides[host].Run(ctx, ssh.Command{Script: script})
	if err != nil || result.Status != 0 {
		p.Fatalf("%v, status %d: %s", err, result.Status, result.Said)
	}
}

// serve checks who answers on both.
func (p *pair) serve(i towpath.Instance) {
	p.Helper()
	for n, side := range p.nginxes {
		if got := get(p.T, side.Address); got != i.ID {
			p.Errorf("on host %d %s serves, want %s", n, got, i.ID)
		}
	}
}

func TestSeveralNginxesFollowTogetherOverSSH(t *testing.T) {
	p := newPair(t)
	one, two := answers(t, 1, 1), answers(t, 2, 2)
	must(t, shift(t, p.Driver, patience, one))
	p.serve(one)
	must(t, shift(t, p.Driver, patience, one, two))
	p.serve(two)
	_, err := p.Do(t.Context(), deploy.Order{Epoch: epoch, Operation: deploy.Drain{Instances: []string{one.ID}, Within: patience}})
	must(t, err)
	seen := observe(t, p.Driver)
	if seen.Epoch != epoch || seen.Misrouted || len(seen.Instances) != 2 || !seen.Instances[0].Traffic.IsIdle() || seen.Instances[1].Traffic.Weight != deploy.FullWeight {
		t.Errorf("%+v", seen)
	}

	p.tells(1, "sed -i s/weight=100/weight=7/ "+p.definition.File+" && "+p.definition.Reload)
	if seen := observe(t, p.Driver); !seen.Misrouted || seen.Instances[1].Traffic.Weight != deploy.FullWeight {
		t.Errorf("they give different shares: %+v", seen)
	}
	must(t, shift(t, p.Driver, patience, one, two))
	if seen := observe(t, p.Driver); seen.Misrouted {
		t.Errorf("they give the same shares: %+v", seen)
	}

	p.hosts[1].PowerOff()
	if _, err := p.Observe(t.Context()); err == nil || !strings.Contains(err.Error(), p.hosts[1].IP) {
		t.Errorf("%v", err)
	}
	err = shift(t, p.Driver, patience, two, one)
	if again, is := errors.AsType[*deploy.Retryable](err); !is {
		t.Errorf("%T %v", again, err)
	}
	if got := get(t, p.nginxes[0].Address); got != one.ID { // it has followed
		t.Errorf("%s serves", got)
	}
}
