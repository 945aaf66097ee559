package shell_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/executor/shell"
	"github.com/towpath-cd/towpath/internal/process"
)

// idler has this binary run as a program of a script, which writes down who it is, and then neither does nor heeds anything.
const idler = "TOWPATH_TEST_IDLER"

func TestMain(m *testing.M) {
	if file := os.Getenv(idler); file != "" {
		if err := os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		heard := make(chan os.Signal, 1)
		signal.Notify(heard)
		fmt.Println("idle")
		for range heard {
		}
	}
	os.Exit(m.Run())
}

// lines is what a script prints, and tells whoever waits for a line.
type lines struct {
	mutex   sync.Mutex
	printed bytes.Buffer
	changed chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.printed.Write(p)
}

func (l *lines) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return strings.ReplaceAll(l.printed.String(), "\r\n", "\n")
}

func (l *lines) await(t *testing.T, text string) {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		l.mutex.Lock()
		changed := l.changed
		l.mutex.Unlock()
		if strings.Contains(l.String(), text) {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%q was never printed: %q", text, l)
		}
	}
}

// script is one of cmd in folders with a blank, and what else people call folders on Windows.
func script(t *testing.T, text string) (executor.Script, *lines) {
	t.Helper()
	out := &lines{changed: make(chan struct{})}
	dir, err := os.MkdirTemp(os.Getenv("TOWPATH_TEST_FOLDER"), "script")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // wine 8 cannot: whoever has it run this removes the folder that is given
	s := executor.Script{
		Text: text, Shell: "cmd", Dir: filepath.Join(dir, "a workspace"), Scratch: filepath.Join(dir, "scratch (x86)"), Output: out,
		Grace: 10 * time.Second, Env: []string{"IDLER=" + os.Args[0]},
	}
	for _, name := range []string{"PATH", "PATHEXT", "COMSPEC", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR"} {
		s.Env = append(s.Env, name+"="+os.Getenv(name))
	}
	for _, name := range []string{s.Dir, s.Scratch} {
		if err := os.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s, out
}

func ran(t *testing.T, s executor.Script) executor.Result {
	t.Helper()
	result, err := shell.New().Run(t.Context(), s)
	if err != nil {
		t.Error(err)
	}
	return result
}

func TestCmdTellsHowAScriptEnded(t *testing.T) {
	for text, want := range map[string]int{
		"exit 0": 0, "exit 7": 7, "exit /b 7": 7, "echo on\nexit /b 0": 0, "cmd /c exit 5": 5, "cd no-such-folder": 1,
		"call :part\nexit /b %ERRORLEVEL%\n:part\nexit /b 9": 9,
	} {
		s, out := script(t, text)
		if result := ran(t, s); result != executor.Ended(want, 0) {
			t.Errorf("%q: %+v, want %d; %q", text, result, want, out)
		}
	}
}

func TestCmdGetsTheScriptAsItWasWritten(t *testing.T) {
	s, out := script(t, "echo first\necho second 1>&2\nif \"%GIVEN%\" == \"a b\" (\n  echo third\n)\ngoto last\necho never\n:last\ntype file\ncd")
	s.Env = append(s.Env, "GIVEN=a b")
	if err := os.WriteFile(filepath.Join(s.Dir, "file"), []byte("content\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "first\nsecond \nthird\ncontent\n" + s.Dir + "\n"
	if result := ran(t, s); !result.Passed() || out.String() != want {
		t.Errorf("%+v, %q, want %q", result, out, want)
	}
}

func TestALongCmdScriptAndMuchOutputComeWhole(t *testing.T) {
	s, out := script(t, strings.Repeat("rem "+strings.Repeat("x", 95)+"\n", 2048)+"for /L %%i in (1,1,3000) do @echo line %%i of many")
	if result := ran(t, s); !result.Passed() || strings.Count(out.String(), "\n") != 3000 || !strings.HasSuffix(out.String(), "line 3000 of many\n") {
		t.Errorf("%+v, %d lines", result, strings.Count(out.String(), "\n"))
	}
}

func TestAShellThatIsNotThereIsTold(t *testing.T) {
	s, out := script(t, "echo on")
	s.Shell = "no-such-shell -x"
	result := ran(t, s)
	if result.Outcome != executor.NotStarted || !strings.Contains(result.Reason, `no shell "no-such-shell"`) || out.String() != "" {
		t.Errorf("%+v, %q", result, out)
	}
}

// idle is a program that a script starts, in the background where the script says so.
func idle(s *executor.Script, how string) (file string) {
	file = filepath.Join(s.Dir, "idler")
	s.Env = append(s.Env, idler+"="+file)
	s.Text = how
	return file
}

func pidIn(t *testing.T, file string) int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func mustBeGone(t *testing.T, pid int) {
	t.Helper()
	if id, err := process.Of(pid); !errors.Is(err, process.ErrGone) {
		t.Errorf("%+v lives on (%v)", id, err)
	}
}

func TestWhatAScriptLeavesRunningEndsWithIt(t *testing.T) {
	s, out := script(t, "")
	file := idle(&s, "start /b cmd /c \"%IDLER%\"\n:wait\nif not exist idler goto wait\necho end")
	if result := ran(t, s); !result.Passed() || !strings.HasSuffix(out.String(), "end\n") {
		t.Errorf("%+v, %q", result, out)
	}
	mustBeGone(t, pidIn(t, file))
}

func TestAnEndByForceTakesTheWholeTree(t *testing.T) {
	for name, end := range map[string]struct {
		timeout time.Duration
		want    executor.Outcome
	}{"timeout": {10 * time.Second, executor.TimedOut}, "interrupt": {0, executor.Interrupted}} {
		s, out := script(t, "")
		file := idle(&s, "cmd /c cmd /c \"%IDLER%\"\nexit /b 3")
		s.Timeout, s.Grace = end.timeout, 200*time.Millisecond
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan executor.Result, 1)
		go func() {
			result, err := shell.New().Run(ctx, s)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			ended <- result
		}()
		out.await(t, "idle")
		pid := pidIn(t, file)
		if end.timeout == 0 {
			cancel(errors.New("canceled by Ada"))
		}
		if result := <-ended; result.Outcome != end.want {
			t.Errorf("%s: %+v", name, result)
		}
		cancel(nil)
		mustBeGone(t, pid)
	}
}

func TestWindowsGivesNobodyATerminal(t *testing.T) {
	for _, way := range []executor.Executor{shell.New(), shell.New().Confined(shell.Confinement{})} {
		if session, err := way.Open(t.Context(), executor.Script{}); !errors.Is(err, executor.ErrNoTerminal) || !strings.Contains(err.Error(), "worker: linux") {
			t.Errorf("%v, %v", session, err)
		}
	}
}
