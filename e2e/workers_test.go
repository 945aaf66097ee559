//go:build linux

package e2e_test

import (
	"crypto/rand"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/towpath-cd/towpath/client"
)

// wire is a connection to the server that breaks: each is reset after so many bytes, in whichever direction they went. Every
// next one lasts a little longer, so that whatever does not go on where it was is noticed by how often it breaks.
type wire struct {
	net.Listener
	to     string
	bytes  int64
	breaks atomic.Int64
	ended  sync.WaitGroup
}

func newWire(t testing.TB, to string, bytes int64) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: listener, to: to, bytes: bytes}
	w.ended.Go(w.serve)
	t.Cleanup(func() { _ = w.Close(); w.ended.Wait() })
	return w
}

func (w *wire) serve() {
	for {
		from, err := w.Accept()
		if err != nil {
			return
		}
		go w.carry(from.(*net.TCPConn))
	}
}

// carry moves bytes both ways until one side ends, or the wire breaks.
func (w *wire) carry(from *net.TCPConn) {
	defer from.Close()
	there, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer there.Close()
	to := there.(*net.TCPConn)
	left := atomic.Int64{}
	left.Store(w.bytes + w.breaks.Load()*1024)
	ended := make(chan struct{}, 2)
	move := func(into, out *net.TCPConn) {
		defer func() { ended <- struct{}{} }()
		buffer := make([]byte, 4096)
		for {
			n, err := out.Read(buffer)
			if left.Add(int64(-n)) < 0 {
				w.breaks.Add(1)
				_, _ = from.SetLinger(0), to.SetLinger(0) // a reset, not an orderly end
				return
			}
			if _, errWrite := into.Write(buffer[:n]); err != nil || errWrite != nil {
				return
			}
		}
	}
	go move(to, from)
	go move(from, to)
	<-ended
	_, _ = from.Close(), to.Close()
	<-ended
}

// TestAConnectionThatBreaksLosesAndDoublesNothing has a worker reach its server over a wire that breaks all the time.
func TestAConnectionThatBreaksLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.startServer("--no-worker")
	wire := newWire(t, s.address, 150_000)
	made, err := s.api.NewWorkerToken(t.Context())
	s.must(err)
	s.start("worker", "worker", "--server", "http://"+wire.Addr().String(), "--data", s.workerData(),
		"--proxy-data", s.proxyData(), "--name", "far", "--token", made.Token).awaits("connected to")
	s.newRepository("app", tree{"towpath.yaml": `
pipeline: app
steps:
  - build: files
    run: |
      mkdir out
      for n in $(seq 6); do head -c 8000 /dev/urandom > out/$n; done
      seq 100000
      (cd out && cat $(ls | sort)) | sha256sum | cut -d' ' -f1
    artifacts: out/
  - test: same
    needs: [files]
    uses: [files]
    run: (cd out && cat $(ls | sort)) | sha256sum | cut -d' ' -f1
`}).watch()
	run := s.ends(1, "passed")
	lines := strings.Split(strings.TrimSpace(s.log(1, "files", 0)), "\n")
	sum := lines[len(lines)-1]
	if want := numbered(100_000); !slices.Equal(lines[:len(lines)-1], want) {
		t.Errorf("the log has %d lines, want %d, each once and in order", len(lines)-1, len(want))
	}
	if got := strings.TrimSpace(s.log(1, "same", 0)); got != sum {
		t.Errorf("the next step found %s, kept was %s", got, sum)
	}
	for _, step := range run.Steps {
		if step.Attempt != 1 {
			t.Errorf("%s took %d attempts", step.Name, step.Attempt)
		}
	}
	if n := wire.breaks.Load(); n < 4 {
		t.Errorf("the wire broke %d times only", n)
	}
}

func numbered(most int) (lines []string) {
	for n := range most {
		lines = append(lines, fmt.Sprint(n+1))
	}
	return lines
}

// TestAnArtifactOfAnotherPlatformIsRefusedAndNothingIsTouched has a worker of another architecture, as far as the server is
// told: it speaks the workers' API by hand, because there is no such machine here.
func TestAnArtifactOfAnotherPlatformIsRefusedAndNothingIsTouched(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	s.newRepository("app", short.with(tree{"towpath.yaml": strings.Replace(
		short["towpath.yaml"], "  - build: app\n", "  - build: app\n    worker: {labels: [here]}\n", 1)})).watch()
	workers, err := s.api.Workers(t.Context())
	s.must(err)
	label := func(change client.Labeling) {
		t.Helper()
		_, err := s.api.LabelWorker(t.Context(), workers[0].ID, change)
		s.must(err)
	}
	label(client.Labeling{Add: []string{"here"}})
	built := stepOf(s.ends(1, "passed"), "app").Artifacts
	label(client.Labeling{Remove: []string{"here"}})

	made, err := s.api.NewWorkerToken(t.Context())
	s.must(err)
	registered, err := s.as("").Register(t.Context(), client.Registration{
		Token: made.Token, Machine: uuid.NewString(), Name: "arm", OS: "linux", Arch: "arm64", Labels: []string{"here"}, Slots: 1, Version: "test",
	})
	s.must(err)
	arm := s.as(registered.Key)
	_, err = s.api.StartRun(t.Context(), "app", client.StartRun{})
	s.must(err)
	lease, err := arm.Lease(t.Context(), "test", rand.Text())
	s.must(err)
	if lease == nil || lease.Step != "app" {
		t.Fatalf("it was given %+v", lease)
	}
	built[0].Platform = "linux/arm64"
	s.must(arm.Finish(t.Context(), lease.LeaseRef, client.StepReport{State: "passed", Artifacts: built}))
	step := stepOf(s.ends(2, "failed"), "live")
	if !strings.Contains(step.Reason, "linux/arm64") || !strings.Contains(step.Reason, "linux/amd64") {
		t.Errorf("it failed as %q", step.Reason)
	}
	environment := s.environment("live", "release 1 serves alone", isLive(1))
	if len(environment.Instances) != 1 || environment.Instances[0].Release != 1 {
		t.Errorf("what stands is %+v", environment.Instances)
	}
}
