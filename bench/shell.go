package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// script is what someone would write who has no server: clone, then one shell a step. A clone that is not needed any
// more is removed by whoever has time for it; that is not counted.
const script = `set -euo pipefail
[ -d "$2" ] || git clone -q "$1" "$2"
cd "$2"
for step in one two three; do
  bash -euo pipefail "$3"
done
`

// shellScript runs the steps of the pipeline without a server.
type shellScript struct {
	file     string // of the whole
	stepFile string
	step     string // what a step does
	stamps   *stamps

	mu  sync.Mutex
	cpu time.Duration
}

func newShellScript(s *stage) (*shellScript, error) {
	if err := os.MkdirAll(s.path("work"), 0o700); err != nil {
		return nil, err
	}
	marks := &stamps{path: s.path("stamps")}
	sh := &shellScript{
		file: s.path("all.sh"), stepFile: s.path("step.sh"), stamps: marks, step: `echo "$EPOCHREALTIME" >>` + marks.path,
	}
	if err := os.WriteFile(sh.file, []byte(script), 0o600); err != nil {
		return nil, err
	}
	return sh, os.WriteFile(sh.stepFile, []byte(sh.step), 0o600)
}

// run clones into dir and runs the steps there.
func (s *shellScript) run(ctx context.Context, repository, dir string) error {
	command := exec.CommandContext(ctx, "bash", s.file, repository, dir, s.stepFile)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("the shell's run: %w: %s", err, out)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cpu += command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	return nil
}

// steps runs the steps in a clone that is there.
func (s *shellScript) steps(ctx context.Context, dir string) error { return s.run(ctx, "", dir) }

// used answers the CPU time of all runs, with all that they started.
func (s *shellScript) used() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cpu
}

// stamps is the file in which steps write down when they began.
type stamps struct{ path string }

// take reads and forgets them.
func (s *stamps) take() ([]time.Time, error) {
	text, err := os.ReadFile(s.path)
	if err != nil {
		return nil, err
	}
	var times []time.Time
	for line := range strings.Lines(string(text)) {
		// A second and its millionths, with the locale's point or comma between them.
		digits := strings.Map(onlyDigits, line)
		micros, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read when a step began: %w", err)
		}
		times = append(times, time.UnixMicro(micros))
	}
	return times, s.clear()
}

// clear forgets those of runs that nobody times.
func (s *stamps) clear() error { return os.WriteFile(s.path, nil, 0o600) }

func onlyDigits(r rune) rune {
	if r < '0' || r > '9' {
		return -1
	}
	return r
}
