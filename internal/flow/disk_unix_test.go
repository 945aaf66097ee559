//go:build unix

package flow_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// fill makes the disk full for this process: no file may grow any more. It answers what makes room again.
func fill(t *testing.T, h *house) (makeRoom func()) {
	t.Helper()
	var before syscall.Rlimit
	h.do(syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
	makeRoom = func() { h.do(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before)) }
	t.Cleanup(makeRoom)
	limit := before
	limit.Cur = 1 << 20
	h.do(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
	for _, size := range []int{100_000, 10_000, 1} { // to the last page
		for !h.isFullFor(size) {
		}
	}
	return makeRoom
}

// isFullFor writes so much, and says that there was no room for it.
func (h *house) isFullFor(size int) bool {
	h.t.Helper()
	err := h.store.Update(h.t.Context(), func(tx *store.Tx) error {
		return tx.PutSetting("big", strings.Repeat("x", size)+h.newID()) // never the same
	})
	if !errors.Is(err, store.ErrUnwritable) {
		h.do(err)
	}
	return err != nil
}

func TestAFullDiskIsToldOnceStopsNewWorkAndEndsByItself(t *testing.T) {
	h := newHouse(t, scripts)
	m := h.newMachine("worker")
	run := h.push("Sell more tea")
	work := m.take("shop")
	h.commit("Sell even more tea")
	h.do(h.poller.Poll(t.Context(), h.project)) // recorded, and nobody has looked at it
	makeRoom := fill(t, h)

	watch := func() {
		t.Helper()
		h.clock.pass(time.Second)
		good(h.WatchDisk(t.Context()))(t)
	}
	for range 40 { // seconds, in which nothing can be renewed
		watch()
		if _, err := h.Sweep(t.Context()); err != nil && !errors.Is(err, store.ErrUnwritable) {
			t.Fatal(err)
		}
	}
	if told := h.receiver.of(towpath.AlertStorage); len(told) != 1 || !strings.Contains(told[0].body, "the server's database cannot be written") {
		t.Fatalf("people were told by %+v", told)
	}
	if more, err := h.TakeChanges(t.Context()); more || err != nil {
		t.Errorf("changes are looked at: more %t, %v", more, err)
	}
	if second := m.lease(); second != nil {
		t.Errorf("a new step was leased: %+v", second.Lease)
	}
	if _, _, err := h.RenewStep(t.Context(), work.Lease); !errors.Is(err, store.ErrUnwritable) {
		t.Errorf("a lease was renewed: %v", err)
	}

	makeRoom()
	for range 10 {
		watch()
		good(h.Sweep(t.Context()))(t)
	}
	h.wantStep(run, "shop", towpath.StepRunning) // its worker could not renew, and is given time
	h.do(m.report(work, towpath.AttemptPassed))
	h.take()
	if len(h.runs()) != 2 {
		t.Error("the change that waited made no run")
	}
	for range 90 {
		watch()
	}
	fill(t, h)
	watch()
	if told := h.receiver.of(towpath.AlertStorage); len(keysOf(told)) != 2 || len(told) != 2 {
		t.Errorf("the second time was told by %+v", told)
	}
}
