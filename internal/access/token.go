package access

import (
	"context"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// TokenRequest says what a token is for.
type TokenRequest struct {
	Name        string
	Project     string       // project's name; empty is every project of the caller
	Permissions []Permission // empty is all that the caller may
	Expires     time.Time    // zero is never
}

// NewToken makes a token of the caller's account and answers its text, which is told once. It can do nothing that the
// caller cannot; when its account loses a role, so does the token.
func (g *Guard) NewToken(ctx context.Context, c Caller, r TokenRequest) (text string, err error) {
	if err := g.checkToken(c, r); err != nil {
		return "", err
	}
	text = newCredential(tokenPrefix)
	return text, g.store.Update(ctx, func(tx *store.Tx) error {
		project, err := tokenProject(tx, c, r)
		if err != nil {
			return err
		}
		return g.addToken(tx, c.Identity, text, r, project)
	})
}

func (g *Guard) checkToken(c Caller, r TokenRequest) error {
	switch {
	case c.Account == "":
		return towpath.Errorf(towpath.CodeForbidden, "%s is no account, so it has no tokens", c).
			WithHint("make an account first: towpath user add NAME")
	case c.IsScoped():
		return towpath.Errorf(towpath.CodeForbidden, "a token with a scope makes no other tokens").
			WithHint("sign in, or use a token without a scope")
	case !names.MatchString(r.Name):
		return towpath.Errorf(towpath.CodeInvalid, "%q cannot be a token's name", r.Name).
			WithHint("use a to z, 0 to 9, dots, dashes and underscores, up to 63 of them")
	case !r.Expires.IsZero() && !r.Expires.After(g.now()):
		return towpath.Errorf(towpath.CodeInvalid, "the token would have expired already")
	}
	for _, p := range r.Permissions {
		if !p.isKnown() {
			return towpath.Errorf(towpath.CodeInvalid, "there is no permission %q", p).
				WithHint("permissions are %v", slices.Concat(ProjectPermissions, ServerPermissions))
		}
	}
	return nil
}

// tokenProject answers the ID of the project that a token is for.
func tokenProject(tx *store.Tx, c Caller, r TokenRequest) (string, error) {
	if r.Project == "" {
		return "", nil
	}
	p, _, err := tx.ProjectByName(r.Project)
	if err != nil || !c.sees(p.ID) {
		return "", hidden("project", r.Project)
	}
	return p.ID, nil
}

func (g *Guard) addToken(tx *store.Tx, i Identity, text string, r TokenRequest, project string) error {
	scope := make([]string, len(r.Permissions))
	for n, p := range r.Permissions {
		scope[n] = string(p)
	}
	err := tx.AddToken(store.Token{
		Account: i.Account, Name: r.Name, Hash: fingerprint(text), Project: project, Permissions: scope,
		CreatedAt: g.now(), ExpiresAt: r.Expires,
	})
	if err != nil {
		return err
	}
	return Record(tx, Act{Actor: i.String(), Action: "token.create", Object: i.Name + "/" + r.Name, At: g.now()})
}

// RemoveToken makes a token of the caller's account worthless. A token with a scope may end itself only.
func (g *Guard) RemoveToken(ctx context.Context, c Caller, name string) error {
	if c.IsScoped() && c.token != name {
		return towpath.Errorf(towpath.CodeForbidden, "a token with a scope ends no other tokens").
			WithHint("sign in, or use a token without a scope")
	}
	return g.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.DeleteToken(c.Account, name); err != nil {
			return err
		}
		return Record(tx, Act{Actor: c.String(), Action: "token.remove", Object: c.Name + "/" + name, At: g.now()})
	})
}

// TokenByLink exchanges the code of a one-time link for a token of its account, as a command line does that has no
// browser. A token of the same name is replaced.
func (g *Guard) TokenByLink(ctx context.Context, code, name string) (text string, who Identity, err error) {
	if !names.MatchString(name) {
		return "", who, towpath.Errorf(towpath.CodeInvalid, "%q cannot be a token's name", name)
	}
	text = newCredential(tokenPrefix)
	err = g.store.Update(ctx, func(tx *store.Tx) error {
		a, err := g.useLink(tx, code)
		if err != nil {
			return err
		}
		if who, err = account(tx, a.ID); err != nil {
			return err
		}
		if err := dropToken(tx, a.ID, name); err != nil {
			return err
		}
		return g.addToken(tx, who, text, TokenRequest{Name: name}, "")
	})
	if err != nil {
		return "", Identity{}, err
	}
	return text, who, nil
}

func dropToken(tx *store.Tx, account, name string) error {
	err := tx.DeleteToken(account, name)
	if towpath.CodeOf(err) == towpath.CodeNotFound {
		return nil
	}
	return err
}
