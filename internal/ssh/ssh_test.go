//go:build linux

package ssh_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/ssh"
	"github.com/towpath-cd/towpath/internal/ssh/sshtest"
)

// network is one of the lab's user, without the machine's own settings.
func network(t testing.TB, l *sshtest.Lab) *ssh.Network {
	t.Helper()
	n := ssh.New(ssh.Options{Home: l.Home, Login: me(t)})
	t.Cleanup(func() { n.Close() })
	return n
}

// me is who runs the test, and who may log in.
func me(t testing.TB) string {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return me.Username
}

func host(n *ssh.Network, h *sshtest.Host) *ssh.Host { return n.Host(h.IP, "", h.Port) }

// says runs a script that has to pass, and answers what it printed.
func says(t testing.TB, h *ssh.Host, c ssh.Command) string {
	t.Helper()
	r, err := h.Run(t.Context(), c)
	if err != nil || r.Status != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	return strings.TrimSuffix(r.Output, "\n")
}

// fails runs a script on a host that cannot be reached, and answers why. It is of the kind that is given.
func fails(t testing.TB, h *ssh.Host, kind error) string {
	t.Helper()
	_, err := h.Run(t.Context(), ssh.Command{Script: "true"})
	if !errors.Is(err, kind) {
		t.Fatalf("%v is not of the kind %v", err, kind)
	}
	return err.Error()
}

func tells(t testing.TB, said string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(said, part) {
			t.Errorf("%q does not tell %q", said, part)
		}
	}
}

func TestAScriptGetsItsDataAndNobodySeesThem(t *testing.T) {
	lab := sshtest.New(t)
	h := host(network(t, lab), lab.Host(sshtest.Setting{}))
	hard := "it's $HOME `id` \\ \"quoted\"\n#two lines\n"
	said := says(t, h, ssh.Command{
		Script: "# a comment\nprintf '%s|' \"$HARD\"; cat; tr '\\0' ' ' </proc/$$/cmdline",
		Env:    map[string]string{"HARD": hard}, Input: strings.NewReader("from input\n"),
	})
	tells(t, said, hard+"|from input\n")
	if _, seen, _ := strings.Cut(said, "from input"); strings.Contains(seen, "quoted") || strings.Contains(seen, "comment") {
		t.Errorf("the list of processes has %q", seen)
	}
	r, err := h.Run(t.Context(), ssh.Command{Script: "echo worse >&2; exit 3"})
	if err != nil || r.Status != 3 || r.Said != "worse\n" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := h.Run(t.Context(), ssh.Command{Script: "kill -KILL $$"}); err != nil || r.Status != -1 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := h.Run(t.Context(), ssh.Command{Script: "true", Env: map[string]string{"a b": ""}}); err == nil {
		t.Error("a name that sh does not take was sent")
	}
}

func TestAHostThatTakesFewScriptsAtOnceIsAskedAgain(t *testing.T) {
	lab := sshtest.New(t)
	h := host(network(t, lab), lab.Host(sshtest.Setting{SSHD: "MaxSessions 1"}))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if said := says(t, h, ssh.Command{Script: "echo here"}); said != "here" {
				t.Errorf("%q", said)
			}
		})
	}
	all.Wait()
}

func TestManyScriptsShareOneConnection(t *testing.T) {
	lab := sshtest.New(t)
	machine := lab.Host(sshtest.Setting{})
	h := host(network(t, lab), machine)
	var all sync.WaitGroup
	for n := range 30 {
		all.Go(func() {
			if said := says(t, h, ssh.Command{Script: `echo "$N"`, Env: map[string]string{"N": fmt.Sprint(n)}}); said != fmt.Sprint(n) {
				t.Errorf("script %d says %q", n, said)
			}
		})
	}
	all.Wait()
	if accepted := strings.Count(machine.Log(), "Accepted publickey"); accepted != 1 {
		t.Errorf("%d connections were made", accepted)
	}
}

