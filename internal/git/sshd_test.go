//go:build unix

package git_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sshd is a real one on loopback, with a key of its own, that lets the holder of one key in.
type sshd struct {
	t       testing.TB
	dir     string
	address string
	process *exec.Cmd
}

func startSSHD(t testing.TB) *sshd {
	t.Helper()
	s := &sshd{t: t, dir: t.TempDir()}
	for _, name := range []string{"host", "ours", "strangers"} {
		s.newKey(name)
	}
	authorized := readFile(t, s.dir, "ours.pub")
	if err := os.WriteFile(filepath.Join(s.dir, "authorized"), []byte(authorized), 0o600); err != nil {
		t.Fatal(err)
	}
	free := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	s.address = free.Addr().String()
	free.Close()
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *sshd) newKey(name string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	_ = os.Remove(path)
	out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path).CombinedOutput()
	if err != nil {
		s.t.Fatalf("ssh-keygen: %v %s (install openssh-server)", err, out)
	}
}

// start waits until the port answers.
func (s *sshd) start() {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.address)
	config := fmt.Sprintf("ListenAddress 127.0.0.1\nPort %s\nHostKey %s/host\nAuthorizedKeysFile %s/authorized\nPidFile none\n"+
		"StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n", port, s.dir, s.dir)
	path := filepath.Join(s.dir, "sshd_config")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if os.Getuid() == 0 { // where it locks itself in; a machine's start makes it otherwise
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	said := filepath.Join(s.dir, "sshd.log")
	s.process = exec.Command("/usr/sbin/sshd", "-D", "-f", path, "-E", said)
	if err := s.process.Start(); err != nil {
		s.t.Fatalf("%v (install openssh-server)", err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := net.DialTimeout("tcp", s.address, time.Second)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("sshd does not answer: %v\n%s", err, readFile(s.t, said))
		}
	}
}

func (s *sshd) stop() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

// rekey has the same address answer with another host key.
func (s *sshd) rekey() {
	s.t.Helper()
	s.stop()
	s.newKey("host")
	s.start()
}

// knownHosts is the line by which the host is known.
func (s *sshd) knownHosts() string {
	host, port, _ := net.SplitHostPort(s.address)
	return fmt.Sprintf("[%s]:%s %s", host, port, strings.TrimSpace(readFile(s.t, s.dir, "host.pub")))
}

func (s *sshd) key(name string) []byte { return []byte(readFile(s.t, s.dir, name)) }

// url is the address of a folder of this machine by way of the host.
func (s *sshd) url(folder string) string {
	who := must(user.Current())(s.t)
	return "ssh://" + who.Username + "@" + s.address + folder
}
