//go:build linux

package e2e_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// verb is one start of "towpath exec" on pipes.
type verb struct {
	*site
	command  *exec.Cmd
	out, err printed
	exited   chan struct{}
}

// printed is what a verb has printed so far.
type printed struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (p *printed) Write(b []byte) (int, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.text.Write(b)
}

func (p *printed) String() string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.text.String()
}

// execs starts it, with that input.
func (s *site) execs(input string, args ...string) *verb {
	s.Helper()
	v := &verb{site: s, command: exec.Command(towpath(), append([]string{"exec", "live"}, args...)...), exited: make(chan struct{})}
	v.command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.root, "TOWPATH_SERVER=http://" + s.address, "TOWPATH_TOKEN=" + s.token()}
	v.command.Stdin, v.command.Stdout, v.command.Stderr = strings.NewReader(input), &v.out, &v.err
	s.must(v.command.Start())
	go func() { _ = v.command.Wait(); close(v.exited) }()
	s.Cleanup(func() { _ = v.command.Process.Kill() })
	return v
}

// ends waits for its end, and holds status and output against what is wanted.
func (v *verb) ends(code int, out, err string) {
	v.Helper()
	select {
	case <-v.exited:
	case <-time.After(patience):
		v.Fatalf("it does not end: %q, %q", &v.out, &v.err)
	}
	if status := v.command.ProcessState.ExitCode(); status != code || v.out.String() != out || !strings.Contains(v.err.String(), err) {
		v.Errorf("%q ended with %d and printed %q, %q; want %d, %q, %q", v.command.Args, status, &v.out, &v.err, code, out, err)
	}
}

// began waits until it has printed a text.
func (v *verb) began(text string) {
	v.Helper()
	until(v, text+" is printed", func() bool { return strings.Contains(v.out.String(), text) })
}

// noneIsCalled waits until no process has a word on its command line.
func (s *site) noneIsCalled(word string) {
	s.Helper()
	until(s, "nothing of "+word+" runs any more", func() bool {
		for _, p := range processes() {
			if strings.Contains(p.commandLine, word) && !strings.Contains(p.commandLine, " exec live") {
				return false
			}
		}
		return true
	})
}

// endless is a command that runs until it is ended, with a child that has left its session.
func endless(word string) []string {
	return []string{"--", "sh", "-c", "(setsid sh -c 'while :; do sleep 1; done' " + word + " &); echo begun; while :; do sleep 1; done", word}
}

// isRunBeside is the story of commands in the first release of an environment "live", which has the secret PASSWORD.
func (s *site) isRunBeside() {
	s.Helper()
	s.execs("", "--", "sh", "-c", "echo out of $TOWPATH_RELEASE ${PORT-none}; cat version; echo err >&2; exit 7").ends(7, "out of 1 none\none", "err\n")
	s.execs("select 1\n", "--", "cat").ends(0, "select 1\n", "")
	s.execs("", "--", "sh", "-c", "echo $PASSWORD; echo "+secretValue+" >&2").ends(0, "***\n", "***")
	s.execs("", "--all", "--", "sh", "-c", "exit 3").ends(3, "", "r1-")
	s.execs("", "--instance", "r9-9", "--", "true").ends(1, "", "has no running instance there")
	large := strings.Repeat("0123456789abcdef", 256<<10) // 4 MiB
	s.execs(large, "--", "cat").ends(0, large, "")

	stopped := s.execs("", endless("stopped"+filepath.Base(s.root))...)
	stopped.began("begun\n")
	s.must(stopped.command.Process.Signal(os.Interrupt))
	stopped.ends(143, "begun\n", "was ended by owner")
	s.noneIsCalled("stopped" + filepath.Base(s.root))

	s.holds("hold-exec")
	through := s.execs("", "--", "sh", "-c", "echo begun; while test -e "+s.root+"/hold-exec; do sleep 0.1; done; echo done; exit 5")
	through.began("begun\n")
	s.crashServer("--no-worker")
	s.letsGo("hold-exec")
	through.ends(5, "begun\ndone\n", "")

	orphan := s.execs("", endless("orphan"+filepath.Base(s.root))...)
	orphan.began("begun\n")
	s.worker.kill()
	s.noneIsCalled("orphan" + filepath.Base(s.root))
	s.startWorker()
	orphan.ends(1, "begun\n", "its keeper is gone")

	s.tellsOfCommands()
}

// tellsOfCommands looks what is recorded, and that no secret is.
func (s *site) tellsOfCommands() {
	s.Helper()
	errands, err := s.api.Errands(s.Context(), "app/live")
	s.must(err)
	var told []string
	for _, e := range errands {
		told = append(told, e.State+" "+e.Outcome)
		if strings.Contains(strings.Join(e.Command, " "), secretValue) {
			s.Errorf("a secret is told: %q", e.Command)
		}
	}
	for _, want := range []string{"ended exited with status 7", "ended was ended by owner", "ended its keeper is gone, and the command ends with it"} {
		if !strings.Contains(strings.Join(told, "\n"), want) {
			s.Errorf("%q is not among %q", want, told)
		}
	}
	audit, err := s.api.Audit(s.Context())
	s.must(err)
	began, ended := 0, 0
	for _, entry := range audit {
		switch entry.Action {
		case "exec":
			began++
		case "exec.end":
			ended++
		}
		if strings.Contains(entry.Detail, secretValue) {
			s.Errorf("the audit tells a secret: %+v", entry)
		}
	}
	if began != len(errands) || ended != began {
		s.Errorf("of %d commands the audit has %d begun and %d ended", len(errands), began, ended)
	}
}

func TestACommandIsRunBesideALiveRelease(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.startServer("--no-worker")
	s.startProxy()
	s.startWorker()
	repository := s.withSecrets(client.Secret{Name: "PASSWORD", Value: secretValue, Environments: []string{"live"}})
	repository.push(short.with(tree{"towpath.yaml": strings.Replace(short["towpath.yaml"], "    balancer:", "    secrets: [PASSWORD]\n    balancer:", 1)}))
	s.ends(1, "passed")
	s.isRunBeside()

	ada := s.sits("exec", "live", "--", "sh", "-c", "stty size; read -r line; echo read $line; exit 6")
	ada.sees("33 77\r\n")
	ada.types("a line\n")
	ada.sees("read a line\r\n")
	ada.exits(6)
	s.worker.stop()
	s.environment("live", "kept by nobody", func(e client.Environment) bool { return e.Keeper == "" })
	s.execs("", "--", "true").ends(1, "", "nobody keeps app/live since")
}

func TestACommandIsRunOnAHost(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	l := newLab(s, 2)
	s.startServer("--no-worker")
	s.startProxy()
	s.startWorker()
	repository := s.withSecrets(client.Secret{Name: "PASSWORD", Value: secretValue, Environments: []string{"live"}})
	repository.push(onHosts.with(tree{"towpath.yaml": strings.Replace(l.file("rolling"), "    balancer:", "    secrets: [PASSWORD]\n    balancer:", 1)}))
	s.ends(1, "passed")
	s.isRunBeside()
	for _, h := range l.hosts {
		s.execs("", "--host", h.IP, "--", "sh", "-c", `cat "$TOWPATH_PATH/ip"`).ends(0, h.IP, "")
	}
}
