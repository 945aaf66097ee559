package queue_test

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

var (
	linux = towpath.Worker{ID: "l", OS: "linux", Arch: "amd64", Labels: []string{"gpu"}}
	small = towpath.Worker{ID: "s", OS: "linux", Arch: "amd64"}
	mac   = towpath.Worker{ID: "m", OS: "darwin", Arch: "arm64"}
)

func TestAWorkerTakesTheMostUrgentAttemptThatFits(t *testing.T) {
	s, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "towpath.db"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	at := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	err = s.Update(t.Context(), func(tx *store.Tx) error {
		fill(t, tx, at)
		for _, want := range []string{"urgent", "old", "new"} {
			lease, found, err := queue.Take(tx, queue.Call{Worker: small}, at)
			if err != nil || !found || lease.Step != want || !lease.Expires.Equal(at.Add(queue.LeaseTime)) {
				t.Errorf("leased %+v, %v; want %s", lease, err, want)
			}
		}
		if nothing, err := queue.NothingFor(tx, small); !nothing || err != nil {
			t.Errorf("there is something left: %v", err)
		}
		if _, found, err := queue.Take(tx, queue.Call{Worker: small}, at); found || err != nil {
			t.Errorf("something was leased: %v", err)
		}
		if nothing, err := queue.NothingFor(tx, mac); nothing || err != nil {
			t.Errorf("there is nothing for the other worker: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func fill(t *testing.T, tx *store.Tx, at time.Time) {
	t.Helper()
	steps := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	steps(tx.CreateProject(towpath.Project{ID: "p", Name: "shop"}))
	steps(tx.ClaimPipeline("shop", "p"))
	steps(tx.CreateRun(towpath.Run{ID: "r", Project: "p", Pipeline: "shop", Number: 1, State: towpath.RunRunning, CreatedAt: at}))
	for _, q := range []store.QueuedStep{
		{Step: "new", ReadyAt: at.Add(time.Second)},
		{Step: "old", ReadyAt: at},
		{Step: "elsewhere", ReadyAt: at.Add(-time.Hour), Priority: 9, Selector: towpath.Selector{OS: "darwin"}},
		{Step: "urgent", ReadyAt: at.Add(time.Minute), Priority: 5},
	} {
		q.Run, q.Attempt, q.Project, q.Kind = "r", 1, "p", towpath.KindBuild
		steps(tx.Enqueue(q))
	}
}
