//go:build linux

// Package nginxtest runs a real nginx for tests.
package nginxtest

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
)

// patience bounds whatever is waited for.
const patience = 30 * time.Second

// Upstream is the name of the upstream.
const Upstream = "shop"

// Nginx is one whose configuration includes a file with the upstream.
type Nginx struct {
	Address string // where it takes requests
	folder  string
	seenAs  string // by nginx
	process *exec.Cmd
}

// configuration is that of docs/balancers.md.
const configuration = `worker_processes 2;
pid nginx.pid;
error_log error.log notice;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path tmp/body;
  proxy_temp_path tmp/proxy;
  fastcgi_temp_path tmp/fastcgi;
  uwsgi_temp_path tmp/uwsgi;
  scgi_temp_path tmp/scgi;
  include conf.d/*.conf;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  server {
    listen %s backlog=4096;
    location / {
      proxy_pass http://shop;
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
    }
  }
}
`

// Start runs one. It is stopped in the end.
func Start(t testing.TB) *Nginx {
	t.Helper()
	n := Prepare(t)
	n.Start(t)
	t.Cleanup(func() {
		n.Stop(t)
		if t.Failed() {
			log, _ := os.ReadFile(n.Path("error.log"))
			t.Logf("nginx said last:\n%s", log[max(0, len(log)-3000):])
		}
	})
	return n
}

// Prepare lays out the files of one that nobody has started.
func Prepare(t testing.TB) *Nginx {
	t.Helper()
	return PrepareFor(t, t.TempDir(), "", "127.0.0.1")
}

// PrepareFor lays out the files of one on a host with an address of its own, which sees a folder as another.
func PrepareFor(t testing.TB, folder, seenAs, address string) *Nginx {
	t.Helper()
	n := &Nginx{Address: freeAddress(t, address), folder: folder, seenAs: cmp.Or(seenAs, folder)}
	must(t, os.Chmod(n.folder, 0o755)) // its workers are somebody else
	for _, folder := range []string{"conf.d", "tmp"} {
		must(t, os.MkdirAll(n.Path(folder), 0o755))
	}
	n.Write(t, "nginx.conf", fmt.Sprintf(configuration, n.Address))
	n.Write(t, "conf.d/shop.conf", "upstream shop { server 127.0.0.1:1 down; }\n")
	return n
}

// Path is a file of its folder.
func (n *Nginx) Path(name string) string { return filepath.Join(n.folder, name) }

// Write replaces one.
func (n *Nginx) Write(t testing.TB, name, content string) {
	t.Helper()
	must(t, os.WriteFile(n.Path(name), []byte(content), 0o644))
}

// Read answers what is in one.
func (n *Nginx) Read(t testing.TB, name string) string {
	t.Helper()
	content, err := os.ReadFile(n.Path(name))
	must(t, err)
	return string(content)
}

// Definition is it as a balancer.
func (n *Nginx) Definition() *towpath.NginxBalancer {
	return &towpath.NginxBalancer{
		Upstream: Upstream, File: n.seenAs + "/conf.d/shop.conf", Test: n.Command("-t"), Reload: n.Command("-s reload"),
		PID: n.seenAs + "/nginx.pid", Log: n.seenAs + "/error.log",
	}
}

// Command calls its program with arguments, as a script would.
func (n *Nginx) Command(arguments string) string {
	return fmt.Sprintf("PATH=$PATH:/usr/sbin nginx -p %s -c nginx.conf %s", n.seenAs, arguments)
}

// Start runs it with what its configuration says, and waits until it takes requests.
func (n *Nginx) Start(t testing.TB) {
	t.Helper()
	program, err := lookFor("nginx")
	if err != nil {
		t.Fatalf("%v (install Debian's nginx-light)", err)
	}
	n.process = exec.Command(program, "-p", n.folder, "-c", "nginx.conf", "-g", "daemon off;")
	n.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	must(t, n.process.Start())
	until(t, "nginx takes requests", func() bool {
		return len(n.Workers()) > 0 && n.answers()
	})
}

func (n *Nginx) answers() bool {
	conn, err := net.Dial("tcp", n.Address)
	if err == nil {
		_ = conn.Close() // it takes it
	}
	return err == nil
}

// Stop ends it with all its processes, at once.
func (n *Nginx) Stop(t testing.TB) {
	t.Helper()
	if n.process == nil {
		return
	}
	must(t, syscall.Kill(-n.process.Process.Pid, syscall.SIGKILL))
	_ = n.process.Wait() // it was killed
	n.process = nil
}

// Reload has it take its configuration, and returns when it serves by it.
func (n *Nginx) Reload(t testing.TB) {
	t.Helper()
	before := n.Workers()
	if said, err := exec.Command("/bin/sh", "-c", n.Command("-s reload")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	until(t, "nginx has taken its configuration", func() bool {
		now := n.Workers()
		return len(now) > 0 && !slices.ContainsFunc(now, func(pid int) bool { return slices.Contains(before, pid) })
	})
}

// Workers are the processes that take requests.
func (n *Nginx) Workers() []int { return n.titled("nginx: worker process") }

// Leaving are those that take none any more, and have something to finish.
func (n *Nginx) Leaving() []int { return n.titled("nginx: worker process is shutting down") }

func (n *Nginx) titled(title string) (pids []int) {
	master := strconv.Itoa(n.process.Process.Pid)
	children, _ := os.ReadFile("/proc/" + master + "/task/" + master + "/children")
	for child := range strings.FieldsSeq(string(children)) {
		command, _ := os.ReadFile("/proc/" + child + "/cmdline") // it may have ended
		if strings.TrimRight(string(command), "\x00") == title {
			pid, _ := strconv.Atoi(child)
			pids = append(pids, pid)
		}
	}
	return pids
}

// lookFor finds a program also where only root looks.
func lookFor(name string) (string, error) {
	program, err := exec.LookPath(name)
	if err != nil {
		if _, there := os.Stat("/usr/sbin/" + name); there == nil {
			return "/usr/sbin/" + name, nil
		}
	}
	return program, err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func freeAddress(t testing.TB, host string) string {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	must(t, err)
	defer listener.Close()
	return listener.Addr().String()
}
