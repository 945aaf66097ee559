//go:build unix

package worker_test

import (
	"net/http"
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

// opens is a step with a shell in the place of its script, the person of which is there.
func (v *visitor) opens(l *client.StepLease, script string) client.LeaseRef {
	v.t.Helper()
	l.Debug = &client.ShellLease{By: "ada", Script: script, Idle: 60}
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
	ref := v.opens(s.step("exit 9"), "")
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
