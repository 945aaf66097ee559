//go:build unix

package worker_test

import (
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/towpath-cd/towpath/client"
)

// visitor is a person at the server's end of debug shells, of one at a time.
type visitor struct {
	*site
	streams chan *client.ShellStream // connections of workers
	stream  *client.ShellStream
	printed string
}

// visits has workers' shells reach the visitor.
func (s *site) visits() *visitor {
	v := &visitor{site: s, streams: make(chan *client.ShellStream, 9)}
	s.shell = func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			s.t.Error(err)
			return
		}
		stream := client.NewShellStream(conn)
		v.streams <- stream
		<-r.Context().Done()
	}
	return v
}

// opens is a step with a shell in its place, the person of which is there.
func (v *visitor) opens(l *client.StepLease) client.LeaseRef {
	v.t.Helper()
	l.Debug = &client.ShellLease{By: "ada", Script: "echo the step itself\n", Idle: 60}
	ref := v.offer(l)
	v.meets()
	return ref
}

// meets waits for the worker to connect.
func (v *visitor) meets() {
	v.t.Helper()
	select {
	case v.stream = <-v.streams:
	case <-time.After(20 * time.Second):
		v.t.Fatal("the worker does not connect")
	}
	isThere := true
	v.says(client.ShellMessage{Attached: &isThere})
}

func (v *visitor) says(m client.ShellMessage) {
	v.t.Helper()
	if err := v.stream.Write(v.t.Context(), m); err != nil {
		v.t.Fatal(err)
	}
}

func (v *visitor) types(text string) { v.says(client.ShellMessage{Data: []byte(text)}) }

// sees reads until a text was printed since the last look.
func (v *visitor) sees(text string) {
	v.t.Helper()
	for !strings.Contains(v.printed, text) {
		m, err := v.stream.Read(v.t.Context())
		if err != nil || m.Ended != nil {
			v.t.Fatalf("%v, %+v before %q was printed:\n%s", err, m.Ended, text, v.printed)
		}
		v.printed += string(m.Data)
	}
	_, v.printed, _ = strings.Cut(v.printed, text)
}

// ends reads to the end.
func (v *visitor) ends() client.ShellEnd {
	v.t.Helper()
	for {
		m, err := v.stream.Read(v.t.Context())
		if err != nil {
			v.t.Fatalf("%v before the end:\n%s", err, v.printed)
		}
		if m.Ended != nil {
			_, _ = v.stream.Read(v.t.Context()) // the good-bye
			return *m.Ended
		}
	}
}

func TestADebugShellHasWhatTheScriptWouldHave(t *testing.T) {
	s := working(t)
	v := s.visits()
	heard := make(chan os.Signal, 1) // as the program does; tests may run where control-C is ignored, which children inherit
	signal.Notify(heard, os.Interrupt)
	t.Cleanup(func() { signal.Stop(heard) })
	file := filepath.Join(t.TempDir(), "pid")
	l := s.step("echo it is never run; exit 9")
	l.Secrets, l.SecretFiles = map[string]string{"TOKEN": "hunter2-forever"}, map[string]string{"KEY": keyFile}
	ref := v.opens(l)
	v.types("PS1=; echo of $TOWPATH_STEP $TOKEN; cat greeting; wc -l <$KEY; sh $TOWPATH_SCRIPT; tty\n")
	v.sees("of step 1 hunter2-forever\r\nhello from the repository\r\n4\r\nthe step itself\r\n/dev/")
	v.says(client.ShellMessage{Size: &client.ShellSize{Rows: 33, Columns: 77}})
	v.types("stty size; echo $$ >" + file + "\n")
	v.sees("33 77\r\n")
	v.types("sh -c 'echo wait\"\"ing; exec sleep 1000'\n")
	v.sees("waiting\r\n")
	v.types("\x03")
	v.types("echo interrupted $?\n")
	v.sees("interrupted 130\r\n")
	v.stream.Cut()
	v.meets()
	v.types("(setsid sleep 1000 & echo $! >" + file + "); echo back''again; touch left; exit 7\n")
	v.sees("backagain\r\n")
	if end := v.ends(); end.ExitCode != 7 || end.Reason != "exited with status 7" {
		t.Errorf("%+v", end)
	}
	report, log := s.awaitReport(ref), s.logOf(ref)
	if report.State != "passed" || !strings.HasPrefix(report.Reason, "the debug shell of ada exited with status 7 after ") || len(report.Artifacts) > 0 {
		t.Errorf("%+v", report)
	}
	if want := "towpath: a debug shell of ada stands in the place of the script\ntowpath: " + report.Reason + "\n"; log != want {
		t.Errorf("the log is %q, want %q", log, want)
	}
	mustBeGone(t, file)
	if _, log := s.result(s.step("ls")); log != "greeting\n" {
		t.Errorf("the next step finds %q", log)
	}
}

func TestADebugShellEndsWhenItsTimeIsOver(t *testing.T) {
	s := newSite(t)
	options := s.options()
	options.ShellAlone = 300 * time.Millisecond
	s.start(options)
	v := s.visits()
	for reason, change := range map[string]func(*client.StepLease){
		"ended because nothing was typed for 200ms":              func(l *client.StepLease) { l.Debug.Idle = 0.2 },
		"ended because a debug shell lasts no longer than 200ms": func(l *client.StepLease) { l.Timeout = 0.2 },
		"ended because its person was gone for 300ms":            nil,
	} {
		l := s.step("exit 9")
		l.Debug = &client.ShellLease{By: "ada", Idle: 60}
		if change != nil {
			change(l)
		}
		ref := v.offer(l)
		if change != nil {
			v.meets()
		} else {
			v.stream = <-v.streams
		}
		end := v.ends()
		if report := s.awaitReport(ref); end.Reason != reason || end.ExitCode != -1 || report.State != "passed" || !strings.Contains(report.Reason, reason) {
			t.Errorf("%s: %+v, %+v", reason, end, report)
		}
	}
}

func TestADebugShellThatIsCanceledEnds(t *testing.T) {
	s := working(t)
	v := s.visits()
	ref := v.opens(s.step("exit 9"))
	v.types("trap '' HUP TERM; echo deaf''ened\n")
	v.sees("deafened")
	s.stop(ref, "canceled by Bob")
	if end := v.ends(); end.Reason != "was ended: canceled by Bob" {
		t.Errorf("%+v", end)
	}
	if report := s.awaitReport(ref); report.State != "canceled" || report.Reason != "canceled by Bob" {
		t.Errorf("%+v", report)
	}
}

func TestADebugShellInsideOfAContainerIsRefused(t *testing.T) {
	s := working(t)
	l := s.step("exit 9")
	l.Debug, l.Inside = &client.ShellLease{By: "ada", Idle: 60}, &client.Container{Image: "any"}
	if report, _ := s.result(l); report.State != "failed" || !strings.Contains(report.Reason, "no debug shells inside of containers") {
		t.Errorf("%+v", report)
	}
}
