//go:build linux

package e2e_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/ssh/sshtest"
)

// onHosts deploys at once, to hosts behind the proxy. Its scripts do what a service manager would.
var onHosts = tree{
	"towpath.yaml": `
pipeline: app
steps:
  - build: app
    run: mkdir dist && cp APP version mode dist/
    artifacts: dist/
  - deploy: live
environments:
  live:
    target:
      hosts:
        addresses: [ADDRESSES]
        path: PATH
        port: PORT
        keep: 2
        stop: |
          if [ -f "$TOWPATH_PATH/pid" ]; then
            kill "$(cat "$TOWPATH_PATH/pid")" 2>/dev/null || true
            while kill -0 "$(cat "$TOWPATH_PATH/pid")" 2>/dev/null; do sleep 0.02; done
            rm "$TOWPATH_PATH/pid"
          fi
        restart: |
          HOST=$(cat "$TOWPATH_PATH/ip"); export HOST
          setsid ./app </dev/null >/dev/null 2>&1 &
          echo $! >"$TOWPATH_PATH/pid"
    strategy: STRATEGY
    balancer: {proxy: {host: "*"}}
    health: {http: /healthz, release: /release, interval: 50ms, within: 20s}
    drain: 2s
`,
	"version": "one",
	"mode":    "well",
}

// lab is hosts for one story, and where the application is on them.
type lab struct {
	*sshtest.Lab
	hosts []*sshtest.Host
	path  string
	port  string
}

func newLab(s *site, count int) *lab {
	s.Helper()
	l := &lab{Lab: sshtest.New(s)}
	l.path = filepath.Join(l.Root, "app")
	_, l.port, _ = net.SplitHostPort(freeAddress(s))
	for range count {
		h := l.Host(sshtest.Setting{})
		l.hosts = append(l.hosts, h)
		s.must(os.MkdirAll(filepath.Join(h.Disk(), "app"), 0o755))
		s.must(os.WriteFile(filepath.Join(h.Disk(), "app", "ip"), []byte(h.IP), 0o600))
	}
	s.environ = append(s.environ, "HOME="+l.Home, "SSH_AUTH_SOCK=")
	return l
}

// file is the pipeline file for these hosts.
func (l *lab) file(strategy string) string {
	var addresses []string
	for _, h := range l.hosts {
		addresses = append(addresses, fmt.Sprintf("%q", "root@"+h.Address()))
	}
	return strings.NewReplacer(
		"[ADDRESSES]", "["+strings.Join(addresses, ", ")+"]", "path: PATH", "path: "+l.path, "port: PORT", "port: "+l.port,
		"strategy: STRATEGY", "strategy: "+strategy,
	).Replace(onHosts["towpath.yaml"])
}

// runs answers which release's files each host's link leads to.
func (l *lab) runs(s *site) (links []string) {
	for _, h := range l.hosts {
		link, err := os.Readlink(filepath.Join(h.Disk(), "app", "current"))
		s.must(err)
		release, _, _ := strings.Cut(filepath.Base(link), "-")
		links = append(links, release)
	}
	return links
}

func (l *lab) allRun(s *site, release string) {
	s.Helper()
	for n, ran := range l.runs(s) {
		if ran != release {
			s.Errorf("host %d runs %s, not %s", n+1, ran, release)
		}
	}
}

func openLab(t *testing.T, count int, strategy string) (*site, *lab, *repository) {
	t.Helper()
	s := newSite(t)
	l := newLab(s, count)
	s.startServer("--no-worker")
	s.startProxy()
	s.startWorker()
	return s, l, l.deploysFirst(s, strategy)
}

// deploysFirst brings up the first release behind the proxy.
func (l *lab) deploysFirst(s *site, strategy string) *repository {
	s.Helper()
	repository := s.newRepository("app", onHosts.with(tree{"towpath.yaml": l.file(strategy)})).watch()
	s.ends(1, "passed")
	s.serves("one")
	l.allRun(s, "r1")
	return repository
}

func TestReleasesRollOverHostsAndBackUnderLoad(t *testing.T) {
	t.Parallel()
	s, l, repository := openLab(t, 3, "rolling")
	traffic := s.asks()

	repository.push(tree{"version": "two"})
	s.ends(2, "passed")
	s.serves("two")
	l.allRun(s, "r2")

	_, err := s.api.Rollback(s.Context(), "app/live", "the cart is empty")
	s.must(err)
	s.environment("live", "back on release 1", isLive(1))
	l.allRun(s, "r1")
	s.flawless(traffic)
}

func TestAReleaseThatIsSickOnHostsIsBroughtBackWithoutAFailure(t *testing.T) {
	t.Parallel()
	s, l, repository := openLab(t, 3, "rolling")
	traffic := s.asks()
	repository.push(tree{"version": "two", "mode": "sick"})
	s.ends(2, "failed")
	s.environment("live", "on release 1 alone", isLive(1))
	l.allRun(s, "r1")
	s.serves("one")
	s.flawless(traffic)
}

func TestAHostThatIsGoneIsLeftOutWhereTheOthersAreEnough(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		strategy, ends string
		release        int
	}{
		"enough":     {"all-at-once", "passed", 2},
		"not enough": {"rolling", "failed", 1}, // with a batch of one, one of two has to serve
	} {
		t.Run(name, func(t *testing.T) {
			s, l, repository := openLab(t, 2, tt.strategy)
			l.hosts[1].PowerOff()
			repository.push(tree{"version": "two"})
			s.ends(2, tt.ends)
			s.environment("live", fmt.Sprintf("on release %d", tt.release), isLive(tt.release))
			l.hosts[1].Reboot()
			s.environment("live", "on two hosts again", func(e client.Environment) bool {
				serving := 0
				for _, i := range e.Instances {
					if i.Release != tt.release && i.Weight > 0 {
						t.Errorf("release %d takes traffic: %+v", i.Release, i)
					}
					if i.Release == tt.release && i.Health == "passing" && i.Weight > 0 {
						serving++
					}
				}
				return serving == 2 && e.Deployment == nil
			})
			l.allRun(s, fmt.Sprintf("r%d", tt.release))
		})
	}
}
