//go:build linux

package nginx

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/balancer/balancertest"
	"github.com/towpath-cd/towpath/internal/balancer/nginx/nginxtest"
	"github.com/towpath-cd/towpath/internal/deploy"
)

func TestNginxKeepsWhatABalancerPromises(t *testing.T) {
	balancertest.Kind{
		New: func(t *testing.T) balancertest.Balancer { return balancer{nginxtest.Start(t)} }, Keeps: true, CutsIdle: true, Awaits: true, IsSlow: true,
		Can: deploy.Capabilities{Weights: deploy.FullWeight, Fencing: true},
	}.Run(t)
}

// balancer is an nginx as the suite knows it.
type balancer struct{ nginx *nginxtest.Nginx }

func (b balancer) Address() string     { return b.nginx.Address }
func (b balancer) Stop(t *testing.T)   { b.nginx.Stop(t) }
func (b balancer) Start(t *testing.T)  { b.nginx.Start(t) }
func (b balancer) Reload(t *testing.T) { b.nginx.Reload(t) }

func (b balancer) Open(t *testing.T) deploy.Driver {
	t.Helper()
	return open(t, b.nginx.Definition())
}

// WeighByHand changes the file and has nginx take it, as a person would.
func (b balancer) WeighByHand(t *testing.T, i towpath.Instance, weight int) {
	t.Helper()
	share := "down"
	if weight > 0 {
		share = "weight=" + strconv.Itoa(weight)
	}
	server := regexp.MustCompile(`(server ` + regexp.QuoteMeta(i.Address) + `) [^;]*`)
	b.nginx.Write(t, "conf.d/shop.conf", server.ReplaceAllString(b.nginx.Read(t, "conf.d/shop.conf"), "$1 "+share))
	b.nginx.Reload(t)
}

// open makes a driver that is closed in the end by whoever asked for it.
func open(t *testing.T, definition *towpath.NginxBalancer) *Driver {
	t.Helper()
	d, err := New(Options{Environment: "shop/production", Definition: towpath.EnvironmentDefinition{
		Drain:    towpath.DrainDefinition{Requests: 30 * time.Second, Streams: time.Minute},
		Balancer: towpath.BalancerDefinition{Nginx: definition},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// lines answers those of a text that have a word in them.
func lines(text, word string) (found []string) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, word) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}
