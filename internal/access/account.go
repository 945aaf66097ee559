package access

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// Person is an account as an administrator wants it.
type Person struct {
	Name          string
	Email         string
	Administrator bool
	Roles         map[string]Role // by project's name; "*" is every project
	Groups        []string
}

// names of accounts and groups are written in pipeline files and shell commands.
var names = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// PutAccount makes an account or changes it, within an update. For a new one it answers the code of a one-time link
// (LinkLife), by which the person signs in and chooses a password; it is told once.
func PutAccount(tx *store.Tx, p Person, now time.Time) (code string, err error) {
	a, err := tx.AccountByName(p.Name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		if a, err = createAccount(tx, p, now); err == nil {
			code, err = NewLink(tx, a, now)
		}
	case err == nil:
		a.Email, a.Administrator = p.Email, p.Administrator
		err = tx.SaveAccount(a)
	}
	if err != nil {
		return "", err
	}
	return code, errors.Join(setRoles(tx, store.Grant{Account: a.ID}, p.Roles), setGroups(tx, a.ID, p.Groups))
}

func createAccount(tx *store.Tx, p Person, now time.Time) (store.Account, error) {
	a := store.Account{
		ID: uuid.NewString(), Name: p.Name, Email: p.Email, Administrator: p.Administrator, CreatedAt: now,
	}
	groups, err := tx.Groups()
	if err != nil {
		return a, err
	}
	if err := checkName(p.Name, groups); err != nil {
		return a, err
	}
	return a, tx.CreateAccount(a)
}

// checkName refuses a name that somebody has whose name it could be taken for: approvals name both people and groups.
func checkName(name string, others []string) error {
	switch {
	case !names.MatchString(name) || name == "owner":
		return towpath.Errorf(towpath.CodeInvalid, "%q cannot be a name", name).
			WithHint("use a to z, 0 to 9, dots, dashes and underscores, up to 63 of them; owner is taken")
	case slices.Contains(others, name):
		return towpath.Errorf(towpath.CodeConflict, "there is already a group or an account %s", name).
			WithHint("groups and accounts share their names, because approvals name both")
	}
	return nil
}

// NewLink makes a one-time link of an account. The ones before it are worth nothing any more.
func NewLink(tx *store.Tx, a store.Account, now time.Time) (code string, err error) {
	code = newCredential(linkPrefix)
	return code, errors.Join(tx.ForgetLinks(a.ID), tx.AddLink(fingerprint(code), a.ID, now.Add(LinkLife)))
}

// setRoles makes these the only roles of an account or a group.
func setRoles(tx *store.Tx, of store.Grant, roles map[string]Role) error {
	if err := tx.DeleteGrantsOf(of.Account, of.Group); err != nil {
		return err
	}
	for project, role := range roles {
		if !slices.Contains(Roles, role) {
			return towpath.Errorf(towpath.CodeInvalid, "there is no role %q", role).WithHint("roles are %v", Roles)
		}
		of.Role, of.Project = string(role), store.AllProjects
		if project != store.AllProjects {
			p, _, err := tx.ProjectByName(project)
			if err != nil {
				return err
			}
			of.Project = p.ID
		}
		if err := tx.SaveGrant(of); err != nil {
			return fmt.Errorf("save a role in %s: %w", project, err)
		}
	}
	return nil
}

// setGroups makes these the only groups of an account.
func setGroups(tx *store.Tx, account string, groups []string) error {
	before, err := tx.GroupsOf(account)
	if err != nil {
		return err
	}
	for _, g := range before {
		if !slices.Contains(groups, g) {
			err = errors.Join(err, tx.RemoveMember(g, account))
		}
	}
	for _, g := range groups {
		err = errors.Join(err, tx.AddMember(g, account))
	}
	return err
}

// Team is a group as an administrator wants it.
type Team struct {
	Name    string
	Members []string        // accounts' names
	Roles   map[string]Role // by project's name; "*" is every project
}

// PutGroup makes a group or changes it, within an update.
func PutGroup(tx *store.Tx, t Team, now time.Time) error {
	groups, err := tx.Groups()
	if err != nil {
		return err
	}
	if !slices.Contains(groups, t.Name) {
		if err := createGroup(tx, t.Name, now); err != nil {
			return err
		}
	}
	return errors.Join(setMembers(tx, t), setRoles(tx, store.Grant{Group: t.Name}, t.Roles))
}

func createGroup(tx *store.Tx, name string, now time.Time) error {
	accounts, err := tx.Accounts()
	if err != nil {
		return err
	}
	others := make([]string, len(accounts))
	for i, a := range accounts {
		others[i] = a.Name
	}
	if err := checkName(name, others); err != nil {
		return err
	}
	return tx.CreateGroup(name, now)
}

func setMembers(tx *store.Tx, t Team) error {
	before, err := tx.Members(t.Name)
	if err != nil {
		return err
	}
	for _, a := range before {
		if !slices.Contains(t.Members, a.Name) {
			err = errors.Join(err, tx.RemoveMember(t.Name, a.ID))
		}
	}
	for _, name := range t.Members {
		a, missing := tx.AccountByName(name)
		if missing != nil {
			return missing
		}
		err = errors.Join(err, tx.AddMember(t.Name, a.ID))
	}
	return err
}

// firstAdministrator is the name of the account that a new server starts with.
const firstAdministrator = "admin"

// FirstLink answers the code of a one-time link for the first administrator, whom it makes at the first start. As long
// as nobody has used one, each start makes a new link. It answers "" afterwards.
func (g *Guard) FirstLink(ctx context.Context) (code string, err error) {
	err = g.store.Update(ctx, func(tx *store.Tx) error {
		accounts, err := tx.Accounts()
		switch {
		case err != nil:
			return err
		case len(accounts) == 0:
			code, err = PutAccount(tx, Person{Name: firstAdministrator, Administrator: true}, g.now())
			return err
		}
		used, err := isUsed(tx, accounts)
		if err == nil && !used {
			code, err = NewLink(tx, accounts[0], g.now())
		}
		return err
	})
	return code, err
}

// isUsed says whether anybody has come in by now: there is a second account, a password, a session or a token.
func isUsed(tx *store.Tx, accounts []store.Account) (bool, error) {
	if len(accounts) > 1 || accounts[0].Password != "" || accounts[0].Name != firstAdministrator {
		return true, nil
	}
	tokens, err := tx.TokensOf(accounts[0].ID)
	if err != nil || len(tokens) > 0 {
		return true, err
	}
	return tx.HasSession(accounts[0].ID)
}