func TestAConversationGoesLineByLineAndEndsWithItsContext(t *testing.T) {
	lab := sshtest.New(t)
	h := host(network(t, lab), lab.Host(sshtest.Setting{}))
	s, err := h.Start(t.Context(), ssh.Command{Script: `while read -r l; do echo "<$l>"; done; echo over; exit 4`})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, word := range []string{"one", "two"} {
		if err := s.Say(word); err != nil {
			t.Fatal(err)
		}
		if line, err := s.Line(t.Context()); err != nil || line != "<"+word+">" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Line(short); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := s.CloseInput(); err != nil {
		t.Fatal(err)
	}
	if line, err := s.Line(t.Context()); err != nil || line != "over" {
		t.Errorf("%q, %v", line, err)
	}
	if _, err := s.Line(t.Context()); err == nil {
		t.Error("there is more")
	}
	if r, err := s.Wait(t.Context()); err != nil || r.Status != 4 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWhoeverLogsInTalksFirst(t *testing.T) {
	lab := sshtest.New(t)
	h := host(network(t, lab), lab.Host(sshtest.Setting{SSHD: "ForceCommand echo welcome; eval \"$SSH_ORIGINAL_COMMAND\""}))
	if said := says(t, h, ssh.Command{Script: "echo ours"}); said != "ours" {
		t.Errorf("%q", said)
	}
}

func TestAConnectionThatEndedIsMadeAnew(t *testing.T) {
	lab := sshtest.New(t)
	machine := lab.Host(sshtest.Setting{})
	h := host(network(t, lab), machine)
	says(t, h, ssh.Command{Script: "true"})
	machine.Reboot()
	says(t, h, ssh.Command{Script: "true"})
	machine.PowerOff()
	tells(t, fails(t, h, ssh.ErrUnreachable), machine.Address(), "refused")
	machine.PowerOn()
	says(t, h, ssh.Command{Script: "true"})
}

func TestAScriptThatIsCutOffIsNotTakenAsDone(t *testing.T) {
	lab := sshtest.New(t)
	machine := lab.Host(sshtest.Setting{})
	h := host(network(t, lab), machine)
	s, err := h.Start(t.Context(), ssh.Command{Script: "echo begun; sleep 600"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if line, err := s.Line(t.Context()); err != nil || line != "begun" {
		t.Fatalf("%q, %v", line, err)
	}
	machine.PowerOff()
	if _, err := s.Wait(t.Context()); !errors.Is(err, ssh.ErrLost) {
		t.Errorf("%v", err)
	}
}

// silent accepts connections and says nothing, as a host does that is frozen.
func silent(t testing.TB) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

func TestAHostThatSaysNothingIsNotWaitedForAnyLongerThanIsSet(t *testing.T) {
	lab := sshtest.New(t)
	lab.Write("config", "ConnectTimeout 1\n")
	_, port, _ := net.SplitHostPort(silent(t))
	tells(t, fails(t, network(t, lab).Host("127.0.0.1", "", port), ssh.ErrUnreachable), "within 1s")
}

func TestAHostShowsTheKeyThatIsKnown(t *testing.T) {
	lab := sshtest.New(t)
	machine := lab.Host(sshtest.Setting{Stranger: true})
	h := host(network(t, lab), machine)
	fingerprint := strings.Fields(sshtest.Do(t, "ssh-keygen", "-lf", machine.KeyFile()+".pub"))[1]
	tells(t, fails(t, h, ssh.ErrHostKey), "unknown", fingerprint, "ssh-keyscan -p "+machine.Port+" -t ed25519 "+machine.IP, lab.File("known_hosts"))

	lab.Write("known_hosts", "# first line\n"+machine.KnownAs()+"\n")
	says(t, h, ssh.Command{Script: "true"})

	lab.Write("config", "StrictHostKeyChecking no\n") // which weakens nothing
	machine.PowerOff()
	machine.Rekey()
	machine.PowerOn()
	tells(t, fails(t, h, ssh.ErrHostKey), "has changed", lab.File("known_hosts")+":2", fingerprint, "ssh-keygen -R '["+machine.IP+"]:"+machine.Port+"'")

	lab.Write("known_hosts", machine.KnownAs()+"\n")
	sshtest.Do(t, "ssh-keygen", "-q", "-H", "-f", lab.File("known_hosts")) // names as hashes
	if strings.Contains(lab.Read("known_hosts"), machine.IP) {
		t.Fatal("names are not hashed")
	}
	says(t, h, ssh.Command{Script: "true"})

	lab.Write("known_hosts", machine.KnownAs()+"\n@revoked * "+strings.SplitN(machine.KnownAs(), " ", 2)[1]+"\n")
	again := host(network(t, lab), machine)
	tells(t, fails(t, again, ssh.ErrHostKey), "revoked", lab.File("known_hosts")+":2")
}

func TestAHostWithKeysOfSeveralKindsShowsTheOneThatIsKnown(t *testing.T) {
	lab := sshtest.New(t)
	other := filepath.Join(t.TempDir(), "rsa")
	sshtest.Do(t, "ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", other)
	machine := lab.Host(sshtest.Setting{SSHD: "HostKey " + other})
	says(t, host(network(t, lab), machine), ssh.Command{Script: "true"})
	public, err := os.ReadFile(other + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	lab.Write("known_hosts", fmt.Sprintf("[%s]:%s %s", machine.IP, machine.Port, public))
	says(t, host(network(t, lab), machine), ssh.Command{Script: "true"})
	lab.Write("known_hosts", "")
	tells(t, fails(t, host(network(t, lab), machine), ssh.ErrHostKey), "unknown")
}

func TestAnAuthorityVouchesForAHost(t *testing.T) {
	lab := sshtest.New(t)
	authority := filepath.Join(t.TempDir(), "authority")
	sshtest.Keygen(t, authority)
	machine := lab.Host(sshtest.Setting{Stranger: true})
	public, _ := os.ReadFile(authority + ".pub")
	lab.Write("known_hosts", "@cert-authority [127.*]:"+machine.Port+" "+string(public))
	sign := func(names string) {
		sshtest.Do(t, "ssh-keygen", "-q", "-s", authority, "-h", "-I", "host", "-n", names, machine.KeyFile()+".pub")
		machine.PowerOff()
		machine.PowerOn()
	}
	machine.Configure("HostCertificate " + machine.KeyFile() + "-cert.pub")
	sign(machine.IP)
	says(t, host(network(t, lab), machine), ssh.Command{Script: "true"})
	sign("another.example.com")
	tells(t, fails(t, host(network(t, lab), machine), ssh.ErrHostKey), "certificate")
}

func TestWhoIsNotLetInIsToldWhy(t *testing.T) {
	lab := sshtest.New(t)
	machine := lab.Host(sshtest.Setting{})
	ours := lab.Read("id_ed25519")
	sshtest.Keygen(t, lab.File("id_ed25519"))
	fingerprint := strings.Fields(sshtest.Do(t, "ssh-keygen", "-lf", lab.File("id_ed25519.pub")))[1]
	h := host(network(t, lab), machine)
	tells(t, fails(t, h, ssh.ErrRefused), "not let in with ssh-ed25519 "+fingerprint)

	sshtest.Keygen(t, lab.File("id_ed25519"), "a passphrase")
	tells(t, fails(t, h, ssh.ErrRefused), "locked by a passphrase", lab.File("id_ed25519"), "ssh-add")

	lab.Write("deploy", ours)
	lab.Write("config", "Host web\n  HostName "+machine.IP+"\n  Port "+machine.Port+"\n  IdentityFile ~/.ssh/deploy\n  User nobody\n")
	n := network(t, lab)
	if said := says(t, n.Host("web", me(t), ""), ssh.Command{Script: "id -un"}); said != me(t) {
		t.Errorf("it is %s", said)
	}
	lab.Write("config", "Host web\n  ProxyCommand nc %h %p\n")
	tells(t, fails(t, network(t, lab).Host("web", "", ""), ssh.ErrSettings), "ProxyCommand", "ProxyJump")
}

// startAgent runs one that holds a key, and answers its socket.
func startAgent(t testing.TB, dir, key string) (socket string) {
	t.Helper()
	socket = filepath.Join(dir, "agent")
	agent := exec.Command("ssh-agent", "-D", "-a", socket)
	output, err := agent.StdoutPipe()
	if err == nil {
		err = agent.Start()
	}
	if err != nil {
		t.Fatalf("%v (install openssh-client)", err)
	}
	t.Cleanup(func() { _ = agent.Process.Kill(); _ = agent.Wait() })
	if _, err := output.Read(make([]byte, 1)); err != nil { // it says where it listens
		t.Fatal(err)
	}
	add := exec.Command("ssh-add", "-q", key)
	add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket)
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	return socket
}

func TestAnAgentAndCertificatesOpenDoors(t *testing.T) {
	lab := sshtest.New(t)
	authority := filepath.Join(t.TempDir(), "authority")
	sshtest.Keygen(t, authority)
	machine := lab.Host(sshtest.Setting{SSHD: "TrustedUserCAKeys " + authority + ".pub"})
	ours := lab.File("id_ed25519")
	socket := startAgent(t, lab.Home, ours)
	if err := os.Remove(ours); err != nil {
		t.Fatal(err)
	}
	held := ssh.New(ssh.Options{Home: lab.Home, Login: me(t), Agent: socket})
	t.Cleanup(func() { held.Close() })
	says(t, host(held, machine), ssh.Command{Script: "true"})

	sshtest.Keygen(t, ours)
	sshtest.Do(t, "ssh-keygen", "-q", "-s", authority, "-I", "us", "-n", me(t), ours+".pub")
	says(t, host(network(t, lab), machine), ssh.Command{Script: "true"})
}

func TestJumpHostsAreJumpedFrom(t *testing.T) {
	lab := sshtest.New(t)
	first, second, last := lab.Host(sshtest.Setting{}), lab.Host(sshtest.Setting{}), lab.Host(sshtest.Setting{})
	lab.Write("config", fmt.Sprintf("Host last\n  HostName %s\n  Port %s\n  ProxyJump first,%s\nHost first\n  HostName %s\n  Port %s\n",
		last.IP, last.Port, second.Address(), first.IP, first.Port))
	n := network(t, lab)
	h := n.Host("last", "", "")
	tells(t, says(t, h, ssh.Command{Script: `echo "$SSH_CONNECTION"`}), last.IP)
	for _, jump := range []*sshtest.Host{first, second} {
		if !strings.Contains(jump.Log(), "Accepted publickey") {
			t.Errorf("nobody came by %s", jump.IP)
		}
	}
	conn, err := h.Dial(t.Context(), last.Port) // from the second one
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	first.PowerOff()
	tells(t, fails(t, h, ssh.ErrUnreachable), "last")
}

func TestAFrozenHostHoldsNobody(t *testing.T) {
	lab := sshtest.New(t)
	machine := lab.Host(sshtest.Setting{})
	n := ssh.New(ssh.Options{Home: lab.Home, KeepAlive: 200 * time.Millisecond})
	t.Cleanup(func() { n.Close() })
	h := n.Host(machine.IP, me(t), machine.Port)
	s, err := h.Start(t.Context(), ssh.Command{Script: "echo begun; cat"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Line(t.Context()); err != nil {
		t.Fatal(err)
	}
	machine.Freeze()
	defer machine.Thaw()
	within, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := s.Wait(within); !errors.Is(err, ssh.ErrLost) {
		t.Errorf("%v", err)
	}
	if h.IsConnected() {
		t.Error("a connection without a sign of life is kept")
	}
}
