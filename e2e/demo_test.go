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
	Recovered  int
	Commits    []struct {
		Title        string
		Run, Release int
		Returned     bool
	}
	Rounds []struct{}
	Broken struct {
		Step   string
		Alerts int
	}
	Returned struct {
		Release, To, Errors, Alerts int
		TrafficMS                   float64 `json:"traffic_ms"`
		Verdict, Pin, Alert, Log    string
	}
	Kills []struct {
		Process    string
		Release    int
		AnsweredMS float64 `json:"answered_ms"`
		LiveMS     float64 `json:"live_ms"`
		Failed     int
	}
	Running *struct {
		Server string
		Stop   string
	}
}

// lastLine is how the last line begins.
const lastLine = `^demo: requests \d+, failed 0, switch \d+ ms, rollback \d+ ms, recovered `

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
	play("fails where the server does not recover from its kill", demo.isNotRecoveredFrom)
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
	if fmt.Sprint(releases) != "[1 2 0 3 4 5]" {
		d.Errorf("the six commits became the releases %v, want 1, 2, none, 3, 4 and 5", releases)
	}
	if told.Broken.Step != "unit" || told.Broken.Alerts != 1 {
		d.Errorf("of the commit that broke a test it tells %+v", told.Broken)
	}
	d.recovers(told)
}

func (d demo) recovers(told facts) {
	if told.Recovered != 3 || len(told.Kills) != 2 {
		d.Fatalf("%d of 3 were recovered from: %+v, %+v", told.Recovered, told.Returned, told.Kills)
	}
	r := told.Returned
	if r.Release != 3 || r.To != 2 || r.Errors == 0 || r.TrafficMS <= 0 || r.Alerts != 1 || !told.Commits[3].Returned {
		d.Errorf("of the release that answered errors it tells %+v", r)
	}
	if !strings.Contains(r.Verdict, "requests failed (limit 1%") || !strings.Contains(r.Pin, "release 3") || !strings.Contains(r.Log, "no basket is free") {
		d.Errorf("why it was moved back it tells by %+v", r)
	}
	for n, process := range []string{"server", "worker"} {
		k := told.Kills[n]
		if k.Process != process || k.Release != 4+n || k.AnsweredMS <= 0 || k.LiveMS <= k.AnsweredMS || k.Failed > 0 {
			d.Errorf("of the kill of the %s it tells %+v", process, k)
		}
	}
}

func (d demo) isKept() {
	out, problems, err := d.run("demo", "--plain", "--keep")
	if err != nil {
		d.Fatalf("the demo ended with %v:\n%s\n%s", err, out, problems)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if line := lines[len(lines)-1]; !regexp.MustCompile(lastLine + "3 of 3$").MatchString(line) {
		d.Errorf("its last line is %q", line)
	}
	if apart := regexp.MustCompile(`(?m)^5xx +[1-9]\d* answers`); !apart.Match(out) {
		d.Errorf("no row tells of the errors of the bad release:\n%s", out)
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

// isNotRecoveredFrom spoils the server's folder, so that it runs on, and does not start again.
func (d demo) isNotRecoveredFrom() {
	code, out, problems := d.seen("6  the server is killed", func(*exec.Cmd) {
		keys, err := filepath.Glob(filepath.Join(d.root, "towpath-*", "server", "secret.key"))
		if err != nil || len(keys) != 1 {
			d.Errorf("the server's key: %q, %v", keys, err)
			return
		}
		if err := os.WriteFile(keys[0], []byte("spoilt"), 0o600); err != nil {
			d.Error(err)
		}
	})
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if line := lines[len(lines)-1]; code != 1 || !regexp.MustCompile(lastLine+"1 of 3$").MatchString(line) {
		d.Errorf("it ended with %d and the line %q", code, line)
	}
	for _, told := range []string{"part 6 failed", "the kill of the server", "secret.key", "the logs of all processes are in " + d.root} {
		if !strings.Contains(problems, told) {
			d.Errorf("it does not tell %q: %s", told, problems)
		}
	}
	kept, err := filepath.Glob(filepath.Join(d.root, "towpath-*", "logs", "server.log"))
	if err != nil || len(kept) != 1 {
		d.Errorf("the logs are not there: %q, %v", kept, err)
		return
	}
	if err := os.RemoveAll(filepath.Dir(filepath.Dir(kept[0]))); err != nil {
		d.Error(err)
	}
}

func (d demo) isInterrupted(moment string) {
	code, out, problems := d.seen(moment, d.interrupt)
	if code != 1 || !strings.Contains(problems, "interrupted") {
		d.Errorf("it ended with %d, %q:\n%s", code, problems, out)
	}
}

// seen runs the demo, does something when it says that a moment has come, and answers how it ended.
func (d demo) seen(moment string, do func(*exec.Cmd)) (code int, told, problems string) {
	command := d.command("demo", "--plain")
	var said bytes.Buffer
	command.Stderr = &said
	out, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		d.Fatal(err)
	}
	var text strings.Builder
	isThere := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Fprintln(&text, lines.Text())
		if !isThere && strings.Contains(lines.Text(), moment) {
			isThere = true
			do(command)
		}
	}
	err = command.Wait()
	if !isThere {
		d.Errorf("it never said %q, and ended with %v", moment, err)
	}
	return command.ProcessState.ExitCode(), text.String(), said.String()
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
