package access_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/secret"
	"github.com/towpath-cd/towpath/internal/store"
)

// secrets makes a keeper of secrets with a key of its own.
func (h *house) secrets() *access.Secrets {
	h.Helper()
	keys, err := secret.LoadOrCreate(filepath.Join(h.TempDir(), "secrets.key"))
	if err != nil {
		h.Fatal(err)
	}
	return access.NewSecrets(keys)
}

func TestASecretGoesOnlyWhereItWasGranted(t *testing.T) {
	h := newHouse(t)
	secrets := h.secrets()
	h.update(func(tx *store.Tx) error {
		put := func(name string, grant access.SecretGrant) error {
			return secrets.Put(tx, "p1", name, "value of "+name, grant, h.now)
		}
		return errors.Join(
			put("STEPS", access.SecretGrant{}),
			put("PRODUCTION", access.SecretGrant{Environments: []string{"production"}}),
			put("REVIEW", access.SecretGrant{Environments: []string{"review"}, Branches: []string{"feature/*"}}))
	})
	trusted := access.Use{Project: "p1", Branch: "main", Trusted: true}
	with := func(change func(*access.Use)) access.Use {
		use := trusted
		change(&use)
		return use
	}
	for _, c := range []struct {
		what, name string
		use        access.Use
		want       towpath.Code
	}{
		{"a step of a protected branch", "STEPS", trusted, ""},
		{"a step behind a deployment", "STEPS", with(func(u *access.Use) { u.Environment = "staging" }), ""},
		{"a step of another branch", "STEPS", with(func(u *access.Use) { u.Trusted = false }), towpath.CodeForbidden},
		{"an environment's instances", "STEPS", with(func(u *access.Use) { u.Environment, u.Instances = "staging", true }), towpath.CodeForbidden},
		{"its environment", "PRODUCTION", with(func(u *access.Use) { u.Environment, u.Instances = "production", true }), ""},
		{"its environment, from another branch", "PRODUCTION", with(func(u *access.Use) { u.Environment, u.Trusted = "production", false }), towpath.CodeForbidden},
		{"another environment", "PRODUCTION", with(func(u *access.Use) { u.Environment = "staging" }), towpath.CodeForbidden},
		{"no environment", "PRODUCTION", trusted, towpath.CodeForbidden},
		{"a branch of its pattern", "REVIEW", access.Use{Project: "p1", Environment: "review", Branch: "feature/x"}, ""},
		{"a branch of no pattern", "REVIEW", with(func(u *access.Use) { u.Environment = "review" }), towpath.CodeForbidden},
		{"a fork, of a branch called like the default one", "STEPS", with(func(u *access.Use) { u.Fork = true }), towpath.CodeForbidden},
		{"a fork, of a branch of its pattern", "REVIEW", access.Use{Project: "p1", Environment: "review", Branch: "feature/x", Fork: true}, towpath.CodeForbidden},
		{"another project", "STEPS", with(func(u *access.Use) { u.Project = "p2" }), towpath.CodeNotFound},
	} {
		err := h.store.View(t.Context(), func(tx *store.Tx) error {
			values, err := secrets.Open(tx, c.use, []string{c.name})
			if err == nil && values.Values[c.name] != "value of "+c.name {
				t.Errorf("%s got %q", c.what, values.Values[c.name])
			}
			return err
		})
		wantCode(t, c.what, err, c.want)
	}
}

func TestASecretThatCannotBeIsRefused(t *testing.T) {
	h := newHouse(t)
	secrets := h.secrets()
	for what, put := range map[string]func(*store.Tx) error{
		"a name that no shell takes": func(tx *store.Tx) error {
			return secrets.Put(tx, "p1", "A-B", "value", access.SecretGrant{}, h.now)
		},
		"too short to be masked": func(tx *store.Tx) error {
			return secrets.Put(tx, "p1", "A", " abc ", access.SecretGrant{}, h.now)
		},
		"no value": func(tx *store.Tx) error { return secrets.Put(tx, "p1", "A", "", access.SecretGrant{}, h.now) },
		"a huge value": func(tx *store.Tx) error {
			return secrets.Put(tx, "p1", "A", strings.Repeat("x", access.MaxSecret+1), access.SecretGrant{}, h.now)
		},
		"a pattern that is none": func(tx *store.Tx) error {
			return secrets.Put(tx, "p1", "A", "value", access.SecretGrant{Branches: []string{"["}}, h.now)
		},
	} {
		wantCode(t, what, h.store.Update(t.Context(), put), towpath.CodeInvalid)
	}
}

