package queue_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

// BenchmarkALookAtALongQueue is what a call of a worker costs while ten thousand steps wait that it cannot run, beside
// judging each of them.
func BenchmarkALookAtALongQueue(b *testing.B) {
	s, err := store.Open(b.Context(), store.Options{Path: filepath.Join(b.TempDir(), "towpath.db"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	err = s.Update(b.Context(), func(tx *store.Tx) error { return fillLong(tx) })
	if err != nil {
		b.Fatal(err)
	}
	view := func(look func(*store.Tx) (bool, error)) func(*testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				err := s.View(b.Context(), func(tx *store.Tx) error {
					nothing, err := look(tx)
					if !nothing {
						b.Error("something was found")
					}
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Run("lanes", view(func(tx *store.Tx) (bool, error) { return queue.NothingFor(tx, small) }))
	b.Run("each", view(func(tx *store.Tx) (bool, error) {
		all, err := tx.Ready(10_000)
		for _, q := range all {
			if q.Selector.Admits(small) {
				return false, err
			}
		}
		return len(all) == 10_000, err
	}))
}

// fillLong has ten pipelines with a thousand steps each.
func fillLong(tx *store.Tx) error {
	if err := tx.CreateProject(towpath.Project{ID: "p", Name: "shop"}); err != nil {
		return err
	}
	for n := range 10 {
		pipeline := fmt.Sprintf("shop%d", n)
		if err := tx.ClaimPipeline(pipeline, "p"); err != nil {
			return err
		}
		run := towpath.Run{ID: pipeline, Project: "p", Pipeline: pipeline, Number: 1, State: towpath.RunRunning, CreatedAt: noon}
		if err := tx.CreateRun(run); err != nil {
			return err
		}
		for step := range 1000 {
			q := store.QueuedStep{
				Run: run.ID, Step: fmt.Sprint(step), Attempt: 1, Project: "p", Kind: towpath.KindBuild,
				Selector: towpath.Selector{OS: "windows"}, ReadyAt: noon,
			}
			if err := tx.Enqueue(q); err != nil {
				return err
			}
		}
	}
	return nil
}
