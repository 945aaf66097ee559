package web

import (
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/store"
)

// login exchanges the code of a one-time link for a token.
func (s *Server) login(c call[struct {
	Code      string `json:"code"`
	TokenName string `json:"token_name"`
}],
) (client.Token, error) {
	text, _, err := s.Guard.TokenByLink(c.Context(), c.Body.Code, c.Body.TokenName)
	return client.Token{Name: c.Body.TokenName, Token: text}, err
}

func (s *Server) logout(c call[none]) (none, error) {
	return none{}, s.rightsChanged(s.Guard.SignOut(c.Context(), c.Caller))
}

func (s *Server) me(c call[none]) (client.Me, error) {
	me := client.Me{Account: c.Name, Administrator: c.Administrator}
	err := s.Store.View(c.Context(), func(tx *store.Tx) error {
		projects, err := tx.Projects()
		found := c.Permissions("")
		for _, p := range projects {
			found = append(found, c.Permissions(p.ID)...)
		}
		slices.Sort(found)
		for _, p := range slices.Compact(found) {
			me.Permissions = append(me.Permissions, string(p))
		}
		return err
	})
	return me, err
}

func (s *Server) setPassword(c call[struct {
	Present  string `json:"present"`
	Password string `json:"password"`
}],
) (none, error) {
	return none{}, s.rightsChanged(s.Guard.SetPassword(c.Context(), c.Caller, c.Body.Present, c.Body.Password))
}

func (s *Server) tokens(c call[none]) ([]client.Token, error) {
	found := []client.Token{}
	err := s.Store.View(c.Context(), func(tx *store.Tx) error {
		tokens, err := tx.TokensOf(c.Account)
		for _, t := range tokens {
			found = append(found, client.Token{
				Name: t.Name, Permissions: t.Permissions, Project: t.Project, ExpiresAt: t.ExpiresAt, UsedAt: t.UsedAt,
			})
		}
		return err
	})
	return found, err
}

func (s *Server) newToken(c call[client.Token]) (client.Token, error) {
	request := access.TokenRequest{Name: c.Body.Name, Project: c.Body.Project, Expires: c.Body.ExpiresAt}
	for _, p := range c.Body.Permissions {
		request.Permissions = append(request.Permissions, access.Permission(p))
	}
	text, err := s.Guard.NewToken(c.Context(), c.Caller, request)
	answer := c.Body
	answer.Token, answer.UsedAt = text, time.Time{}
	return answer, err
}

func (s *Server) removeToken(c call[none]) (none, error) {
	return none{}, s.rightsChanged(s.Guard.RemoveToken(c.Context(), c.Caller, c.PathValue("name")))
}

func (s *Server) accounts(c call[none]) ([]client.Account, error) {
	found := []client.Account{}
	err := s.Store.View(c.Context(), func(tx *store.Tx) error {
		accounts, err := tx.Accounts()
		if err != nil {
			return err
		}
		roles, err := rolesByHolder(tx)
		if err != nil {
			return err
		}
		for _, a := range accounts {
			groups, err := tx.GroupsOf(a.ID)
			if err != nil {
				return err
			}
			found = append(found, client.Account{
				Name: a.Name, Email: a.Email, Administrator: a.Administrator, Roles: roles["account/"+a.ID],
				Groups: groups, CreatedAt: a.CreatedAt,
			})
		}
		return nil
	})
	return found, err
}

// rolesByHolder answers the roles by project's name, of "account/ID" and of "group/NAME".
func rolesByHolder(tx *store.Tx) (map[string]map[string]string, error) {
	grants, err := tx.Grants()
	if err != nil {
		return nil, err
	}
	names, err := projectNames(tx)
	names[store.AllProjects] = store.AllProjects
	roles := map[string]map[string]string{}
	for _, g := range grants {
		holder := "account/" + g.Account
		if g.Account == "" {
			holder = "group/" + g.Group
		}
		if roles[holder] == nil {
			roles[holder] = map[string]string{}
		}
		roles[holder][names[g.Project]] = g.Role
	}
	return roles, err
}

func rolesIn(roles map[string]string) map[string]access.Role {
	found := map[string]access.Role{}
	for project, role := range roles {
		found[project] = access.Role(role)
	}
	return found
}

func (s *Server) putAccount(c call[client.Account]) (client.Account, error) {
	answer := c.Body
	answer.Name = c.PathValue("name")
	err := s.audited(c.Request, c.Caller, "account.put", answer.Name, "", func(tx *store.Tx) error {
		code, err := access.PutAccount(tx, access.Person{
			Name: answer.Name, Email: answer.Email, Administrator: answer.Administrator,
			Roles: rolesIn(answer.Roles), Groups: answer.Groups,
		}, s.Clock())
		if code != "" {
			answer.Link = s.linkOf(code)
		}
		return err
	})
	return answer, err
}

// linkOf is where a one-time code signs its person in.
func (s *Server) linkOf(code string) string { return s.URL + "/login?code=" + code }

