//go:build unix

package flow_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/secret"
	"github.com/towpath-cd/towpath/internal/store"
)

const guarded = `pipeline: shop
on: {push: {}, manual: true}
steps:
  - {build: shop, run: make, secrets: [TOKEN]}
`

// vaulted has the secret TOKEN read by a command, and answers the file in which the command finds the value.
func (h *house) vaulted(grant access.SecretGrant) (value string) {
	h.t.Helper()
	value = filepath.Join(h.t.TempDir(), "value")
	h.secrets = h.secrets.Outside(secret.NewCommands(map[string]secret.Command{
		"vault": {Args: []string{"cat", value}, Projects: []string{"shop"}},
	}, h.clock.Now))
	h.options.Secrets = granted{h.secrets}
	h.Conductor = flow.New(h.options)
	h.do(h.Resume(h.t.Context()))
	h.update(func(tx *store.Tx) error {
		return h.secrets.PutOutside(tx, h.project.ID, "TOKEN", "vault", grant, h.clock.Now())
	})
	return value
}

func TestASecretOfElsewhereIsFetchedForItsStep(t *testing.T) {
	t.Parallel()
	h := newHouse(t, guarded)
	value := h.vaulted(access.SecretGrant{})
	h.do(os.WriteFile(value, []byte("hunter2\n"), 0o600))
	m := h.newMachine("worker")
	h.push("Sell more tea")
	work := m.take("shop")
	if work.Secrets["TOKEN"] != "hunter2" || !work.Lease.Expires.Equal(h.clock.Now().Add(queue.LeaseTime)) {
		t.Errorf("%v until %s", work.Secrets, work.Lease.Expires)
	}
	h.view(func(tx *store.Tx) error {
		uses, err := tx.SecretUses(h.project.ID, "TOKEN", 10)
		if len(uses) != 1 || uses[0].Step != "shop" {
			t.Errorf("it was used by %+v", uses)
		}
		return err
	})
	h.do(m.report(work, towpath.AttemptPassed))

	h.do(os.Remove(value))
	run := h.push("Sell more coffee")
	if work := m.lease(); work != nil {
		t.Errorf("it was given %+v", work.Lease)
	}
	h.view(func(tx *store.Tx) error {
		uses, err := tx.SecretUses(h.project.ID, "TOKEN", 10)
		if len(uses) != 1 {
			t.Errorf("it was given away nevertheless: %+v", uses)
		}
		return err
	})
	step := h.wantStep(run, "shop", towpath.StepFailed)
	if !strings.HasPrefix(step.Reason, "secret TOKEN: command vault exited with status 1: cat: ") || len(step.Attempts) != 1 {
		t.Errorf("%+v", step)
	}
}

func TestASecretOfElsewhereReachesWhoWaitsForAStep(t *testing.T) {
	t.Parallel()
	h := newHouse(t, guarded)
	value := h.vaulted(access.SecretGrant{})
	h.do(os.WriteFile(value, []byte("hunter2"), 0o600))
	waiting := h.newMachine("worker").calls()
	h.push("Sell more tea")
	if work := waiting.wantStep(t, "shop"); work.Secrets["TOKEN"] != "hunter2" {
		t.Errorf("%v", work.Secrets)
	}
}

func TestAnEnvironmentWaitsForItsSecretOfElsewhereAndNothingWaitsForThat(t *testing.T) {
	t.Parallel()
	h := newHouse(t, shop)
	value := h.vaulted(access.SecretGrant{Environments: []string{"poor"}})
	m := h.newMachine("worker")
	poor, rich := h.addEnvironment("poor", "TOKEN"), h.addEnvironment("rich")
	if keeping := m.keeps(); len(keeping.Orders) != 1 || keeping.Orders[0].Environment.Key != rich {
		t.Errorf("the orders are %+v", keeping.Orders)
	}
	h.eventually("it says what it waits for", func() bool {
		m.keeps()
		return strings.Contains(h.Doing(poor), "waits: secret TOKEN: command vault exited with status 1: cat: ")
	})
	h.do(os.WriteFile(value, []byte("hunter2"), 0o600))
	h.pass(queue.LeaseTime / 2)
	m.keeps()
	h.pass(queue.LeaseTime - time.Second)
	h.eventually("it is kept", func() bool { m.keeps(); return m.orders[poor].Secrets["TOKEN"] == "hunter2" })
	h.do(os.Remove(value))
	h.clock.pass(time.Hour) // what is told again needs no command
	order, err := m.Reported(t.Context(), poor, flow.Report{Epoch: h.environment(poor).Epoch})
	if err != nil || order.Secrets["TOKEN"] != "hunter2" {
		t.Errorf("%v, %v", order.Secrets, err)
	}
}
