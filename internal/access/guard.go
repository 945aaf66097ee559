package access

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// Guard finds out who asks, and whether they may. It is safe for use by many goroutines.
type Guard struct {
	store    *store.Store
	now      func() time.Time
	owner    string // fingerprint of the owner's token
	hasher   *hasher
	attempts *attempts
	refusals refusals
	origin   *http.CrossOriginProtection // browsers that were sent here by another site's page change nothing
}

// Options is what a guard works with.
type Options struct {
	Store *store.Store
	Owner string // the owner's token (OwnerToken); empty is nobody's
	Now   func() time.Time
}

// NewGuard makes a guard.
func NewGuard(o Options) *Guard {
	g := &Guard{
		store: o.Store, now: o.Now, hasher: newHasher(), attempts: newAttempts(),
		origin: http.NewCrossOriginProtection(),
	}
	if o.Owner != "" {
		g.owner = fingerprint(o.Owner)
	}
	return g
}

// Caller is who was admitted, and the project that the request is about.
type Caller struct {
	Identity
	Project towpath.Project // the zero value where the route has none
}

// Admit answers who makes a request, where they may: the route's own path values say which project it is about. It is
// asked before anything else is done with the request.
func (g *Guard) Admit(r *http.Request, route Route) (Caller, error) {
	if err := g.origin.Check(r); err != nil {
		return Caller{}, errForeign
	}
	if route.Needs == Public && !showsCredential(r) {
		return Caller{}, nil // nobody has to be looked up
	}
	var caller Caller
	err := g.store.View(r.Context(), func(tx *store.Tx) (err error) {
		if caller.Identity, err = g.identify(tx, r); err != nil && route.Needs != Public {
			return err
		}
		caller.Project, err = admit(tx, r, route, caller.Identity)
		return err
	})
	if err != nil {
		if noted := g.RefusedWorker(r.Context(), caller.Identity, r.Method+" "+r.URL.Path, err.Error()); noted != nil {
			err = errors.Join(err, noted)
		}
		return Caller{}, err
	}
	return caller, g.noteUse(r.Context(), caller.Identity)
}

// showsCredential says that a request shows a credential, valid or not.
func showsCredential(r *http.Request) bool {
	_, err := r.Cookie(SessionCookie)
	return err == nil || r.Header.Get("Authorization") != ""
}

// admit is the one place where a route's needs are held against who asks.
func admit(tx *store.Tx, r *http.Request, route Route, i Identity) (towpath.Project, error) {
	var none towpath.Project
	switch {
	case route.Needs == Public:
		return none, nil
	case i.IsNobody():
		return none, errNobody
	case route.Needs == AsWorker && i.Worker == "":
		return none, towpath.Errorf(towpath.CodeForbidden, "only a worker may do this").
			WithHint("send the key that the worker got when it registered")
	case route.Needs == AsWorker:
		return none, nil
	case i.Worker != "":
		return none, forbidden(i, route.Needs)
	case route.Needs == SignedIn:
		return none, nil
	case route.Project == NoProject:
		return none, Authorize(i, route.Needs, none)
	}
	project, err := projectOfRoute(tx, r, route)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !i.sees(project.ID):
		return none, hidden(string(route.Project), r.PathValue(string(route.Project)))
	case err != nil:
		return none, err
	}
	return project, Authorize(i, route.Needs, project)
}

func projectOfRoute(tx *store.Tx, r *http.Request, route Route) (towpath.Project, error) {
	name := r.PathValue(string(route.Project))
	switch route.Project {
	case FromProject:
		project, _, err := tx.ProjectByName(name)
		return project, err
	case FromPipeline:
		return projectOfPipeline(tx, name)
	}
	return towpath.Project{}, fmt.Errorf("route %s: no way to find its project", route)
}

func projectOfPipeline(tx *store.Tx, pipeline string) (towpath.Project, error) {
	id, err := tx.PipelineProject(pipeline)
	if err != nil {
		return towpath.Project{}, err
	}
	project, _, err := tx.Project(id)
	return project, err
}

