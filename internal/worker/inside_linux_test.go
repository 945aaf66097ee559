package worker_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	dockerclient "github.com/moby/moby/client"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/confine"
	"github.com/towpath-cd/towpath/internal/executor/docker/dockertest"
)

// boxed is a step inside of the tests' image.
func (s *site) boxed(script string) *client.StepLease {
	l := s.step(script)
	l.Inside = &client.Container{Image: dockertest.Image, Pull: "never"}
	return l
}

// boxedPlace is in the tests' image, by a worker at a level.
func boxedPlace(d *dockertest.Daemon, level confine.Level) place {
	p := own(level)
	p.inside = &client.Container{Image: dockertest.Image, Pull: "never"}
	p.isEmpty = func(t *testing.T, s *site) { mustLeaveNothing(t, s, d) }
	return p
}

// ours counts what docker holds of any step of ours.
func ours(t *testing.T, d *dockertest.Daemon) (n int) {
	t.Helper()
	of := dockerclient.Filters{}.Add("label", "io.towpath.mark")
	containers, err := d.ContainerList(t.Context(), dockerclient.ContainerListOptions{All: true, Filters: of})
	if err != nil {
		t.Fatal(err)
	}
	networks, err := d.NetworkList(t.Context(), dockerclient.NetworkListOptions{Filters: of})
	if err != nil {
		t.Fatal(err)
	}
	return len(containers.Items) + len(networks.Items)
}

func mustLeaveNothing(t *testing.T, s *site, d *dockertest.Daemon) {
	t.Helper()
	eventually(t, "everything beside the steps is gone", func() bool {
		left, err := os.ReadDir(filepath.Join(s.data, "beside"))
		return err == nil && len(left) == 0 && ours(t, d) == 0
	})
}

func TestStepsRunInsideOfContainers(t *testing.T) {
	dockertest.Run(t, func(t *testing.T, d *dockertest.Daemon) {
		t.Run("with all that a step has", insideIsAsOutside)
		t.Run("and its secrets as files", insideSeesSecretsAsFiles)
		t.Run("of which a killed worker leaves nothing", func(t *testing.T) { killedLeavesNothing(t, d) })
		if testing.Short() {
			return
		}
		t.Run("and see nothing else of the worker", insideSeesOnlyItsOwn)
		t.Run("and a person has a shell there", func(t *testing.T) { shellIsAsTheScript(t, boxedPlace(d, confine.None)) })
		t.Run("and a person has a shell there as a user of its own", func(t *testing.T) { shellIsAsTheScript(t, boxedPlace(d, confine.Namespaces)) })
		t.Run("and no shell of a killed worker is left", func(t *testing.T) { shellOfTheKilledIsGone(t, boxedPlace(d, confine.None)) })
		t.Run("as users of their own where steps are kept apart", insideAsGuest)
		t.Run("and say why they cannot", insideSaysWhyNot)
		t.Run("and reach what stands beside them", func(t *testing.T) { servicesAreReached(t, d) })
		t.Run("which tells its log when it fails", func(t *testing.T) { servicesTell(t, d) })
	})
}

func insideIsAsOutside(t *testing.T) {
	s := working(t)
	l := s.boxed(`cat greeting; echo $IMAGE $MODE "$TOKEN" $PATH; test "$PWD" = "$TOWPATH_WORKSPACE"; touch ~/kept "$TMPDIR/file"
		echo version=3 >>"$TOWPATH_OUTPUT"; mkdir dist; echo built >dist/file`)
	l.Env, l.Secrets, l.Keeps = map[string]string{"MODE": "fast"}, map[string]string{"TOKEN": "hunter2-forever"}, []string{"dist"}
	report, log := s.result(l)
	if want := "hello from the repository\nbusybox fast *** /usr/local/bin:/bin\n"; log != want || report.State != "passed" {
		t.Errorf("%+v\n%s", report, log)
	}
	if report.Outputs["version"] != "3" || len(report.Artifacts) != 1 || report.Artifacts[0].Files != 1 {
		t.Errorf("%+v", report)
	}
	if report, log := s.result(s.boxed("ls ~; ls; exit 4")); log != "kept\ngreeting\ntowpath: exited with status 4\n" || report.ExitCode != 4 {
		t.Errorf("%+v\n%s", report, log)
	}
	l = s.boxed("sleep 1000")
	l.Timeout = 3
	if report, _ := s.result(l); report.State != "failed" || report.Reason != "timed out after 3s" {
		t.Errorf("%+v", report)
	}
	ref := s.offer(s.boxed("trap 'echo cleaning up; exit 0' TERM; echo ready; while :; do sleep 0.02; done"))
	s.awaitLog(ref, "ready")
	s.stop(ref, "canceled by Ada")
	if report := s.awaitReport(ref); report.State != "canceled" || !strings.HasSuffix(s.logOf(ref), "cleaning up\ntowpath: canceled by Ada\n") {
		t.Errorf("%+v\n%s", report, s.logOf(ref))
	}
}

