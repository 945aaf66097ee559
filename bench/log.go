package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// What the step prints: lines of 106 bytes with their newline, as the page with the goals has them. A few of them hold one
// of the secrets.
const (
	logLines   = 1_000_000
	logSecrets = 10
	secretEach = 10_000 // lines
)

// printing is the script. It writes down when it began and when it had printed everything; the shell does that without a
// process of its own.
const printing = `echo "$EPOCHREALTIME" >>%[1]s
awk 'BEGIN {
  for (i = 0; i < %[2]d; i++)
    if (i %% %[3]d) printf "%%08d compiling package/number/of/many/with/all/of/the/options/that/compilers/of/our/times/do/have -%%07d\n", i, i * 7919 %% 9999991
    else printf "%%08d the key is %%s\n", i, ENVIRON["SECRET_" i / %[3]d %% %[4]d]
}'
echo "$EPOCHREALTIME" >>%[1]s
`

const logPipeline = `pipeline: log
on: {manual: true, push: false, poll: off}
steps:
  - test: million
    secrets: [%s]
    run: |
%s
`

// logs is the benchmark's two sides: a server with a worker, and a shell.
type logs struct {
	*stage
	*server
	worker *process
	stamps *stamps
	script string
	plain  string // the file that the shell writes
	log    client.LogQuery
}

// measureLog has a step print a million lines, and then reads them.
func measureLog(ctx context.Context, s *stage) ([]Figure, error) {
	l, err := newLogs(ctx, s)
	if err != nil {
		return nil, err
	}
	all, err := l.alternate(ctx)
	if err != nil {
		return nil, err
	}
	figures := all.figures()
	read, err := l.measureReading(ctx)
	return append(figures, read...), err
}

func newLogs(ctx context.Context, s *stage) (*logs, error) {
	l := &logs{stage: s, stamps: &stamps{path: s.path("stamps")}, plain: s.path("plain.log")}
	l.script = fmt.Sprintf(printing, l.stamps.path, logLines, secretEach, logSecrets)
	var err error
	if l.server, err = s.startServer(ctx, "--no-worker"); err != nil {
		return nil, err
	}
	if l.worker, err = s.startWorker(ctx, l.server); err != nil {
		return nil, err
	}
	return l, l.addProject(ctx)
}

func (l *logs) addProject(ctx context.Context) error {
	script := "      " + strings.ReplaceAll(strings.TrimSpace(l.script), "\n", "\n      ")
	made, err := l.newRepository(ctx, "log", fmt.Sprintf(logPipeline, strings.Join(secretNames(), ", "), script))
	if err != nil {
		return err
	}
	if _, err := l.AddProject(ctx, client.NewProject{URL: made.dir, Name: "log"}); err != nil {
		return err
	}
	for _, name := range secretNames() {
		if err := l.PutSecret(ctx, "log", client.Secret{Name: name, Value: secretOf(name), Branches: []string{"main"}}); err != nil {
			return err
		}
	}
	return until(ctx, "the first look at the repository", func() (bool, error) {
		seen, err := l.Changes(ctx, "log")
		return len(seen) > 0 && seen[0].Outcome != "pending", err
	})
}

func secretNames() []string {
	var names []string
	for i := range logSecrets {
		names = append(names, fmt.Sprintf("SECRET_%d", i))
	}
	return names
}

func secretOf(name string) string { return "never-to-be-seen-" + name + "-0123456789" }

// printed is what the rounds took, in seconds.
type printed struct {
	step  []float64 // from the script's beginning until it has printed everything
	whole []float64 // from there until its log is sealed on the server
	file  []float64 // the same script, that writes into a file
	pipe  []float64 // and into a pipe, from which somebody writes into a file
}

func (l *logs) alternate(ctx context.Context) (printed, error) {
	var all printed
	for i := range l.rounds(10, 3) {
		l.say("log: round %d", i+1)
		file, err := l.byShell(ctx, ">"+l.plain)
		if err != nil {
			return all, err
		}
		pipe, err := l.byShell(ctx, "| cat >"+l.plain)
		if err != nil {
			return all, err
		}
		step, whole, err := l.byServer(ctx)
		if err != nil {
			return all, err
		}
		all.file, all.pipe = append(all.file, file), append(all.pipe, pipe)
		all.step, all.whole = append(all.step, step), append(all.whole, whole)
	}
	return all, nil
}

// byShell runs the script with its output to somewhere, in a session of its own, as steps run: where the machine is busy,
// Linux shares the processors among sessions (sched(7), autogroups).
func (l *logs) byShell(ctx context.Context, to string) (seconds float64, err error) {
	command := exec.CommandContext(ctx, "setsid", "--wait", "bash", "-euo", "pipefail", "-c", "{ "+l.script+" } "+to)
	command.Env = os.Environ()
	for _, name := range secretNames() {
		command.Env = append(command.Env, name+"="+secretOf(name))
	}
	if out, err := command.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("the shell's log: %w: %s", err, out)
	}
	began, ended, err := l.beginAndEnd()
	return ended.Sub(began).Seconds(), err
}

func (l *logs) byServer(ctx context.Context) (step, whole float64, err error) {
	run, err := l.StartRun(ctx, "log", client.StartRun{})
	if err != nil {
		return 0, 0, err
	}
	if run, err = l.finish(ctx, run); err != nil {
		return 0, 0, err
	}
	sealed := time.Now()
	l.log = client.LogQuery{Pipeline: run.Pipeline, Run: run.Number, Step: "million"}
	began, ended, err := l.beginAndEnd()
	return ended.Sub(began).Seconds(), sealed.Sub(began).Seconds(), err
}

// beginAndEnd reads what the script wrote down.
func (l *logs) beginAndEnd() (began, ended time.Time, err error) {
	times, err := l.stamps.take()
	if err == nil && len(times) != 2 {
		err = errors.New("the script did not write down when it began and when it ended")
	}
	if err != nil {
		return began, ended, err
	}
	return times[0], times[1], nil
}

// The goals of the page, in s, and what the shell took where they were set.
const (
	millionGoal, millionKnown = 2.0, 0.3
	slowerGoal                = 1.1
)

func (p printed) figures() []Figure {
	file, pipe := median(p.file), median(p.pipe)
	return []Figure{
		{Name: "1,000,000 lines, from the script to the sealed log", Ours: median(p.whole), Unit: "s", Reference: "shell, to a file", Limit: file, Goal: AtMostAs(millionGoal, millionKnown, file)},
		{Name: "the step that prints them", Ours: median(p.step), Unit: "s", Reference: "shell, by a pipe to a file", Limit: pipe, Goal: AtMost(slowerGoal * pipe)},
		{Name: "the step beside a file", Ours: median(p.step), Unit: "s", Reference: "shell, to a file", Limit: file},
	}
}
