//go:build linux

package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// facts are those of towpath demo --json that are promised.
type facts struct {
	Requests   int
	Failed     int
	Failures   []string
	SwitchMS   float64 `json:"switch_ms"`
	RollbackMS float64 `json:"rollback_ms"`
	Commits    []struct {
		Title        string
		Run, Release int
	}
	Rounds []struct{}
	Broken struct {
		Step   string
		Alerts int
	}
	Running *struct {
		Server string
		Stop   string
	}
}

// demo is the shipped demo in a folder of its own.
type demo struct {
	*testing.T
	program string
	root    string // where it makes its folder, and where everything that it starts can be known by
}

func TestTheDemo(t *testing.T) {
	play := func(name string, story func(demo)) {
		t.Run(name, func(t *testing.T) {
			root, err := os.MkdirTemp("/tmp", "td") // short, for the names of sockets
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(root) })
			d := demo{T: t, program: towpath(), root: root}
			story(d)
			d.seesNothingLeft()
		})
	}
	play("tells one object of facts, and no request has failed", demo.tellsFacts)
	play("can be kept and stopped, and ends with its line", demo.isKept)
	for _, moment := range []string{"● build shop", "✓ load"} {
		play("leaves nothing behind when it is interrupted at "+moment, func(d demo) { d.isInterrupted(moment) })
	}
}

func (d demo) tellsFacts() {
	out, problems, err := d.run("demo", "--json")
	if err != nil {
		d.Fatalf("the demo ended with %v:\n%s\n%s", err, out, problems)
	}
	var told facts
	if err := json.Unmarshal(out, &told); err != nil {
		d.Fatalf("%v in %q", err, out)
	}
	if told.Failed > 0 || told.Requests < 1000 {
		d.Errorf("%d of %d requests failed: %q", told.Failed, told.Requests, told.Failures)
	}
	if len(told.Rounds) != 10 || told.SwitchMS <= 0 || told.RollbackMS <= 0 {
		d.Errorf("%d rounds, switch %v ms, rollback %v ms", len(told.Rounds), told.SwitchMS, told.RollbackMS)
	}
	var releases []int
	for _, c := range told.Commits {
		releases = append(releases, c.Release)
	}
	if fmt.Sprint(releases) != "[1 2 0]" {
		d.Errorf("the three commits became the releases %v, want 1, 2 and none", releases)
	}
	if told.Broken.Step != "unit" || told.Broken.Alerts != 1 {
		d.Errorf("of the commit that broke a test it tells %+v", told.Broken)
	}
}

func (d demo) isKept() {
	out, problems, err := d.run("demo", "--plain", "--keep")
	if err != nil {
		d.Fatalf("the demo ended with %v:\n%s\n%s", err, out, problems)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if line := regexp.MustCompile(`^demo: requests \d+, failed 0, switch \d+ ms, rollback \d+ ms$`); !line.MatchString(lines[len(lines)-1]) {
		d.Errorf("its last line is %q", lines[len(lines)-1])
	}
	if bytes.Contains(out, []byte("\x1b")) || bytes.Contains(out, []byte("\r")) {
		d.Error("something moves off a terminal")
	}
	stop := regexp.MustCompile(`to stop +(.+)`).FindSubmatch(out)
	if len(d.left()) < 5 || stop == nil { // server, worker, proxy, holder, instances
		d.Fatalf("it was to be kept, and there is %q:\n%s", d.left(), out)
	}
	words := strings.Fields(string(stop[1]))
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		d.Errorf("%q ended with %v: %s", words, err, out)
	}
}

func (d demo) isInterrupted(moment string) {
	command := d.command("demo", "--plain")
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		d.Fatal(err)
	}
	var told strings.Builder
	isThere := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Fprintln(&told, lines.Text())
		if !isThere && strings.Contains(lines.Text(), moment) {
			isThere = true
			d.interrupt(command)
		}
	}
	if err := command.Wait(); command.ProcessState.ExitCode() != 1 || !strings.Contains(problems.String(), "interrupted") || !isThere {
		d.Errorf("it ended with %v, %q:\n%s", err, problems.String(), told.String())
	}
}

func (d demo) interrupt(command *exec.Cmd) {
	if err := command.Process.Signal(os.Interrupt); err != nil {
		d.Error(err)
	}
}

func (d demo) command(args ...string) *exec.Cmd {
	command := exec.Command(d.program, args...)
	command.Env = append(os.Environ(), "TMPDIR="+d.root)
	command.Dir = d.root
	return command
}

func (d demo) run(args ...string) (out []byte, problems string, err error) {
	command := d.command(args...)
	var said bytes.Buffer
	command.Stderr = &said
	out, err = command.Output()
	return out, said.String(), err
}

// seesNothingLeft: neither a process nor a file. What was killed may take a moment to vanish.
func (d demo) seesNothingLeft() {
	d.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for left := d.left(); len(left) > 0; left = d.left() {
		select {
		case <-tick.C:
		case <-deadline:
			d.Errorf("left running: %q", left)
			d.killLeft()
			return
		}
	}
	if files, err := os.ReadDir(d.root); err != nil || len(files) > 0 {
		d.Errorf("left behind: %v %v", files, err)
	}
}

// left are the processes that work in the demo's folder, or have it on their command line, by their folder in /proc.
func (d demo) left() map[string]string {
	found := map[string]string{}
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range folders {
		where, _ := os.Readlink(filepath.Join(folder, "cwd"))
		command, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
		if strings.Contains(where+" "+string(command), d.root+"/") {
			found[folder] = strings.ReplaceAll(string(command), "\x00", " ")
		}
	}
	return found
}

func (d demo) killLeft() {
	for folder := range d.left() {
		var pid int
		if _, err := fmt.Sscanf(folder, "/proc/%d", &pid); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
