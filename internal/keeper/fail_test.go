//go:build unix

package keeper_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/process"
)

func TestAFirstDeploymentThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	d := blueGreen()
	d.Health.Within = 3 * time.Second
	s := newSite(t, d)
	s.keeps()
	ended := s.ends(s.deploy(s.release("sick of it")), towpath.DeploymentReturned)
	for _, told := range []string{"503", "I am sick of it", "serving", "kind regards"} {
		if !strings.Contains(ended.Outcome, told) {
			t.Errorf("the reason does not tell %q: %s", told, ended.Outcome)
		}
	}
	if left := s.standing(); len(left) > 0 {
		t.Errorf("%q was left", left)
	}
}

func TestAReleaseThatFailsItsProbeGoesAndTheLiveOneServesOn(t *testing.T) {
	t.Parallel()
	d := blueGreen()
	d.Health.Within = 3 * time.Second
	s := newSite(t, d)
	s.keeps()
	s.goes(s.release("one"))
	load := s.load(4)
	s.ends(s.deploy(s.release("sick")), towpath.DeploymentReturned)
	load.mustBeFlawless(t)
	until(t, "only the live release is left", func() bool { return len(s.standing()) == 2 })
	if e, _ := s.now(); e.Goal != e.Live || e.Live.Number != 1 || len(e.Failed) != 1 {
		t.Errorf("%+v", e)
	}
}

func TestARollbackDoesNotWaitForAProbe(t *testing.T) {
	t.Parallel()
	d := blueGreen()
	d.Health.Within = time.Hour
	s := newSite(t, d)
	s.keeps()
	s.goes(s.release("one"))
	id := s.deploy(s.release("sick"))
	s.hears("probe")
	began := time.Now()
	s.rollback()
	s.ends(id, towpath.DeploymentReturned)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestAStandbyThatHasJustDiedIsGivenNoTraffic(t *testing.T) {
	t.Parallel()
	s := newSite(t, blueGreen())
	s.keeps()
	one := s.release("one")
	s.goes(one)
	s.goes(s.release("two"))
	before := s.serving(one)
	load := s.load(4)
	if err := syscall.Kill(before.State.Child.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "it is dead", func() bool { return !process.Alive(before.State.Child) })
	s.ends(s.rollback(), towpath.DeploymentLive)
	load.mustBeFlawless(t)
	if said := s.says(); said != "one" {
		t.Errorf("the proxy's answer is %q", said)
	}
}

func TestAnInstanceThatIsKilledServesAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, blueGreen())
	s.keeps()
	one := s.release("one")
	s.goes(one)
	before := s.serving(one)
	if err := syscall.Kill(before.State.Child.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "another process serves", func() bool {
		now := s.serving(one)
		return now.Alive && now.State.Child != before.State.Child && s.says() == "one"
	})
}

func TestASupervisorThatIsKilledIsReplacedAndTheInstanceRunsOn(t *testing.T) {
	t.Parallel()
	s := newSite(t, blueGreen())
	s.keeps()
	one := s.release("one")
	s.goes(one)
	before := s.serving(one)
	if err := syscall.Kill(before.State.Supervisor.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "another supervisor lives", func() bool {
		now := s.serving(one)
		return now.Supervised && now.State.Supervisor != before.State.Supervisor
	})
	if now := s.serving(one); now.State.Child != before.State.Child {
		t.Error("the instance is another process")
	}
}

func TestAnInstanceThatStaysIllIsReplaced(t *testing.T) {
	t.Parallel()
	d := blueGreen()
	d.Health.Within = 3 * time.Second
	s := newSite(t, d)
	s.keeps()
	one := s.release("one")
	s.goes(one)
	before := s.serving(one)
	if err := os.WriteFile(filepath.Join(before.Spec.Dir, "sickness"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "only another instance stands", func() bool {
		left := s.standing()
		return len(left) == 2 && left[0] != "files/"+before.Spec.Instance
	})
	if said := s.says(); said != "one" {
		t.Errorf("the proxy's answer is %q", said)
	}
}

func TestAPortThatSomebodyElseHoldsIsReportedWithItsHolder(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	d := blueGreen()
	d.Strategy.Kind, d.Minimum = towpath.StrategyAllAtOnce, 0
	d.Target.Process.Port = listener.Addr().(*net.TCPAddr).Port
	s := newSite(t, d)
	s.keeps()
	ended := s.ends(s.deploy(s.release("one")), towpath.DeploymentReturned)
	if !strings.Contains(ended.Outcome, strconv.Itoa(os.Getpid())) {
		t.Errorf("the holder %d is not told: %s", os.Getpid(), ended.Outcome)
	}
}

func TestAllAtOnceReplacesWhatHoldsTheFixedPort(t *testing.T) {
	t.Parallel()
	d := blueGreen()
	d.Strategy.Kind, d.Minimum = towpath.StrategyAllAtOnce, 0
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.Target.Process.Port = listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	s := newSite(t, d)
	s.keeps()
	s.goes(s.release("one"))
	two := s.release("two")
	s.goes(two)
	if _, port, _ := net.SplitHostPort(s.serving(two).Spec.Address); port != strconv.Itoa(d.Target.Process.Port) {
		t.Errorf("it listens on %s", port)
	}
}

func TestTheStrategysTestDecidesBeforeTheSwitch(t *testing.T) {
	t.Parallel()
	d := blueGreen()
	d.Strategy.Test = `"$APP" ask "$TOWPATH_URL" | tee /dev/stderr | grep -q good`
	s := newSite(t, d)
	s.keeps()
	s.goes(s.release("good one"))
	ended := s.ends(s.deploy(s.release("bad one")), towpath.DeploymentReturned)
	if !strings.Contains(ended.Outcome, "bad one") {
		t.Errorf("the test's last words are not told: %s", ended.Outcome)
	}
	if said := s.says(); said != "good one" {
		t.Errorf("the proxy's answer is %q", said)
	}
}

func TestWithoutAProxyADeploymentFailsAndSaysWhatIsMissing(t *testing.T) {
	if testing.Short() {
		return // the proxy is waited for as long as a restart of it may take, some 40 s
	}
	t.Parallel()
	s := newSite(t, blueGreen())
	s.ProxyDir += "-that-nobody-started"
	s.keeps()
	ended := s.ends(s.deploy(s.release("one")), towpath.DeploymentHalted)
	if !strings.Contains(ended.Outcome, "towpath proxy") {
		t.Error(ended.Outcome)
	}
}
