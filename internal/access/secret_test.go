package access_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/store"
)

// rowBound is the least that a sealer has to be: what it sealed opens for its row only. The real one is package
// secret's, and tested there.
type rowBound struct{}

func (rowBound) Seal(row string, value []byte) ([]byte, error) {
	return append([]byte(row+"\x00"), rotated(value)...), nil
}

func (rowBound) Open(row string, sealed []byte) ([]byte, error) {
	value, ok := bytes.CutPrefix(sealed, []byte(row+"\x00"))
	if !ok {
		return nil, errors.New("sealed for another row")
	}
	return rotated(value), nil
}

func rotated(value []byte) []byte {
	return bytes.Map(func(r rune) rune { return r ^ 1 }, value)
}

func TestASecretGoesOnlyWhereItWasGranted(t *testing.T) {
	h := newHouse(t)
	secrets := access.NewSecrets(rowBound{})
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
		{"another project", "STEPS", with(func(u *access.Use) { u.Project = "p2" }), towpath.CodeNotFound},
	} {
		err := h.store.View(t.Context(), func(tx *store.Tx) error {
			values, err := secrets.Open(tx, c.use, []string{c.name})
			if err == nil && values[c.name] != "value of "+c.name {
				t.Errorf("%s got %q", c.what, values[c.name])
			}
			return err
		})
		wantCode(t, c.what, err, c.want)
	}
}

func TestASecretThatCannotBeIsRefused(t *testing.T) {
	h := newHouse(t)
	secrets := access.NewSecrets(rowBound{})
	for what, put := range map[string]func(*store.Tx) error{
		"a name that no shell takes": func(tx *store.Tx) error {
			return secrets.Put(tx, "p1", "A-B", "value", access.SecretGrant{}, h.now)
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
