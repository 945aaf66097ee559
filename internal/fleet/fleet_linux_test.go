package fleet

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for what is going to happen.
const patience = 30 * time.Second

// counter is a service that remembers how often it began, and answers with the host's name on a port.
const counter = `
[Service]
ExecStart=/bin/sh -c 'echo began >>/srv/counter && sync /srv /srv/counter && exec haproxy -f /srv/haproxy.cfg -db'
Restart=always
[Install]
WantedBy=multi-user.target
`

const answers = `
defaults
	mode http
	timeout client 30s
	timeout server 30s
	timeout connect 5s
listen counter
	bind :8000
	http-request return status 200 content-type text/plain string %s
`

// counts starts the service on every host.
func counts(f *Fleet) {
	for _, h := range f.Hosts {
		h.Write("/srv/haproxy.cfg", fmt.Sprintf(answers, h.Name), 0o644)
		h.Service("counter.service", counter)
	}
}

// ask dials an address, also from a host's own network, and answers what its service says.
func ask(t *testing.T, from *Host, to string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	return output(from.onItsNetwork(ctx, "curl", "-sS", "--max-time", "1", "http://"+to+":8000"))
}

func answersSoon(t *testing.T, from, to *Host) {
	t.Helper()
	err := until(t.Context(), patience, to.Name+" answers", func() bool {
		said, err := ask(t, from, to.Address)
		return err == nil && said == to.Name
	})
	if err != nil {
		t.Fatal(err)
	}
}

// logIn runs a script by ssh, as somebody who knows only the fleet's files.
func logIn(t *testing.T, f *Fleet, login, script string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ssh", "-F", f.SSHConfig, "-o", "ConnectTimeout=10", login, script).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func TestHostsAnswerWithinSeconds(t *testing.T) {
	hosts := 5
	if testing.Short() {
		hosts = 2
	}
	Run(t, hosts, func(t *testing.T, f *Fleet) {
		seen := map[string]bool{}
		for _, h := range f.Hosts {
			for login, want := range map[string]string{
				h.Name: "deploy " + h.Name + " 0", "root@" + h.Address: "root " + h.Name + " 0",
			} {
				said, err := logIn(t, f, login, `echo $(whoami) $(hostname) $(systemctl list-units --state=failed --no-legend | wc -l)`)
				if err != nil || said != want {
					t.Errorf("%s: %q, %v", login, said, err)
				}
			}
			seen[h.Run("cat /etc/machine-id")] = true
		}
		if len(seen) != hosts {
			t.Errorf("%d hosts of %d are somebody", len(seen), hosts)
		}
		if said, err := logIn(t, f, "web1", "sudo systemctl start nginx && systemctl is-active nginx"); err != nil || said != "active" {
			t.Errorf("%q, %v", said, err)
		}
		f.Hosts[0].ChangeHostKey()
		if said, err := logIn(t, f, "web1", "true"); err == nil || !strings.Contains(said, "REMOTE HOST IDENTIFICATION HAS CHANGED") {
			t.Errorf("an impostor is let in: %q, %v", said, err)
		}
	})
}

func TestAServiceSurvives(t *testing.T) {
	Run(t, 3, func(t *testing.T, f *Fleet) {
		counts(f)
		one, two, three := f.Hosts[0], f.Hosts[1], f.Hosts[2]
		times := 1
		again := func(t *testing.T) {
			t.Helper()
			times++
			began(t, one, times)
			answersSoon(t, two, one)
		}
		t.Run("a kill", func(t *testing.T) {
			one.Run("systemctl kill --kill-whom=main --signal=KILL counter.service")
			again(t)
		})
		if !testing.Short() {
			t.Run("a reboot", func(t *testing.T) {
				one.Reboot()
				again(t)
			})
			t.Run("a shutdown", func(t *testing.T) {
				one.Shutdown()
				if said, err := ask(t, two, one.Address); err == nil {
					t.Errorf("one that is off says %q", said)
				}
				one.Boot()
				again(t)
			})
		}
		t.Run("a power cut", func(t *testing.T) {
			one.Run("sync; echo kept >/srv/kept; sync /srv /srv/kept; echo lost >/srv/lost")
			one.PowerCut()
			if kept, lost := one.Read("/srv/kept"), one.Read("/srv/lost"); kept != "kept\n" || lost != "" {
				t.Errorf("kept %q, lost %q", kept, lost)
			}
			one.Boot()
			again(t)
		})
		t.Run("a partition", func(t *testing.T) {
			f.Partition(one, two)
			if said, err := ask(t, two, one.Address); err == nil {
				t.Errorf("through the cut: %q", said)
			}
			answersSoon(t, three, one)
			f.Heal()
			answersSoon(t, two, one)
			began(t, one, times)
		})
	})
}

