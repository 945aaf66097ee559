//go:build linux

package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// watched adds a watch to a pipeline file, too long for a test to see its end.
func watched(file, watch string) string {
	return strings.Replace(file, "    health:", "    watch: {for: 1h, "+watch+"}\n    health:", 1)
}

// outcomeOf answers what people are told of the deployment of a release.
func (s *site) outcomeOf(release int) string {
	s.Helper()
	all, err := s.api.Deployments(s.Context(), "app/live")
	s.must(err)
	for _, d := range all {
		if d.Release == release {
			return d.State + ": " + d.Outcome
		}
	}
	s.Fatalf("release %d was never deployed: %+v", release, all)
	return ""
}

// goesBack pushes a release that does not stand its watch, and waits until release 1 serves again alone.
func (s *site) goesBack(repository *repository, files tree, outcome string) {
	s.Helper()
	repository.push(files)
	s.ends(2, "failed")
	s.environment("live", "on release 1 alone", isLive(1))
	s.serves("one")
	if told := s.outcomeOf(2); !strings.HasPrefix(told, "returned: ") || !strings.Contains(told, outcome) {
		s.Errorf("it is told %q, not %q", told, outcome)
	}
}

// Every answer of the release is right, so that neither the balancer nor a client notices: only what it counts itself shows it.
func TestAReleaseWhoseOwnCountsAreBadGoesBackByAQuery(t *testing.T) {
	t.Parallel()
	s, l, repository := openLab(t, 2, "rolling")
	prometheus := s.startPrometheus(l)
	traffic := s.asks()
	query := fmt.Sprintf(`query: {prometheus: "http://%s", at_most: 5%%, expr: 'sum(shop_orders_lost_total{release="{{release}}"}) / sum(shop_orders_total{release="{{release}}"})'}`, prometheus)
	s.goesBack(repository, tree{"towpath.yaml": watched(l.file("rolling"), query), "version": "two", "mode": "losing"}, "the query: 0.2")
	l.allRun(s, "r1")
	s.flawless(traffic)
}

// startPrometheus answers the address of one that asks every host for what it counts.
func (s *site) startPrometheus(l *lab) (address string) {
	s.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		s.Fatal("this story needs Prometheus: make packages, or apt-get install --no-install-recommends prometheus")
	}
	var targets []string
	for _, h := range l.hosts {
		targets = append(targets, fmt.Sprintf("%q", net.JoinHostPort(h.IP, l.port)))
	}
	settings := filepath.Join(s.root, "prometheus.yml")
	s.must(os.WriteFile(settings, []byte("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: shop\n  static_configs: [{targets: ["+
		strings.Join(targets, ", ")+"]}]\n"), 0o600))
	address = freeAddress(s)
	command := exec.Command(program, "--config.file="+settings, "--storage.tsdb.path="+filepath.Join(s.root, "prometheus"), "--web.listen-address="+address)
	s.must(command.Start())
	s.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed
	})
	until(s, "Prometheus is ready", func() bool {
		response, err := http.Get("http://" + address + "/-/ready")
		return err == nil && response.Body.Close() == nil && response.StatusCode == http.StatusOK
	})
	return address
}

// The command asks the release, by the environment's address, how many orders it lost.
func TestAReleaseThatItsCommandDoesNotFindWellGoesBack(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	repository := s.newRepository("app", byStrategy("{blue-green: {standby: 10m}}")).watch()
	s.ends(1, "passed")
	traffic := s.asks()
	const command = `command: 'lost=$(curl -fsS "$TOWPATH_URL/lost") || exit 75; echo "$lost orders are lost"; test "$lost" -lt 5'`
	file := byStrategy("{blue-green: {standby: 10m}}")["towpath.yaml"]
	s.goesBack(repository, tree{"towpath.yaml": watched(file, command), "version": "two", "mode": "losing"}, "orders are lost")
	s.flawless(traffic)
}

// Nobody asks but the keeper.
func TestAReleaseThatNobodyAsksGoesBackByTheKeepersOwnRequests(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	repository := s.newRepository("app", byStrategy("{blue-green: {standby: 10m}}")).watch()
	s.ends(1, "passed")
	file := byStrategy("{blue-green: {standby: 10m}}")["towpath.yaml"]
	s.goesBack(repository, tree{"towpath.yaml": watched(file, "errors: 1%, probe: /, minimum: 20"), "version": "two", "mode": "erring"}, "requests failed (limit 1%")
}
