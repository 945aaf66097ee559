package queue_test

import (
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/store"
)

// seen is workers that were just heard of.
func seen(workers ...towpath.Worker) (known []store.KnownWorker) {
	for _, w := range workers {
		w.Name, w.SeenAt = "barge-"+w.ID, noon
		known = append(known, store.KnownWorker{Worker: w})
	}
	return known
}

func TestPeopleAreToldWhyAStepWaits(t *testing.T) {
	drained, silent := seen(mac), seen(mac)
	drained[0].Draining, silent[0].SeenAt = true, noon.Add(-2*time.Hour)
	gpu, docker := towpath.Selector{Labels: []string{"gpu"}}, towpath.Selector{Labels: []string{"has=docker"}}
	for _, c := range []struct {
		selector towpath.Selector
		workers  []store.KnownWorker
		want     string
	}{
		{towpath.Selector{}, nil, "no worker is connected"},
		{towpath.Selector{}, seen(linux), "waiting for one of 1 worker to be free"},
		{towpath.Selector{OS: "linux"}, seen(linux, small, mac), "waiting for one of 2 workers to be free"},
		{towpath.Selector{OS: "windows"}, seen(linux, small, mac), "no worker has os=windows; 1 has darwin/arm64, 2 have linux/amd64"},
		{towpath.Selector{OS: "windows", Arch: "arm64"}, seen(linux, mac), "no worker has os=windows; 1 has darwin/arm64, 1 has linux/amd64"},
		{towpath.Selector{OS: "linux", Arch: "arm64"}, seen(linux, mac), "no worker has os=linux and arch=arm64; 1 has darwin/arm64, 1 has linux/amd64"},
		{gpu, seen(small), "no worker has label gpu; 1 has linux/amd64"},
		{docker, seen(small), "no worker has docker; 1 has linux/amd64"},
		{towpath.Selector{OS: "darwin"}, append(seen(small), drained...), "no worker that fits is there; barge-m is drained"},
		{towpath.Selector{OS: "darwin"}, append(seen(small), silent...), "no worker that fits is there; barge-m was not heard of for 2h0m0s"},
	} {
		lane := store.Lane{Pipeline: "shop", First: store.QueuedStep{Selector: c.selector}}
		if got := queue.Why(lane, c.workers, noon); got != c.want {
			t.Errorf("%+v waits because %q, want %q", c.selector, got, c.want)
		}
	}
	full := store.Lane{Pipeline: "shop", Running: 2, AtOnce: 2}
	if got, want := queue.Why(full, seen(linux), noon), "shop runs 2 steps, and may run no more at a time"; got != want {
		t.Errorf("at its limit: %q, want %q", got, want)
	}
}