// began waits until the service has begun so often.
func began(t *testing.T, h *Host, times int) {
	t.Helper()
	var last string
	err := until(t.Context(), patience, "the service begins again", func() bool {
		last = h.Read("/srv/counter")
		return strings.Count(last, "began") >= times
	})
	if err != nil || strings.Count(last, "began") != times {
		t.Fatalf("it began %d times, not %d: %v", strings.Count(last, "began"), times, err)
	}
}

func TestAHostMisbehaves(t *testing.T) {
	Run(t, 2, func(t *testing.T, f *Fleet) {
		counts(f)
		one, two := f.Hosts[0], f.Hosts[1]
		answersSoon(t, two, one)
		t.Run("frozen", func(t *testing.T) {
			one.Freeze()
			open, err := net.Dial("tcp", one.Address+":8000") // its kernel still takes connections
			if err != nil {
				t.Fatal(err)
			}
			defer open.Close()
			if said, err := ask(t, two, one.Address); err == nil {
				t.Errorf("a frozen one says %q", said)
			}
			one.Thaw()
			fmt.Fprint(open, "GET / HTTP/1.0\r\n\r\n")
			if line, err := bufio.NewReader(open).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
				t.Errorf("%q, %v", line, err)
			}
		})
		t.Run("isolated", func(t *testing.T) {
			one.Isolate()
			if connection, err := net.DialTimeout("tcp", one.Address+":8000", time.Second); err == nil {
				connection.Close()
				t.Error("the story reaches it")
			}
			if one.Run("echo here") != "here\n" {
				t.Error("it needs a network to run a script")
			}
			f.Heal()
			answersSoon(t, two, one)
		})
		t.Run("full", func(t *testing.T) {
			room := one.FillDisk()
			if said, err := one.Try("head -c 1000000 /dev/zero >/srv/more"); err == nil || !strings.Contains(err.Error(), "No space left") {
				t.Errorf("%q, %v", said, err)
			}
			room()
			one.Run("head -c 1000000 /dev/zero >/srv/more")
		})
		if testing.Short() {
			return // what is slow takes its time
		}
		t.Run("with a slow disk", func(t *testing.T) {
			fast := one.SlowDisk(200_000)
			defer fast()
			began := time.Now()
			one.Run("head -c 600000 /dev/urandom >/srv/slow && sync /srv/slow")
			if took := time.Since(began); took < 2*time.Second {
				t.Errorf("600 kB at 200 kB a second took %s", took)
			}
		})
		t.Run("slow", func(t *testing.T) {
			one.Run("head -c 1000000 /dev/zero >/srv/more")
			fast := copies(t, f, one)
			one.SlowDown(2_000_000)
			slow := copies(t, f, one)
			one.SpeedUp()
			if slow < 2*time.Second || slow < 2*fast {
				t.Errorf("a megabyte at two megabit a second took %s, at full speed %s", slow, fast)
			}
		})
	})
}

// copies measures how long a megabyte takes from a host.
func copies(t *testing.T, f *Fleet, h *Host) time.Duration {
	t.Helper()
	began := time.Now()
	if said, err := logIn(t, f, h.Name, "cat /srv/more"); err != nil || len(said) < 1_000_000 {
		t.Fatalf("%d bytes, %v", len(said), err)
	}
	return time.Since(began)
}

func TestTheStoryHasTheSwitchToItself(t *testing.T) {
	Run(t, 1, func(t *testing.T, f *Fleet) {
		heard := make(chan string, 1)
		listener, err := net.Listen("tcp", f.Address+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		go func() {
			connection, err := listener.Accept()
			if err == nil {
				heard <- connection.RemoteAddr().String()
				connection.Close()
			}
		}()
		f.Hosts[0].Run("curl -s http://keeper:" + listener.Addr().String()[strings.LastIndex(listener.Addr().String(), ":")+1:] + " || true")
		select {
		case from := <-heard:
			if !strings.HasPrefix(from, f.Hosts[0].Address+":") {
				t.Errorf("%s came", from)
			}
		case <-time.After(patience):
			t.Error("nobody came")
		}
		cards, err := net.Interfaces()
		if err != nil || len(cards) != 3 { // lo, the switch and the host's port
			t.Errorf("%v, %v", cards, err)
		}
		if _, err := os.Stat("/run/netns/web1"); err != nil {
			t.Error(err)
		}
	})
}
