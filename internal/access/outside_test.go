package access_test

import (
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/secret"
	"github.com/towpath-cd/towpath/internal/store"
)

func TestASecretOfElsewhereIsForTheProjectsThatTheSettingsName(t *testing.T) {
	h := newHouse(t)
	commands := func(projects ...string) *secret.Commands {
		return secret.NewCommands(map[string]secret.Command{"vault": {Args: []string{"vault", "get", "x"}, Projects: projects}}, time.Now)
	}
	plain := h.secrets()
	secrets := plain.Outside(commands("mine"))
	put := func(project, name, command string) error {
		return h.store.Update(t.Context(), func(tx *store.Tx) error {
			return secrets.PutOutside(tx, project, name, command, access.SecretGrant{}, h.now)
		})
	}
	wantCode(t, "the project that is named", put("p1", "TOKEN", "vault"), "")
	wantCode(t, "another", put("p2", "TOKEN", "vault"), towpath.CodeForbidden)
	wantCode(t, "a command that is none", put("p1", "OTHER", "rm"), towpath.CodeForbidden)
	wantCode(t, "a name that is none", put("p1", "A-B", "vault"), towpath.CodeInvalid)

	opened := func(secrets *access.Secrets, use access.Use) (given access.Given, shown string, err error) {
		err = h.store.View(t.Context(), func(tx *store.Tx) error {
			known, err := tx.Secrets("p1")
			if err != nil {
				return err
			}
			shown = secrets.Command(tx, known[0])
			given, err = secrets.Open(tx, use, []string{"TOKEN"})
			return err
		})
		return given, shown, err
	}
	use := access.Use{Project: "p1", Branch: "main", Trusted: true}
	given, shown, err := opened(secrets, use)
	if err != nil || given.Outside["TOKEN"] != "vault" || len(given.Values) > 0 || shown != "vault get x" {
		t.Errorf("%+v, %q, %v", given, shown, err)
	}
	_, _, err = opened(secrets, access.Use{Project: "p1", Branch: "main", Trusted: true, Fork: true})
	wantCode(t, "a fork", err, towpath.CodeForbidden)
	for what, later := range map[string]*access.Secrets{"no settings": plain, "others'": plain.Outside(commands("theirs"))} {
		given, shown, err := opened(later, use)
		wantCode(t, what, err, towpath.CodeForbidden)
		if len(given.Outside) > 0 || shown != "" {
			t.Errorf("%s: %+v, %q", what, given, shown)
		}
	}
	h.update(func(tx *store.Tx) error {
		return secrets.Put(tx, "p1", "TOKEN", "hunter2", access.SecretGrant{}, h.now)
	})
	if given, shown, err := opened(plain, use); err != nil || given.Values["TOKEN"] != "hunter2" || shown != "" {
		t.Errorf("%+v, %q, %v", given, shown, err)
	}
}