func insideAsGuest(t *testing.T) {
	s := newSite(t)
	s.start(s.apart(confine.Namespaces))
	l := s.boxed(`id -u; cat greeting; touch mine ~/kept "$TMPDIR/file"; echo version=3 >>"$TOWPATH_OUTPUT"; mkdir dist; echo built >dist/file`)
	l.Keeps = []string{"dist"}
	report, log := s.result(l)
	if !strings.HasPrefix(log, "2000") || !strings.HasSuffix(log, "\nhello from the repository\n") || report.State != "passed" {
		t.Errorf("%+v\n%s", report, log)
	}
	if report.Outputs["version"] != "3" || len(report.Artifacts) != 1 || report.Artifacts[0].Files != 1 {
		t.Errorf("%+v", report)
	}
}

func insideSeesOnlyItsOwn(t *testing.T) {
	s := working(t)
	l := s.boxed("ls " + s.data + "; ls " + s.data + "/work; ip -o link | wc -l")
	l.Network = "none"
	if _, log := s.result(l); log != "homes\nmirrors\nwork\n1\n1\n" {
		t.Error(log)
	}
	for _, folder := range []string{"leases", "access", "beside", "artifacts"} {
		if report, log := s.result(s.boxed("ls " + filepath.Join(s.data, folder))); report.State != "failed" {
			t.Errorf("%s: %+v\n%s", folder, report, log)
		}
	}
	if report, log := s.result(s.boxed("touch " + s.data + "/mirrors/*/objects/file")); report.State != "failed" {
		t.Errorf("%+v\n%s", report, log)
	}
}

func insideSaysWhyNot(t *testing.T) {
	s := working(t)
	l := s.boxed("true")
	l.Inside.Image = "no-such-image:9"
	if report, log := s.result(l); report.State != "failed" ||
		report.Reason != "the image cannot be had: no-such-image:9 is not on this worker, and pull: never forbids to fetch it" {
		t.Errorf("%+v\n%s", report, log)
	}
	l = s.boxed("true")
	l.Shell = "fish"
	if report, _ := s.result(l); report.Reason != "the image "+dockertest.Image+` has no shell "fish"` {
		t.Errorf("%+v", report)
	}
	t.Setenv("DOCKER_HOST", "unix:///no/such/socket")
	s = working(t)
	if report, _ := s.result(s.boxed("true")); !strings.Contains(report.Reason, "this worker has no docker: nothing answers at unix:///no/such/socket; start docker there") {
		t.Errorf("%+v", report)
	}
	if report, log := s.result(s.step("echo on")); report.State != "passed" {
		t.Errorf("a step of the shell is none of docker's business: %+v\n%s", report, log)
	}
}

// web is a service that answers 200 at /ready after a moment, on port 8080.
func web() client.Service {
	return client.Service{
		Name: "web-site", Container: &client.Container{Image: dockertest.Image}, Within: 60,
		Command: `mkdir /tmp/www; (sleep 0.3; echo "$GREETING" >/tmp/www/ready) & exec httpd -f -p 8080 -h /tmp/www`,
		Env:     map[string]string{"GREETING": "hello from beside"}, Ready: client.Ready{HTTP: "8080/ready"},
	}
}

