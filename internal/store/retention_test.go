package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// withPast adds runs 1 to 6 of shop, a minute apart: each has ended and made the release of its number with an artifact
// and a log, except run 6, which goes on.
func withPast(t *testing.T, s *store.Store) {
	t.Helper()
	withShop(t, s)
	update(t, s, func(tx *store.Tx) error {
		for n := 1; n <= 6; n++ {
			number, err := tx.NextRunNumber("shop")
			if err != nil {
				return err
			}
			r := run(runID(n), number)
			if n < 6 {
				r.State, r.FinishedAt = towpath.RunPassed, r.CreatedAt.Add(time.Second)
			}
			err = errors.Join(tx.CreateRun(r),
				tx.CreateRelease(towpath.Release{Project: "p1", Pipeline: "shop", Number: n, Run: r.ID}),
				tx.KeepArtifact(r.ID, towpath.Artifact{Step: "shop", Digest: "sha256:" + r.ID, Path: "dist"}, noon),
				tx.SaveLog(store.Log{Run: r.ID, Step: "shop", Attempt: 1, Lines: 10, Size: 1000, FinishedAt: noon}))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func runID(n int) string { return "r" + string(rune('0'+n)) }

// withProduction adds an environment that knows the given releases.
func withProduction(t *testing.T, s *store.Store, change func(*towpath.Environment)) {
	t.Helper()
	e := towpath.NewEnvironment("p1", "shop", towpath.EnvironmentDefinition{Name: "production"}, noon)
	change(&e)
	update(t, s, func(tx *store.Tx) error { return tx.CreateEnvironment(e) })
}

func release(n int) towpath.ReleaseRef { return towpath.ReleaseRef{Number: n, Change: n} }

func removable(t *testing.T, s *store.Store, p store.Policy, limit int) (ids []string) {
	t.Helper()
	view(t, s, func(tx *store.Tx) error {
		found, err := tx.RemovableRuns(p, limit)
		for _, r := range found {
			ids = append(ids, r.Run)
		}
		return err
	})
	return ids
}

func TestRunsGoByAgeOrByCountButNeverBeforeTheyHaveEnded(t *testing.T) {
	s := open(t)
	withPast(t, s)
	for _, c := range []struct {
		name   string
		policy store.Policy
		limit  int
		want   []string
	}{
		{"no policy", store.Policy{}, 10, nil},
		{"by age", store.Policy{Before: noon.Add(3 * time.Minute)}, 10, []string{"r1", "r2"}},
		{"by count", store.Policy{Newest: 2}, 10, []string{"r1", "r2", "r3", "r4"}},
		{"all of them", store.Policy{Before: noon.Add(time.Hour)}, 10, []string{"r1", "r2", "r3", "r4", "r5"}},
		{"a few at a time", store.Policy{Before: noon.Add(time.Hour)}, 2, []string{"r1", "r2"}},
	} {
		if diff := cmp.Diff(c.want, removable(t, s, c.policy, c.limit)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestWhatAnEnvironmentMayNeedAgainIsNeverRemovable(t *testing.T) {
	for name, change := range map[string]func(*towpath.Environment){
		"live":                     func(e *towpath.Environment) { e.Live = release(2) },
		"goal":                     func(e *towpath.Environment) { e.Goal = release(2) },
		"previous":                 func(e *towpath.Environment) { e.History = []towpath.ReleaseRef{release(2), release(9)} },
		"pinned":                   func(e *towpath.Environment) { e.Pin = &towpath.Pin{From: release(2)} },
		"being deployed":           func(e *towpath.Environment) { e.Deployment = &towpath.Deployment{Release: release(2)} },
		"what a deployment leaves": func(e *towpath.Environment) { e.Deployment = &towpath.Deployment{From: release(2)} },
		"queued":                   func(e *towpath.Environment) { e.Queue = []towpath.Deployment{{Release: release(2)}} },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			withPast(t, s)
			withProduction(t, s, change)
			got := removable(t, s, store.Policy{Before: noon.Add(time.Hour)}, 10)
			if slices.Contains(got, "r2") || !slices.Contains(got, "r1") {
				t.Errorf("removable: %v", got)
			}
		})
	}
}

func TestWhatWasForgottenIsNotOfferedAgain(t *testing.T) {
	s := open(t)
	withPast(t, s)
	policy := store.Policy{Before: noon.Add(2 * time.Minute)}
	update(t, s, func(tx *store.Tx) error { return errors.Join(tx.ForgetLogs("r1"), tx.ForgetArtifacts("r1")) })
	view(t, s, func(tx *store.Tx) error {
		logs, err := tx.RemovableLogs(policy, 10)
		artifacts, err2 := tx.RemovableArtifacts(policy, 10)
		if len(logs)+len(artifacts) != 0 {
			t.Errorf("still offered: %v, %v", logs, artifacts)
		}
		return errors.Join(err, err2)
	})
	if got := removable(t, s, policy, 10); !slices.Equal(got, []string{"r1"}) {
		t.Errorf("removable runs: %v", got)
	}
	update(t, s, func(tx *store.Tx) error { return tx.ForgetRun("r1") })
	view(t, s, func(tx *store.Tx) error {
		if _, err := tx.Release("shop", 1); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the release of a forgotten run: %v", err)
		}
		digests, err := tx.KeptDigests()
		if slices.Contains(digests, "sha256:r1") || len(digests) != 5 {
			t.Errorf("kept digests: %v", digests)
		}
		return err
	})
}

func TestARunStaysForAnyOfItsReleases(t *testing.T) {
	s := open(t)
	withPast(t, s)
	update(t, s, func(tx *store.Tx) error {
		return tx.CreateRelease(towpath.Release{Project: "p1", Pipeline: "shop", Number: 20, Run: runID(2)})
	})
	withProduction(t, s, func(e *towpath.Environment) { e.Live = release(20) })
	if gone := removable(t, s, store.Policy{Newest: 1}, 10); slices.Contains(gone, runID(2)) {
		t.Fatalf("%v may go, among them the run of a live release, because it had made another one before", gone)
	}
}