func TestASecretThatWasMovedToAnotherRowDoesNotOpen(t *testing.T) {
	h := newHouse(t)
	secrets := h.secrets()
	h.update(func(tx *store.Tx) error {
		if err := secrets.Put(tx, "p2", "THEIRS", "value", access.SecretGrant{}, h.now); err != nil {
			return err
		}
		theirs, err := tx.Secrets("p2")
		if err != nil {
			return err
		}
		if strings.Contains(string(theirs[0].Sealed), "value") {
			t.Error("the value is stored as it is")
		}
		theirs[0].Project, theirs[0].Name = "p1", "MINE"
		return tx.PutSecret(theirs[0])
	})
	err := h.store.View(t.Context(), func(tx *store.Tx) error {
		_, err := secrets.Open(tx, access.Use{Project: "p1", Branch: "main", Trusted: true}, []string{"MINE"})
		return err
	})
	if err == nil {
		t.Error("a moved secret was opened")
	}
}

// TestANewKeySealsAllThatIsSecretAndTheOldOnesMayGo also has a rotation cut off between the key and the values.
func TestANewKeySealsAllThatIsSecretAndTheOldOnesMayGo(t *testing.T) {
	h := newHouse(t)
	path := filepath.Join(t.TempDir(), "secrets.key")
	ring := opened(t, path)
	secrets := access.NewSecrets(ring)
	h.update(func(tx *store.Tx) error {
		return errors.Join(
			secrets.Put(tx, "p1", "PASSWORD", "hunter2", access.SecretGrant{Branches: []string{"release/*"}}, h.now),
			secrets.PutCredential(tx, "p1", access.ForgeToken, "gho_token", h.now))
	})
	before := h.stored(t)
	if err := ring.Rotate(); err != nil { // and the server was killed here
		t.Fatal(err)
	}
	ring = opened(t, path)
	secrets = access.NewSecrets(ring)
	if n, err := secrets.Reseal(t.Context(), h.store, ring); n != 2 || err != nil {
		t.Errorf("%d values are sealed again: %v", n, err)
	}
	if n, err := secrets.Reseal(t.Context(), h.store, ring); n != 0 || err != nil {
		t.Errorf("then %d values more: %v", n, err)
	}
	done, err := secrets.RotateKey(t.Context(), h.store, ring, true)
	if done != (access.Rotation{Resealed: 2, Forgotten: 2}) || err != nil {
		t.Errorf("the rotation did %+v: %v", done, err)
	}
	for n, sealed := range h.stored(t) {
		if ring = opened(t, path); !ring.IsCurrent(sealed) || bytes.Equal(sealed, before[n]) {
			t.Errorf("value %d rests as it did before", n)
		}
	}
	secrets = access.NewSecrets(ring)
	h.update(func(tx *store.Tx) error {
		values, err := secrets.Open(tx, access.Use{Project: "p1", Branch: "release/1"}, []string{"PASSWORD"})
		credentials, also := secrets.Credentials(tx, "p1")
		if values.Values["PASSWORD"] != "hunter2" || credentials[access.ForgeToken] != "gho_token" {
			t.Errorf("they open as %v and %v", values, credentials)
		}
		return errors.Join(err, also)
	})
}

// TestAValueThatNoKeyOpensHoldsUpNoOther also keeps the key that is missing elsewhere from being forgotten for nothing.
func TestAValueThatNoKeyOpensHoldsUpNoOther(t *testing.T) {
	h := newHouse(t)
	path := filepath.Join(t.TempDir(), "secrets.key")
	ring := opened(t, path)
	h.update(func(tx *store.Tx) error {
		return errors.Join(
			h.secrets().Put(tx, "p1", "FOREIGN", "of another server", access.SecretGrant{}, h.now),
			access.NewSecrets(ring).Put(tx, "p1", "OURS", "hunter2", access.SecretGrant{}, h.now))
	})
	done, err := access.NewSecrets(ring).RotateKey(t.Context(), h.store, ring, true)
	if !errors.Is(err, secret.ErrUnknownKey) || !strings.Contains(err.Error(), "FOREIGN") || done != (access.Rotation{Resealed: 1}) {
		t.Errorf("the rotation did %+v: %v", done, err)
	}
	if keys, err := secret.Load(path); len(keys) != 2 || err != nil {
		t.Errorf("%d keys are left, though not everything is sealed with the newest: %v", len(keys), err)
	}
}

// stored answers every sealed value of the first project.
func (h *house) stored(t *testing.T) (sealed [][]byte) {
	t.Helper()
	h.update(func(tx *store.Tx) error {
		secrets, err := tx.Secrets("p1")
		for _, s := range secrets {
			sealed = append(sealed, s.Sealed)
		}
		credentials, also := tx.Credentials("p1")
		for _, c := range credentials {
			sealed = append(sealed, c.Sealed)
		}
		return errors.Join(err, also)
	})
	return sealed
}

func opened(t *testing.T, path string) *secret.Ring {
	t.Helper()
	ring, err := secret.OpenRing(path)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}