func servicesAreReached(t *testing.T, d *dockertest.Daemon) {
	s := working(t)
	const fetch = `busybox wget -qO- "http://$TOWPATH_SERVICE_WEB_SITE_HOST:$TOWPATH_SERVICE_WEB_SITE_PORT/ready"`
	for name, change := range map[string]func(*client.StepLease){
		"inside": func(l *client.StepLease) { l.Inside = s.boxed("").Inside },
		"inside without a network": func(l *client.StepLease) {
			l.Inside, l.Network = s.boxed("").Inside, "none"
		},
		"by a shell": func(*client.StepLease) {},
		"once a port accepts": func(l *client.StepLease) {
			l.Services[0].Ready = client.Ready{TCP: 8080}
			l.Script = "until " + fetch + "; do sleep 0.1; done"
		},
		"once a command says so": func(l *client.StepLease) {
			l.Services[0].Ready, l.Services[0].Ports = client.Ready{Command: "test -e /tmp/www/ready"}, []int{8080}
		},
		"a command of the machine": func(l *client.StepLease) {
			l.Services[0].Container = nil
			l.Services[0].Command = strings.ReplaceAll(strings.ReplaceAll(web().Command, "/tmp/www", "$TMPDIR/www"), "httpd", "busybox httpd")
		},
	} {
		l := s.step(fetch)
		l.Services = []client.Service{web()}
		change(l)
		if report, log := s.result(l); report.State != "passed" || !strings.HasSuffix(log, "hello from beside\n") {
			t.Errorf("%s: %+v\n%s", name, report, log)
		}
	}
	l := s.boxed("wget -qO- http://web-site:8080/ready")
	l.Services = []client.Service{web()}
	if report, log := s.result(l); report.State != "passed" || log != "hello from beside\n" {
		t.Errorf("by its name: %+v\n%s", report, log)
	}
	mustLeaveNothing(t, s, d)
}

func servicesTell(t *testing.T, d *dockertest.Daemon) {
	s := working(t)
	for _, tt := range []struct{ command, reason, log string }{
		{
			"echo no disk; exit 3", "service web-site: it exited with status 3 before it was ready",
			"web-site | no disk\ntowpath: service web-site: it exited with status 3 before it was ready\n",
		},
		{
			"echo waiting >&2; exec sleep 1000", "service web-site: it was not ready within 4s",
			"web-site | waiting\n",
		},
	} {
		l := s.boxed("echo never")
		service := web()
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
	l := s.boxed("while ping -c 1 -W 1 web-site >/dev/null 2>&1; do sleep 0.1; done; echo it is gone")
	l.Services = []client.Service{web()}
	l.Services[0].Command, l.Services[0].Ready = "echo my last word; sleep 2; exit 9", client.Ready{}
	if report, log := s.result(l); report.State != "passed" ||
		log != "it is gone\ntowpath: service web-site exited with status 9 while the step ran\nweb-site | my last word\n" {
		t.Errorf("%+v\n%s", report, log)
	}
	mustLeaveNothing(t, s, d)
}

func killedLeavesNothing(t *testing.T, d *dockertest.Daemon) {
	s := newSite(t)
	others, err := d.NetworkCreate(t.Context(), "somebody-else", dockerclient.NetworkCreateOptions{
		Labels: map[string]string{"io.towpath.mark": "of another worker"},
	})
	if err != nil {
		t.Fatal(err)
	}
	kill := s.killable()
	l := s.boxed("echo ready; sleep 1000")
	l.Services = []client.Service{web()}
	ref := s.offer(l)
	s.awaitLog(ref, "ready")
	kill()
	if n := ours(t, d); n != 4 {
		t.Errorf("docker holds %d things, want two containers, their network and somebody else's", n)
	}
	s.start(s.options())
	eventually(t, "all but somebody else's is gone", func() bool { return ours(t, d) == 1 })
	if _, err := d.NetworkRemove(t.Context(), others.ID, dockerclient.NetworkRemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	mustLeaveNothing(t, s, d)
}