func (s *Server) newLink(c call[none]) (client.Account, error) {
	answer := client.Account{Name: c.PathValue("name")}
	err := s.audited(c.Request, c.Caller, "account.link", answer.Name, "", func(tx *store.Tx) error {
		a, err := tx.AccountByName(answer.Name)
		if err != nil {
			return err
		}
		code, err := access.NewLink(tx, a, s.Clock())
		answer.Link = s.linkOf(code)
		return err
	})
	return answer, err
}

func (s *Server) removeAccount(c call[none]) (none, error) {
	name := c.PathValue("name")
	return none{}, s.audited(c.Request, c.Caller, "account.remove", name, "", func(tx *store.Tx) error {
		a, err := tx.AccountByName(name)
		if err != nil {
			return err
		}
		return tx.DeleteAccount(a.ID)
	})
}

func (s *Server) groups(c call[none]) ([]client.Group, error) {
	found := []client.Group{}
	err := s.Store.View(c.Context(), func(tx *store.Tx) error {
		names, err := tx.Groups()
		if err != nil {
			return err
		}
		roles, err := rolesByHolder(tx)
		if err != nil {
			return err
		}
		for _, name := range names {
			members, err := tx.Members(name)
			if err != nil {
				return err
			}
			group := client.Group{Name: name, Members: []string{}, Roles: roles["group/"+name]}
			for _, m := range members {
				group.Members = append(group.Members, m.Name)
			}
			found = append(found, group)
		}
		return nil
	})
	return found, err
}

func (s *Server) putGroup(c call[client.Group]) (client.Group, error) {
	answer := c.Body
	answer.Name = c.PathValue("name")
	return answer, s.audited(c.Request, c.Caller, "group.put", answer.Name, "", func(tx *store.Tx) error {
		return access.PutGroup(tx, access.Team{
			Name: answer.Name, Members: answer.Members, Roles: rolesIn(answer.Roles),
		}, s.Clock())
	})
}

func (s *Server) removeGroup(c call[none]) (none, error) {
	name := c.PathValue("name")
	return none{}, s.audited(c.Request, c.Caller, "group.remove", name, "", func(tx *store.Tx) error {
		return tx.DeleteGroup(name)
	})
}

func (s *Server) listSecrets(c call[none]) ([]client.Secret, error) {
	found := []client.Secret{}
	err := s.Store.View(c.Context(), func(tx *store.Tx) error {
		secrets, err := tx.Secrets(c.Project.ID)
		for _, k := range secrets {
			found = append(found, client.Secret{
				Name: k.Name, From: k.Source, Command: s.Secrets.Command(tx, k), Environments: k.Environments, Branches: k.Branches, UpdatedAt: k.SetAt,
			})
		}
		return err
	})
	return found, err
}

// secretUses answers who was given the project's secrets, or the one that the query names.
func (s *Server) secretUses(c call[none]) ([]client.SecretUse, error) {
	limit := listed
	if err := numberIn(c.Request, "limit", listedMost, &limit); err != nil {
		return nil, err
	}
	found := []client.SecretUse{}
	err := s.Store.View(c.Context(), func(tx *store.Tx) error {
		uses, err := tx.SecretUses(c.Project.ID, c.URL.Query().Get("name"), limit)
		for _, u := range uses {
			found = append(found, client.SecretUse{Name: u.Name, Pipeline: u.Pipeline, Run: u.Number, Step: u.Step, Environment: u.Environment, At: u.At})
		}
		return err
	})
	return found, err
}

func (s *Server) putSecret(c call[client.Secret]) (none, error) {
	name := c.PathValue("name")
	grant := access.SecretGrant{Environments: c.Body.Environments, Branches: c.Body.Branches}
	detail := ""
	if c.Body.From != "" {
		detail = "by command " + c.Body.From
	}
	return none{}, s.audited(c.Request, c.Caller, "secret.put", c.Project.Name+"/"+name, detail, func(tx *store.Tx) error {
		switch {
		case c.Body.From == "":
		case c.Body.Value != "":
			return towpath.Errorf(towpath.CodeInvalid, "a secret has a value, or a command that has it")
		default:
			return s.Secrets.PutOutside(tx, c.Project.ID, name, c.Body.From, grant, s.Clock())
		}
		return s.Secrets.Put(tx, c.Project.ID, name, c.Body.Value, grant, s.Clock())
	})
}

func (s *Server) removeSecret(c call[none]) (none, error) {
	name := c.PathValue("name")
	return none{}, s.audited(c.Request, c.Caller, "secret.remove", c.Project.Name+"/"+name, "", func(tx *store.Tx) error {
		return tx.DeleteSecret(c.Project.ID, name)
	})
}

func (s *Server) auditList(c call[none]) ([]client.AuditEntry, error) {
	found := []client.AuditEntry{}
	err := s.Store.View(c.Context(), func(tx *store.Tx) error {
		records, err := tx.AuditBefore(0, listedMost)
		for _, r := range records {
			found = append(found, client.AuditEntry{
				Number: r.Seq, Actor: r.Actor, Action: r.Action, Object: r.Object, Detail: r.Detail, At: r.At, Hash: r.Hash,
			})
		}
		return err
	})
	return found, err
}
