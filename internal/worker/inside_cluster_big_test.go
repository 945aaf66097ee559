//go:build big && linux

package worker_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/executor/kubernetes"
	"github.com/towpath-cd/towpath/internal/executor/kubernetes/clustertest"
	"github.com/towpath-cd/towpath/internal/worker"
)

// account makes the account of the documentation, and answers its kubeconfig: what it may not do, no worker needs.
func account(t *testing.T, c *clustertest.Cluster) string {
	t.Helper()
	manifest, err := os.ReadFile("../../examples/kubernetes/worker-account.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c.Apply(t, string(manifest))
	return c.As(t, "towpath-worker")
}

// inCluster is a site whose worker runs steps in pods.
func inCluster(t *testing.T, kubeconfig string) *site {
	t.Helper()
	s := newSite(t)
	cluster, err := kubernetes.Open(kubernetes.Settings{Kubeconfig: kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	options := s.options()
	options.Kubernetes, options.Name = cluster, "barge 1"
	s.start(options)
	return s
}

// poddedPlace is in pods of the tests' image.
func poddedPlace(c *clustertest.Cluster, kubeconfig string) place {
	return place{
		options: func(s *site) worker.Options {
			cluster, err := kubernetes.Open(kubernetes.Settings{Kubeconfig: kubeconfig})
			if err != nil {
				s.t.Fatal(err)
			}
			o := s.options()
			o.Kubernetes = cluster
			return o
		},
		inside: &client.Container{Image: clustertest.Image, Pull: "never"}, killable: []string{"TOWPATH_TEST_KUBECONFIG=" + kubeconfig},
		isEmpty: func(t *testing.T, s *site) { mustLeaveNoPods(t, s, c) },
	}
}

func (s *site) podded(script string) *client.StepLease {
	l := s.step(script)
	l.Inside, l.Timeout = &client.Container{Image: clustertest.Image, Pull: "never"}, 300
	return l
}

func TestStepsRunInACluster(t *testing.T) {
	clustertest.Run(t, func(t *testing.T, c *clustertest.Cluster) {
		kubeconfig := account(t, c)
		t.Run("with all that a step has", func(t *testing.T) { podIsAsOutside(t, c, kubeconfig) })
		t.Run("and keep what is below HOME for later ones", func(t *testing.T) { podKeepsCaches(t, kubeconfig) })
		t.Run("and say why they cannot", func(t *testing.T) { podSaysWhyNot(t, kubeconfig) })
		t.Run("and reach what stands beside them", func(t *testing.T) { podServicesAreReached(t, c, kubeconfig) })
		t.Run("which tells its log when it fails", func(t *testing.T) { podServicesTell(t, kubeconfig) })
		t.Run("and a person has a shell there", func(t *testing.T) { shellIsAsTheScript(t, poddedPlace(c, kubeconfig)) })
		t.Run("and no shell of a killed worker is left", func(t *testing.T) { shellOfTheKilledIsGone(t, poddedPlace(c, kubeconfig)) })
		t.Run("of which a killed worker leaves nothing", func(t *testing.T) { killedLeavesNoPods(t, c, kubeconfig) })
	})
}

func mustLeaveNoPods(t *testing.T, s *site, c *clustertest.Cluster) {
	t.Helper()
	eventually(t, "everything in the cluster is gone", func() bool {
		left, err := os.ReadDir(filepath.Join(s.data, "beside"))
		return err == nil && len(left) == 0 && len(c.Ours(t)) == 0
	})
}

func podIsAsOutside(t *testing.T, c *clustertest.Cluster, kubeconfig string) {
	s := inCluster(t, kubeconfig)
	l := s.podded(`cat greeting; echo $IMAGE $MODE "$TOKEN" $PATH; test "$PWD" = "$TOWPATH_WORKSPACE"; touch "$TMPDIR/file"; ls -A ~
		rm greeting; ls -d .git; echo version=3 >>"$TOWPATH_OUTPUT"; mkdir dist; echo built >dist/file; cat .git/objects/info/alternates | xargs ls | grep -c pack`)
	l.Env, l.Secrets, l.Keeps = map[string]string{"MODE": "fast"}, map[string]string{"TOKEN": "hunter2-forever"}, []string{"dist"}
	report, log := s.result(l)
	if want := "hello from the repository\nbusybox fast *** /usr/local/bin:/bin\n.git\n1\n"; log != want || report.State != "passed" {
		t.Errorf("%+v\n%s", report, log)
	}
	if report.Outputs["version"] != "3" || len(report.Artifacts) != 1 || report.Artifacts[0].Files != 1 {
		t.Errorf("%+v", report)
	}
	if report, log := s.result(s.podded("ls ~; ls; exit 4")); log != "greeting\ntowpath: exited with status 4\n" || report.ExitCode != 4 {
		t.Errorf("%+v\n%s", report, log)
	}
	ref := s.offer(s.podded("trap 'echo cleaning up; exit 0' TERM; echo ready; while :; do sleep 0.02; done"))
	s.awaitLog(ref, "ready")
	s.stop(ref, "canceled by Ada")
	if report := s.awaitReport(ref); report.State != "canceled" || !strings.HasSuffix(s.logOf(ref), "cleaning up\ntowpath: canceled by Ada\n") {
		t.Errorf("%+v\n%s", report, s.logOf(ref))
	}
	mustLeaveNoPods(t, s, c)
}

func podKeepsCaches(t *testing.T, kubeconfig string) {
	s := inCluster(t, kubeconfig)
	things := client.Cache{Key: "things", Paths: []string{"~/.cache/things"}}
	if log := s.cached(s.podded(`mkdir -p ~/.cache/things; echo kept >~/.cache/things/one; echo not >~/other`), things); !strings.Contains(log, "cache things: kept") {
		t.Error(log)
	}
	if log := s.cached(s.podded(`cat ~/.cache/things/one; ls -A ~`), things); !strings.Contains(log, "\nkept\n.cache\n") {
		t.Error(log)
	}
}

func podSaysWhyNot(t *testing.T, kubeconfig string) {
	s := inCluster(t, kubeconfig)
	for reason, change := range map[string]func(*client.StepLease){
		"the image cannot be had: no-such-image:9 is not on the pod's node, and pull: never forbids to fetch it": func(l *client.StepLease) { l.Inside.Image = "no-such-image:9" },
		"the image " + clustertest.Image + ` has no shell "fish"`:                                                func(l *client.StepLease) { l.Shell = "fish" },
		"steps in Kubernetes cannot have this: network: none":                                                    func(l *client.StepLease) { l.Network = "none" },
		"steps in Kubernetes cannot have this: inside: {processes: 20}":                                          func(l *client.StepLease) { l.Inside.Processes = 20 },
		"steps in Kubernetes cannot have this: service db: a command": func(l *client.StepLease) {
			l.Services = []client.Service{{Name: "db", Command: "sleep 1", Within: 5}}
		},
		"the image cannot be had: " + clustertest.Image + ": its credentials: neither user:password nor JSON": func(l *client.StepLease) { l.Inside.Credentials = "nonsense" },
		"timed out after 4s": func(l *client.StepLease) { l.Script, l.Timeout = "sleep 1000", 4 },
	} {
		l := s.podded("true")
		change(l)
		if report, log := s.result(l); report.State != "failed" || !strings.HasPrefix(report.Reason, reason) {
			t.Errorf("%s: %+v\n%s", reason, report, log)
		}
	}
	l := s.podded(`x=$(head -c 200000000 /dev/zero | tr '\0' x)`)
	l.Inside.Memory, l.Inside.CPUs = 64e6, 0.5
	if report, log := s.result(l); !strings.HasSuffix(report.Reason, "a process was killed: memory limit 64 MB reached") {
		t.Errorf("%+v\n%s", report, log)
	}
	if report, log := s.result(s.step("echo on")); report.State != "passed" {
		t.Errorf("a step of the shell is none of the cluster's business: %+v\n%s", report, log)
	}
}

// podWeb is web in a pod.
func podWeb() client.Service {
	w := web()
	w.Container.Image = clustertest.Image
	return w
}

func podServicesAreReached(t *testing.T, c *clustertest.Cluster, kubeconfig string) {
	s := inCluster(t, kubeconfig)
	const fetch = `busybox wget -qO- "http://$TOWPATH_SERVICE_WEB_SITE_HOST:$TOWPATH_SERVICE_WEB_SITE_PORT/ready"`
	for name, change := range map[string]func(*client.StepLease){
		"once it answers": func(*client.StepLease) {},
		"once a port accepts": func(l *client.StepLease) {
			l.Services[0].Ready = client.Ready{TCP: 8080}
			l.Script = "until " + fetch + "; do sleep 0.1; done"
		},
		"once a command says so": func(l *client.StepLease) {
			l.Services[0].Ready, l.Services[0].Ports = client.Ready{Command: "test -e /tmp/www/ready"}, []int{8080}
		},
		"by the one that comes after it": func(l *client.StepLease) {
			next := podWeb()
			next.Name, next.Command = "next", "mkdir /tmp/www; wget -qO/tmp/www/ready http://web-site:8080/ready; exec httpd -f -p 8080 -h /tmp/www"
			l.Services, l.Script = append(l.Services, next), "wget -qO- http://next:8080/ready"
		},
	} {
		l := s.podded(fetch)
		l.Services = []client.Service{podWeb()}
		change(l)
		if report, log := s.result(l); report.State != "passed" || !strings.HasSuffix(log, "hello from beside\n") {
			t.Errorf("%s: %+v\n%s", name, report, log)
		}
	}
	mustLeaveNoPods(t, s, c)
}

func podServicesTell(t *testing.T, kubeconfig string) {
	s := inCluster(t, kubeconfig)
	for _, tt := range []struct{ command, reason, log string }{
		{
			"echo no disk; exit 3", "service web-site: it exited with status 3 before it was ready",
			"web-site | no disk\ntowpath: service web-site: it exited with status 3 before it was ready\n",
		},
		{
			"echo waiting >&2; exec sleep 1000", "service web-site: it was not ready within 4s: not ready: Readiness probe failed: Get ",
			"web-site | waiting\n",
		},
	} {
		l := s.podded("echo never")
		service := podWeb()
		service.Command = tt.command
		if strings.Contains(tt.reason, "within") {
			service.Within = 4
		}
		l.Services = []client.Service{service}
		report, log := s.result(l)
		if report.State != "failed" || !strings.HasPrefix(report.Reason, tt.reason) || !strings.Contains(log, tt.log) {
			t.Errorf("%s: %+v\n%s", tt.command, report, log)
		}
	}
}

func killedLeavesNoPods(t *testing.T, c *clustertest.Cluster, kubeconfig string) {
	s := newSite(t)
	c.Apply(t, `apiVersion: v1
kind: Pod
metadata: {name: somebody-else, labels: {io.towpath.mark: of-another-worker}}
spec: {containers: [{name: one, image: "`+clustertest.Image+`", command: [sleep, "1000"]}]}`)
	kill := s.killable("TOWPATH_TEST_KUBECONFIG=" + kubeconfig)
	l := s.podded("echo ready; sleep 1000")
	l.Services = []client.Service{podWeb()}
	ref := s.offer(l)
	s.awaitLog(ref, "ready")
	kill()
	if left := c.Ours(t); len(left) != 5 {
		t.Errorf("the cluster holds %q, want a job, two pods, their secret and somebody else's pod", left)
	}
	cluster, err := kubernetes.Open(kubernetes.Settings{Kubeconfig: kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	options := s.options()
	options.Kubernetes = cluster
	s.start(options)
	eventually(t, "all but somebody else's is gone", func() bool {
		left := c.Ours(t)
		return len(left) == 1 && left[0] == "pod somebody-else"
	})
}
