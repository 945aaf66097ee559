package flow_test

import (
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// breaks pushes and lets the first step fail or pass.
func (h *house) breaks(m *machine, state towpath.AttemptState) {
	h.t.Helper()
	h.push("Change something")
	h.do(m.report(m.take("shop"), state))
	h.settle()
}

func oneStep(alerts string) string {
	return "pipeline: shop\n" + alerts + "steps:\n  - {build: shop, run: make}\n"
}

func TestPeopleAreToldOfBrokenStillBrokenAndFixedOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, oneStep(""))
	m := h.newMachine("worker")
	for _, state := range []towpath.AttemptState{
		towpath.AttemptPassed, towpath.AttemptFailed, towpath.AttemptFailed, towpath.AttemptPassed, towpath.AttemptPassed,
	} {
		h.breaks(m, state)
	}
	for _, kind := range []towpath.AlertKind{towpath.AlertBroke, towpath.AlertStillBroke, towpath.AlertFixed} {
		told := h.receiver.of(kind)
		if len(told) != 1 || !strings.Contains(told[0].body, `"to":["ada@example.com"]`) {
			t.Errorf("%s was told by %+v", kind, told)
		}
	}
}

func TestTheFileSaysWhoIsTold(t *testing.T) {
	t.Parallel()
	for alerts, to := range map[string]string{
		"alerts: {broke: [author, team-shop]}\n":             `"to":["ada@example.com","team-shop"]`,
		"alerts: {broke: [team-shop, team-shop]}\n":          `"to":["team-shop"]`,
		"alerts: {still-broke: team-shop}\n":                 `"to":["ada@example.com"]`,
		"alerts: {broke: [ada@example.com, author, team]}\n": `"to":["ada@example.com","team"]`,
	} {
		h := newHouse(t, oneStep(alerts))
		h.breaks(h.newMachine("worker"), towpath.AttemptFailed)
		if told := h.receiver.of(towpath.AlertBroke); len(told) != 1 || !strings.Contains(told[0].body, to) {
			t.Errorf("with %s people were told by %+v", alerts, told)
		}
	}
}

func TestAnEmptyListTellsNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, oneStep("alerts: {broke: []}\n"))
	h.breaks(h.newMachine("worker"), towpath.AttemptFailed)
	if told := h.receiver.of(towpath.AlertBroke); len(told) > 0 {
		t.Errorf("people were told by %+v", told)
	}
}

func TestWhatIsNoNewsIsOwedToNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t, oneStep(""))
	m := h.newMachine("worker")
	for _, end := range []struct {
		state towpath.AttemptState
		owed  string
	}{
		{towpath.AttemptPassed, ""},
		{towpath.AttemptPassed, ""},
		{towpath.AttemptFailed, "announce/%s/failed"},
		{towpath.AttemptFailed, "announce/%s/failed"},
		{towpath.AttemptPassed, "announce/%s/passed"},
		{towpath.AttemptPassed, ""},
	} {
		run := h.push("Change something")
		h.do(h.ReportStep(t.Context(), m.take("shop").Lease, towpath.StepReported{State: end.state}, store.Log{}))
		if owed, want := h.owed(), strings.ReplaceAll(end.owed, "%s", run); owed != want {
			t.Errorf("after a run that %s %q is owed, want %q", end.state, owed, want)
		}
		h.settle()
	}
}
