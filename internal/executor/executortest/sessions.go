package executortest

import (
	"context"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/executor"
)

// sessionPromises are those about shells for people.
func sessionPromises() []promise {
	return []promise{
		{"a person has a terminal", personHasATerminal},
		{"what a shell prints is whole", shellOutputIsWhole},
		{"a daemon does not outlive its shell", daemonDoesNotOutliveTheShell},
		{"a shell is hung up", shellIsHungUp},
		{"a shell is killed when it ignores every signal", deafShellIsKilled},
		{"a shell is not opened when it is too late", tooLateIsNotOpened},
	}
}

// visit is a shell under way. What it prints is gathered.
type visit struct {
	*testing.T
	executor.Session
	out   *output
	end   context.CancelCauseFunc
	heard chan struct{} // closed when nothing more is printed
}

func (w Way) opens(t *testing.T, script executor.Script, out *output) *visit {
	t.Helper()
	script.Env = append(script.Env, "TERM=dumb", "HISTFILE=")
	ctx, cancel := context.WithCancelCause(t.Context())
	session, err := w.New(t).Open(ctx, script)
	if err != nil {
		t.Fatal(err)
	}
	v := &visit{T: t, Session: session, out: out, end: cancel, heard: make(chan struct{})}
	go func() {
		defer close(v.heard)
		_, _ = io.Copy(out, session)
	}()
	v.types("PS1=\n")
	return v
}

func (v *visit) types(text string) {
	v.Helper()
	if _, err := io.WriteString(v.Session, text); err != nil {
		v.Fatal(err)
	}
}

func (v *visit) sees(text string) {
	v.Helper()
	select {
	case <-v.out.has(text):
	case <-v.heard:
		if !strings.Contains(v.out.String(), text) {
			v.Fatalf("the shell ended before it printed %q: %q", text, v.out)
		}
	case <-time.After(wait):
		v.Fatalf("never: %q; printed so far: %q", text, v.out)
	}
}

// ends waits for the shell, which has to leave nothing.
func (v *visit) ends() executor.Result {
	v.Helper()
	type end struct {
		result executor.Result
		err    error
	}
	ended := make(chan end, 1)
	go func() {
		result, err := v.Wait()
		ended <- end{result, err}
	}()
	select {
	case e := <-ended:
		if e.err != nil {
			v.Errorf("%+v, %v", e.result, e.err)
		}
		v.hears()
		return e.result
	case <-time.After(2 * wait):
		v.Fatalf("the shell does not end; it printed %q", v.out)
	}
	return executor.Result{}
}

// hears waits for the last word, and gives the terminal back.
func (v *visit) hears() {
	v.Helper()
	select {
	case <-v.heard:
	case <-time.After(wait):
		v.Errorf("the terminal does not end; it printed %q", v.out)
	}
	if err := v.Close(); err != nil {
		v.Error(err)
	}
}

func personHasATerminal(t *testing.T, w Way) {
	heard := make(chan os.Signal, 1) // as the program does; tests may run where control-C is ignored, which children inherit
	signal.Notify(heard, os.Interrupt)
	t.Cleanup(func() { signal.Stop(heard) })
	script, out := w.script(t, "")
	script.Env = append(script.Env, "GREETING=hello")
	v := w.opens(t, script, out)
	v.types("echo $GREETING from $PWD; stty size; tty\n")
	v.sees("hello from " + script.Dir + "\r\n24 80\r\n/dev/")
	if err := v.Resize(executor.Size{Rows: 33, Columns: 77}); err != nil {
		t.Error(err)
	}
	v.types("while test \"$(stty size)\" != '33 77'; do sleep 0.1; done; echo resi''zed\n")
	v.sees("resized")
	v.types("echo by its na''me >$(tty); echo by any na''me >/dev/tty\n")
	v.sees("by its name\r\nby any name\r\n")
	v.types("sh -c 'echo wait\"\"ing; exec sleep 1000'\n")
	v.sees("waiting")
	v.types("\x03")
	v.types("echo interrupted $?\n")
	v.sees("interrupted 130\r\n")
	v.types("sh -c 'echo stop\"\"ping; exec sleep 1000'\n")
	v.sees("stopping")
	v.types("\x1a")
	v.types("jobs | grep -c Stop''ped; kill -9 %1; echo nothing lost of co''ntrol; cat\n")
	v.sees("\r\n1\r\nnothing lost of control\r\n")
	v.types("a\x10\x11b\n") // docker would part from it
	v.sees("a\x10b\r\n")
	v.types("\x04exit 7\n")
	if result := v.ends(); result != executor.Ended(7, 0) || strings.Contains(out.String(), "job control") {
		t.Errorf("%+v, %q", result, out)
	}
}

func shellOutputIsWhole(t *testing.T, w Way) {
	script, out := w.script(t, "")
	v := w.opens(t, script, out)
	v.types("seq 20000 && exit\n")
	result := v.ends()
	var want strings.Builder
	for i := range 20000 {
		want.WriteString(strconv.Itoa(i+1) + "\r\n")
	}
	if result != executor.Ended(0, 0) || !strings.Contains(out.String(), want.String()) {
		t.Errorf("%+v, %d bytes", result, len(out.String()))
	}
}

func daemonDoesNotOutliveTheShell(t *testing.T, w Way) {
	word := mark(t)
	script, out := w.script(t, "")
	v := w.opens(t, script, out)
	v.types(daemon(word) + "echo rea''dy\n")
	v.sees("ready")
	if len(marked(t, word)) == 0 {
		t.Error("the daemon never was there")
	}
	v.types("exit\n")
	if result := v.ends(); result.Outcome != executor.Exited {
		t.Errorf("%+v", result)
	}
	mustBeGone(t, word)
}

func shellIsHungUp(t *testing.T, w Way) {
	script, out := w.script(t, "")
	v := w.opens(t, script, out)
	v.types("trap 'echo b\"\"ye; exit' HUP; echo rea''dy; while :; do sleep 0.02; done\n")
	v.sees("ready")
	v.end(errCanceled)
	v.sees("bye")
	if result := v.ends(); result.Outcome != executor.Interrupted || result.Reason != errCanceled.Error() {
		t.Errorf("%+v, %q", result, out)
	}
}

func deafShellIsKilled(t *testing.T, w Way) {
	word := mark(t)
	script, out := w.script(t, "")
	script.Grace = 50 * time.Millisecond
	v := w.opens(t, script, out)
	v.types("trap '' TERM INT HUP QUIT; sh -c 'echo rea\"\"dy; while :; do sleep 1; done' " + word + "\n")
	v.sees("ready")
	v.end(errCanceled)
	if result := v.ends(); result.Outcome != executor.Interrupted || result.Reason != errCanceled.Error() {
		t.Errorf("%+v, %q", result, out)
	}
	mustBeGone(t, word)
}

func tooLateIsNotOpened(t *testing.T, w Way) {
	script, _ := w.script(t, "")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errCanceled)
	if session, err := w.New(t).Open(ctx, script); err == nil {
		t.Errorf("it is open: %v", session)
	}
}
