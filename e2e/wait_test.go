//go:build linux

package e2e_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// patience is how long anything may take on a machine with other work.
const patience = 90 * time.Second

// until polls what other processes do, with a deadline.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	within(t, patience, what, holds)
}

// within is until with another deadline.
func within(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// run waits until there is a run for which something holds. While no server answers, it waits on.
func (s *site) run(number int, what string, holds func(client.Run) bool) client.Run {
	s.Helper()
	return s.given(patience, number, what, holds)
}

// given is run with another deadline.
func (s *site) given(limit time.Duration, number int, what string, holds func(client.Run) bool) client.Run {
	s.Helper()
	var seen client.Run
	s.Cleanup(func() {
		if s.Failed() && seen.State != "" {
			s.Logf("while waiting until %s: %s", what, s.describe(seen))
		}
	})
	within(s, limit, fmt.Sprintf("run %d %s", number, what), func() bool {
		found, err := s.api.Run(s.Context(), "app", number)
		if err != nil {
			return false
		}
		seen = found
		if !holds(seen) && isOver(seen) {
			s.Fatalf("run %d is over, and not %s: %s", number, what, s.describe(seen))
		}
		return holds(seen)
	})
	return seen
}

func isOver(r client.Run) bool { return r.State != "running" }

// ends waits for the run's end, which has to be in the state.
func (s *site) ends(number int, state string) client.Run {
	s.Helper()
	return s.run(number, state, func(r client.Run) bool { return r.State == state })
}

// reaches waits until a step is in a state.
func (s *site) reaches(number int, step, state string) client.Run {
	s.Helper()
	return s.run(number, step+" "+state, func(r client.Run) bool { return stepOf(r, step).State == state })
}

func stepOf(r client.Run, name string) client.Step {
	for _, step := range r.Steps {
		if step.Name == name {
			return step
		}
	}
	return client.Step{}
}

// environment waits until something holds for an environment.
func (s *site) environment(name, what string, holds func(client.Environment) bool) client.Environment {
	s.Helper()
	var seen client.Environment
	s.Cleanup(func() {
		if s.Failed() {
			s.Logf("while waiting until %s: %+v", what, seen)
		}
	})
	until(s, name+" "+what, func() bool {
		found, err := s.api.Environment(s.Context(), "app/"+name)
		if err != nil {
			return false
		}
		seen = found
		return holds(seen)
	})
	return seen
}

// isLive says that a release serves and nothing is under way.
func isLive(release int) func(client.Environment) bool {
	return func(e client.Environment) bool {
		return e.Live != nil && e.Live.Number == release && e.Deployment == nil
	}
}

// log answers the log of a step's attempt; 0 is the last.
func (s *site) log(number int, step string, attempt int) string {
	s.Helper()
	text, err := s.readLog(number, step, attempt)
	s.must(err)
	return text
}

func (s *site) readLog(number int, step string, attempt int) (string, error) {
	body, err := s.api.Log(s.Context(), client.LogQuery{Pipeline: "app", Run: number, Step: step, Attempt: attempt})
	if err != nil {
		return "", err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	return string(text), err
}

// describe says what became of a run, with the logs of what failed.
func (s *site) describe(r client.Run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "run %d %s %s", r.Number, r.State, r.Reason)
	for _, step := range r.Steps {
		fmt.Fprintf(&b, "\n  %s %s: %s (attempt %d) %s", step.Kind, step.Name, step.State, step.Attempt, step.Reason)
		if step.State == "failed" && step.Kind != "deploy" && step.Kind != "approve" {
			text, _ := s.readLog(r.Number, step.Name, 0)
			fmt.Fprintf(&b, "\n%s", lastLines(text, 10))
		}
	}
	return b.String()
}
