package access

import (
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// Identity is who asks. The zero value is nobody.
type Identity struct {
	Name   string // account's name, "owner", or worker's name; empty is nobody
	Worker string // worker's ID, where a worker asks

	Account       string // account's ID; empty for the owner, workers and nobody
	Email         string
	Groups        []string
	Administrator bool

	known  store.KnownWorker // where a worker asks
	grants []store.Grant
	scope  *scope    // of a token; nil is everything that the account may
	token  string    // name of the token they act by; empty for a session
	proof  string    // fingerprint of the session or token
	used   time.Time // when the token was used before
}

// scope is what a token may at most.
type scope struct {
	project     string       // project's ID; empty is every project
	permissions []Permission // empty is every permission
}

func (s *scope) admits(p Permission) bool {
	return s == nil || len(s.permissions) == 0 || slices.Contains(s.permissions, p)
}

func (s *scope) reaches(project string) bool {
	return s == nil || s.project == "" || s.project == project
}

// KnownWorker answers the worker that asks, as it was known when it was admitted.
func (i Identity) KnownWorker() store.KnownWorker { return i.known }

// IsNobody says that no credential was shown.
func (i Identity) IsNobody() bool { return i.Name == "" }

// IsPerson says that it is an account or the owner, not a worker.
func (i Identity) IsPerson() bool { return !i.IsNobody() && i.Worker == "" }

// IsScoped says that it acts by a token that may less than its account.
func (i Identity) IsScoped() bool { return i.scope != nil }

// String is how the audit names them: "ada", "ada (token ci)", "worker north-1".
func (i Identity) String() string {
	switch {
	case i.IsNobody():
		return "nobody"
	case i.Worker != "":
		return "worker " + i.Name
	case i.token != "":
		return i.Name + " (token " + i.token + ")"
	}
	return i.Name
}

// IsAmong says whether a list of accounts and groups names this person.
func (i Identity) IsAmong(names []string) bool {
	return i.IsPerson() && slices.ContainsFunc(names, func(n string) bool {
		return i.Account != "" && n == i.Name || slices.Contains(i.Groups, n)
	})
}

// Can says whether they have a permission in a project, by its ID; for a permission on the server, project is empty.
func (i Identity) Can(p Permission, project string) bool {
	return i.scope.admits(p) && i.holds(p, project)
}

// sees says whether they may know of a project. A token that may only start runs is told of no less than its account.
func (i Identity) sees(project string) bool { return i.holds(ReadProject, project) }

// holds is Can without the permissions that a token is limited to.
func (i Identity) holds(p Permission, project string) bool {
	if !i.IsPerson() || !p.isKnown() || p.IsServerWide() != (project == "") || !i.scope.reaches(project) {
		return false
	}
	return i.Administrator || slices.ContainsFunc(i.grants, func(g store.Grant) bool {
		return project != "" && (g.Project == project || g.Project == store.AllProjects) &&
			slices.Contains(Role(g.Role).Permissions(), p)
	})
}

// Projects answers which of these projects, by ID, they may see: what lists are filtered by. It is never nil.
func (i Identity) Projects(all []string) []string {
	seen := []string{}
	for _, id := range all {
		if i.Can(ReadProject, id) {
			seen = append(seen, id)
		}
	}
	return seen
}

// Permissions answers everything that they may on the server and in a project, by its ID.
func (i Identity) Permissions(project string) []Permission {
	return slices.DeleteFunc(slices.Concat(ServerPermissions, ProjectPermissions), func(p Permission) bool {
		if p.IsServerWide() {
			return !i.Can(p, "")
		}
		return !i.Can(p, project)
	})
}

// Authorize answers nil where they may: CodeUnauthorized for nobody, CodeNotFound for a project that they cannot see,
// so that nobody learns which projects exist, else CodeForbidden.
func Authorize(i Identity, p Permission, project towpath.Project) error {
	switch {
	case i.IsNobody():
		return errNobody
	case !p.IsServerWide() && !i.sees(project.ID):
		return hidden("project", project.Name)
	case i.Can(p, projectOf(p, project)):
		return nil
	}
	return forbidden(i, p)
}

func projectOf(p Permission, project towpath.Project) string {
	if p.IsServerWide() {
		return ""
	}
	return project.ID
}

var errNobody = towpath.Errorf(towpath.CodeUnauthorized, "nobody is signed in").
	WithHint("sign in, or send a token: Authorization: Bearer twp_…")

func hidden(what, name string) error {
	return towpath.Errorf(towpath.CodeNotFound, "there is no %s %s", what, name).
		WithHint("or you may not see it: ask an administrator for a role in its project")
}

func forbidden(i Identity, p Permission) error {
	err := towpath.Errorf(towpath.CodeForbidden, "%s may not do this: it needs the permission %s", i, p)
	switch {
	case i.Worker != "":
		return err.WithHint("a worker's key is for the worker's own calls only")
	case i.IsScoped():
		return err.WithHint("use a token with a wider scope, or ask for another role")
	}
	return err.WithHint("ask an administrator for another role")
}
