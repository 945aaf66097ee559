//go:build unix

package demo

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"github.com/towpath-cd/towpath/internal/process"
)

// standing is a stage with a process on it that goes on until it is ended.
func standing(t *testing.T) *stage {
	t.Helper()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	s, err := newStage(sleep)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		os.RemoveAll(s.folder)
	})
	if err := s.start("worker", nil, "1000"); err != nil {
		t.Fatal(err)
	}
	return s
}

// written is who runs, as another process is told.
func (s *stage) written(t *testing.T) process.Identity {
	t.Helper()
	var told stage
	text, err := os.ReadFile(s.path(stageFile))
	if err == nil {
		err = json.Unmarshal(text, &told)
	}
	if err != nil {
		t.Fatal(err)
	}
	return told.actor("worker").Identity
}

func TestWhatWasKilledAndStartedAgainIsWhatIsStopped(t *testing.T) {
	s := standing(t)
	first := s.written(t)
	if !process.Alive(first) {
		t.Fatal("it does not run")
	}
	if _, err := s.kill(t.Context(), "worker"); err != nil || process.Alive(first) {
		t.Fatalf("it was killed: %v", err)
	}
	if err := s.restart("worker"); err != nil {
		t.Fatal(err)
	}
	again := s.written(t)
	if again == first || !process.Alive(again) {
		t.Errorf("first %+v, and again %+v", first, again)
	}
	if err := Stop(t.Context(), s.folder); err != nil || process.Alive(again) {
		t.Errorf("it was stopped: %v", err)
	}
}

func TestWhatCannotBeStartedAgainIsTold(t *testing.T) {
	s := standing(t)
	if _, err := s.kill(t.Context(), "worker"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(s.program()); err != nil {
		t.Fatal(err)
	}
	if err := s.restart("worker"); err == nil {
		t.Error("it was started from nothing")
	}
	if _, err := s.kill(t.Context(), "worker"); err == nil {
		t.Error("it was killed twice")
	}
}
