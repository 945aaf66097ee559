package cli

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pty is a real terminal of 80 columns, with a person before it.
type pty struct {
	t        *testing.T
	person   *os.File // what they see and type
	terminal *os.File // what the program has

	mu   sync.Mutex
	seen strings.Builder
	more chan struct{}
}

func newPTY(t *testing.T) *pty {
	t.Helper()
	t.Setenv("TERM", "xterm")
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	p := &pty{t: t, person: person, terminal: terminal, more: make(chan struct{}, 1)}
	go p.watch()
	return p
}

// watch ends when the terminal is closed.
func (p *pty) watch() {
	piece := make([]byte, 4096)
	for {
		n, err := p.person.Read(piece)
		p.mu.Lock()
		p.seen.Write(piece[:n])
		p.mu.Unlock()
		select {
		case p.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (p *pty) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.String()
}

// sees waits until a text stands on the terminal.
func (p *pty) sees(text string) {
	p.t.Helper()
	patience := time.After(10 * time.Second)
	for !strings.Contains(p.text(), text) {
		select {
		case <-p.more:
		case <-patience:
			p.t.Fatalf("%q never stood on the terminal:\n%q", text, p.text())
		}
	}
}

func (p *pty) types(text string) {
	p.t.Helper()
	if _, err := p.person.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// begin runs a verb with all its streams on the terminal; its exit code comes when it ends.
func (p *pty) begin(w *world, args ...string) <-chan int {
	code := make(chan int, 1)
	console := &Console{In: p.terminal, Out: p.terminal, Err: p.terminal, clock: func() time.Time { return now }}
	go func() { code <- Execute(p.t.Context(), append([]string{"--server", w.url}, args...), console) }()
	return code
}

func TestAPersonIsShownThePlanAndAskedBeforeTheyApprove(t *testing.T) {
	for answer, want := range map[string]int{"y\n": ExitDone, "\n": ExitFailed, "no\n": ExitFailed} {
		p, w := newPTY(t), shopWorld(t)
		code := p.begin(w, "approve")
		p.sees("way back: one shift to release 41")
		p.sees("approve shop #128 release? [y/N] ")
		p.types(answer)
		if got := <-code; got != want {
			t.Errorf("answer %q: exit code %d, want %d", answer, got, want)
		}
		if decided := len(w.changes()) == 1; decided != (want == ExitDone) {
			t.Errorf("answer %q: the server was asked %q", answer, w.changes())
		}
	}
}

func TestASecretIsNotShownWhileItIsTyped(t *testing.T) {
	p, w := newPTY(t), shopWorld(t)
	code := p.begin(w, "secret", "put", "shop", "SMTP_PASSWORD")
	p.sees("SMTP_PASSWORD: ")
	p.types("hunter2\n")
	if got := <-code; got != ExitDone || strings.Contains(p.text(), "hunter2") {
		t.Errorf("exit code %d, and the terminal shows %q", got, p.text())
	}
	w.wasAsked(`PUT /api/v1/projects/shop/secrets/SMTP_PASSWORD {"name":"SMTP_PASSWORD","value":"hunter2"}`)
}

func TestAnInterruptWhileASecretIsTypedChangesNothing(t *testing.T) {
	p, w := newPTY(t), shopWorld(t)
	code := p.begin(w, "secret", "put", "shop", "SMTP_PASSWORD")
	p.sees("SMTP_PASSWORD: ")
	p.types("hunt\x03")
	if got := <-code; got != ExitFailed || len(w.changes()) > 0 {
		t.Errorf("exit code %d, and the server was asked %q", got, w.changes())
	}
}

func TestARunIsRedrawnInPlaceOnATerminal(t *testing.T) {
	p := newPTY(t)
	if code := <-p.begin(shopWorld(t), "run", "shop"); code != ExitDone {
		t.Errorf("exit code %d", code)
	}
	p.sees("passed in 3m")
	for _, want := range []string{
		"\x1b[6A",                        // back to the title of five steps
		"\x1b[32m✓\x1b[0m build shop",    // green, and with its mark
		"waiting for 1 of release-manag", // the line that waits
		"\x1b[K\r\n\x1b[J",               // nothing of the picture before is left
	} {
		if !strings.Contains(p.text(), want) {
			t.Errorf("%q is not in %q", want, p.text())
		}
	}
}

func TestNoColourWhereNobodyWantsIt(t *testing.T) {
	p := newPTY(t)
	t.Setenv("NO_COLOR", "1")
	<-p.begin(shopWorld(t), "run", "shop")
	p.sees("passed in 3m")
	if strings.Contains(p.text(), "\x1b[32m") || strings.Contains(p.text(), "\x1b[2m") {
		t.Errorf("there is colour in %q", p.text())
	}
}

func TestTheClockOfAStepGoesOnBetweenTwoEvents(t *testing.T) {
	p, w := newPTY(t), newWorld(t)
	w.answers("GET /api/v1/pipelines/shop/runs/128", shopRun())
	building := with(shopRun(), "shop", passed("worker-2", 0))
	building.Steps[0].State, building.Steps[0].FinishedAt = "running", time.Time{}
	goOn := make(chan struct{})
	w.mux.HandleFunc("GET /api/v1/pipelines/shop/runs/128/events", func(answer http.ResponseWriter, _ *http.Request) {
		send(answer, building)
		<-goOn
		send(answer, shopPassed())
	})
	code := make(chan int, 1)
	later := now
	console := &Console{In: p.terminal, Out: p.terminal, Err: p.terminal, clock: func() time.Time {
		later = later.Add(time.Minute)
		return later
	}}
	go func() { code <- Execute(t.Context(), []string{"--server", w.url, "status", "shop#128", "-f"}, console) }()
	p.sees("4m")
	p.sees("5m")
	close(goOn)
	if got := <-code; got != ExitDone {
		t.Errorf("exit code %d", got)
	}
}
