package flow_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/git"
	"github.com/towpath-cd/towpath/internal/store"
)

// credentials are what each project's repository is shown; for one that has none there is an error.
type credentials map[string]git.Access

func (c credentials) ForRepository(_ *store.Tx, p towpath.Project) (git.Access, error) {
	access, known := c[p.ID]
	if !known {
		return access, errors.New("the key of shop cannot be opened")
	}
	return access, nil
}

func TestALeaseBringsWhatTheRepositoryIsShown(t *testing.T) {
	t.Parallel()
	h := newHouse(t, scripts)
	h.update(func(tx *store.Tx) error {
		p, version, err := tx.Project(h.project.ID)
		p.KnownHosts = "git.example.com ssh-ed25519 AAAA"
		return errors.Join(err, tx.SaveProject(p, version))
	})
	shown := credentials{"shop": {User: "bot", Password: "s3cr3t"}}
	h.options.Credentials = shown
	h.Conductor = flow.New(h.options)
	m := h.newMachine("worker")
	h.push("Sell more tea")
	if got := m.take("shop").Access; got.User != "bot" || got.Password != "s3cr3t" || got.KnownHosts != "git.example.com ssh-ed25519 AAAA" {
		t.Errorf("the lease brings %+v", got)
	}

	run := h.push("Sell even more")
	delete(shown, "shop")
	if work := m.lease(); work != nil {
		t.Fatalf("leased %+v without credentials", work)
	}
	if step := h.wantStep(run, "shop", towpath.StepFailed); !strings.Contains(step.Reason, "cannot be opened") {
		t.Errorf("the step failed because %q", step.Reason)
	}
}