// identify reads the credential that a request shows: the Authorization header, else the session's cookie. One that is
// not valid is CodeUnauthorized; none is nobody.
func (g *Guard) identify(tx *store.Tx, r *http.Request) (Identity, error) {
	if header := r.Header.Get("Authorization"); header != "" {
		kind, credential, _ := strings.Cut(header, " ")
		if !strings.EqualFold(kind, "Bearer") {
			return Identity{}, refused("the Authorization header", "send: Authorization: Bearer twp_…")
		}
		return g.bearer(tx, strings.TrimSpace(credential))
	}
	cookie, err := r.Cookie(SessionCookie)
	if err != nil {
		return Identity{}, nil //nolint:nilerr // no cookie is no error
	}
	return g.session(tx, cookie.Value)
}

func (g *Guard) bearer(tx *store.Tx, credential string) (Identity, error) {
	print := fingerprint(credential)
	switch {
	case strings.HasPrefix(credential, ownerPrefix):
		if g.owner == "" || subtle.ConstantTimeCompare([]byte(print), []byte(g.owner)) != 1 {
			return Identity{}, refused("the owner's token", "it is in the file owner.token of the server's data folder")
		}
		return Identity{Name: "owner", Administrator: true, proof: print}, nil
	case strings.HasPrefix(credential, workerPrefix):
		worker, err := tx.WorkerByKey(print)
		if err != nil {
			return Identity{}, unknown(err, "the worker's key", "register the worker again")
		}
		return Identity{Name: worker.Name, Worker: worker.ID, known: worker, proof: print}, nil
	}
	return g.token(tx, print)
}

func (g *Guard) token(tx *store.Tx, print string) (Identity, error) {
	t, err := tx.Token(print, g.now())
	if err != nil {
		return Identity{}, unknown(err, "the token", "it may have expired; make a new one")
	}
	i, err := account(tx, t.Account)
	if err != nil {
		return Identity{}, err
	}
	i.token, i.proof, i.used = t.Name, print, t.UsedAt
	if t.Project != "" || len(t.Permissions) > 0 {
		i.scope = &scope{project: t.Project, permissions: permissions(t.Permissions)}
	}
	return i, nil
}

func permissions(names []string) []Permission {
	found := make([]Permission, len(names))
	for i, n := range names {
		found[i] = Permission(n)
	}
	return found
}

// account answers the identity of an account with all that it may.
func account(tx *store.Tx, id string) (Identity, error) {
	a, err := tx.Account(id)
	if err != nil {
		return Identity{}, unknown(err, "the account", "sign in again")
	}
	if a.Disabled {
		return Identity{}, refused("the account", "it was disabled; ask an administrator")
	}
	i := Identity{Name: a.Name, Account: a.ID, Email: a.Email, Administrator: a.Administrator}
	if i.Groups, err = tx.GroupsOf(id); err != nil {
		return Identity{}, fmt.Errorf("find the groups of %s: %w", a.Name, err)
	}
	if i.grants, err = tx.GrantsOf(id); err != nil {
		return Identity{}, fmt.Errorf("find the roles of %s: %w", a.Name, err)
	}
	return i, nil
}

// useNoted is how exactly a token's last use is known. Each note is a commit, so not every call makes one.
const useNoted = time.Minute

// noteUse keeps when a token was used last. Where nothing can be written the call goes on all the same.
func (g *Guard) noteUse(ctx context.Context, i Identity) error {
	now := g.now()
	if i.token == "" || now.Sub(i.used) < useNoted {
		return nil
	}
	err := g.store.Update(ctx, func(tx *store.Tx) error { return tx.UseToken(i.proof, now) })
	if errors.Is(err, store.ErrUnwritable) {
		return nil
	}
	return err
}

var errForeign = towpath.Errorf(towpath.CodeForbidden, "the request comes from a page of another site").
	WithHint("open the page on this server and try again there")

// refused says that a credential is not valid, without saying why.
func refused(what, hint string) error {
	return towpath.Errorf(towpath.CodeUnauthorized, "%s is not valid", what).WithHint("%s", hint)
}

// unknown is refused where err says that there is no such thing; else err is a fault of ours.
func unknown(err error, what, hint string) error {
	if errors.Is(err, store.ErrNotFound) {
		return refused(what, hint)
	}
	return err
}
