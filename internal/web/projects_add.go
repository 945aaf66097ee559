package web

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/forge"
	"github.com/towpath-cd/towpath/internal/git"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/trigger"
)

// Polling: how often where nobody says, and the shortest interval that is taken.
const (
	defaultPoll  = 2 * time.Minute
	shortestPoll = 200 * time.Millisecond
)

// recognizeTime is how long a server may take to show which kind of forge it is.
const recognizeTime = 10 * time.Second

var projectName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// addition is a project that is being added.
type addition struct {
	*Server
	call[client.NewProject]
	project towpath.Project
	api     forge.API // nil where there is no token, or no forge that is known
	key     string    // private, where one was made
	public  string    // its other half
	known   bool      // the forge has it
	notes   []string  // for people: what could not be done, and what that means
}

// addProject tries the repository before it keeps anything. Where it was given a token it lets the forge give it a key and
// a webhook; what it cannot do itself it says how to do by hand.
func (s *Server) addProject(c call[client.NewProject]) (answer client.AddedProject, err error) {
	project, err := s.newProject(c)
	if err != nil {
		return answer, err
	}
	a := &addition{Server: s, call: c, project: project}
	if err := a.findForge(); err != nil {
		return answer, err
	}
	if err := a.makeKey(); err != nil {
		return answer, err
	}
	if err := a.try(); err != nil {
		return answer, err
	}
	if answer, err = a.keep(); err != nil {
		return answer, err
	}
	answer.Webhook, err = a.webhook()
	answer.Notes = a.notes
	s.Polled()
	return answer, err
}

func (s *Server) newProject(c call[client.NewProject]) (towpath.Project, error) {
	p := towpath.Project{
		ID: s.NewID(), Name: c.Body.Name, URL: c.Body.URL, Poll: defaultPoll, CreatedAt: s.Clock(),
	}
	if p.Name == "" {
		p.Name = strings.ToLower(strings.TrimSuffix(path.Base(strings.TrimRight(p.URL, "/")), ".git"))
	}
	if !projectName.MatchString(p.Name) {
		return p, misnamed(p.Name)
	}
	if c.Body.Poll != 0 {
		p.Poll = time.Duration(c.Body.Poll * float64(time.Second))
	}
	if p.Poll < shortestPoll {
		return p, towpath.Errorf(towpath.CodeInvalid, "a repository is polled every %s at most", shortestPoll)
	}
	if u, err := url.Parse(p.URL); err == nil && u.User != nil {
		if _, secret := u.User.Password(); secret {
			return p, towpath.Errorf(towpath.CodeInvalid, "the address holds a password, which would be readable by everyone who sees the project").
				WithHint("give it with --token-file")
		}
	}
	return p, settings(&p, c.Body.Forks, c.Body.Protected, c.Body.KnownHosts)
}

func misnamed(name string) error {
	return towpath.Errorf(towpath.CodeInvalid, "%q cannot be the name of a project", name).
		WithHint("use lower-case letters, digits and dashes, at most 63: --name NAME")
}

// settings sets what else a project can be told.
func settings(p *towpath.Project, forks string, protected []string, knownHosts string) error {
	p.Forks, p.Protected, p.KnownHosts = towpath.ForkPolicy(forks), protected, knownHosts
	if forks == "ask" {
		p.Forks = towpath.ForksAsk
	}
	if !slices.Contains(towpath.ForkPolicies, p.Forks) {
		return towpath.Errorf(towpath.CodeInvalid, "%q is no way to treat forks", forks).WithHint("ask, run or ignore")
	}
	for _, glob := range p.Protected {
		if !doublestar.ValidatePattern(glob) {
			return towpath.Errorf(towpath.CodeInvalid, "%q is not a pattern of branches", glob)
		}
	}
	return nil
}

func (a *addition) note(text string) { a.notes = append(a.notes, text) }

// findForge finds out which forge the repository is at, and by a token what it says of it.
func (a *addition) findForge() error {
	server, where, err := forge.Locate(cmp.Or(a.Body.ForgeURL, a.project.URL))
	if err != nil {
		return a.withoutForge()
	}
	kind, err := a.kindOf(server)
	if err != nil || kind == towpath.ForgeNone {
		return errors.Join(err, a.withoutForge())
	}
	a.project.Forge = towpath.Forge{Kind: kind, URL: server, Repository: where}
	if a.Body.Token == "" || a.Forges[kind].Open == nil {
		return nil
	}
	a.api, err = a.Forges[kind].Open(forge.Where{Server: server, Path: where, Token: a.Body.Token, Client: a.ForgeClient})
	if err != nil {
		return err
	}
	known, err := a.api.Repository(a.Context())
	if err != nil {
		return explainForge(err)
	}
	for _, glob := range known.Protected {
		if doublestar.ValidatePattern(glob) && !slices.Contains(a.project.Protected, glob) {
			a.project.Protected = append(a.project.Protected, glob)
		}
	}
	return nil
}

// withoutForge refuses what only a forge can do.
func (a *addition) withoutForge() error {
	if a.Body.Webhook {
		return towpath.Errorf(towpath.CodeInvalid, "nobody knows which forge %s is at, so its webhook cannot be set up", git.MaskURLs(a.project.URL)).
			WithHint("name it with --forge, or add the project without --webhook and use towpath project webhook")
	}
	return nil
}

// kindOf is what the person says, or else what the server shows.
func (a *addition) kindOf(server string) (towpath.ForgeKind, error) {
	if said := towpath.ForgeKind(a.Body.Forge); said != towpath.ForgeNone {
		if said != "none" && !slices.Contains(towpath.ForgeKinds, said) {
			return "", towpath.Errorf(towpath.CodeInvalid, "%q is no kind of forge", a.Body.Forge).
				WithHint("github, gitlab, gitea (also for Forgejo), bitbucket, bitbucket-server or none")
		}
		return towpath.ForgeKind(strings.TrimPrefix(a.Body.Forge, "none")), nil
	}
	ctx, cancel := context.WithTimeout(a.Context(), recognizeTime)
	defer cancel()
	for _, kind := range towpath.ForgeKinds {
		if kind == towpath.ForgeNone {
			continue
		}
		if is, err := a.Forges[kind].Recognizes(ctx, a.ForgeClient, server); is && err == nil {
			return kind, nil
		}
	}
	return towpath.ForgeNone, nil
}

// explainForge tells people what is wrong with a call of a forge.
func explainForge(err error) error {
	for _, c := range []struct {
		kind error
		code towpath.Code
		hint string
	}{
		{forge.ErrDenied, towpath.CodeForbidden, "the token has to be valid and allowed to read the repository; docs/webhooks.md says what else it needs"},
		{forge.ErrNotFound, towpath.CodeNotFound, "is the address right, and may the token see the repository?"},
		{forge.ErrBusy, towpath.CodeUnavailable, "try again in a while"},
	} {
		if errors.Is(err, c.kind) {
			e := towpath.Errorf(c.code, "%s", err).WithHint("%s", c.hint)
			e.Err = err
			return e
		}
	}
	return err
}

// makeKey makes a key of the project's own, and has the forge take it where it may.
func (a *addition) makeKey() (err error) {
	if !a.Body.DeployKey {
		return nil
	}
	if a.key, a.public, err = git.NewKey("towpath " + a.project.Name); err != nil || a.api == nil {
		return err
	}
	switch err := a.api.AddDeployKey(a.Context(), "Towpath", a.public); {
	case err == nil:
		a.known = true
	case errors.Is(err, forge.ErrDenied), errors.Is(err, forge.ErrUnsupported):
		a.note("the forge did not take the deploy key by its API: " + err.Error())
	default:
		return explainForge(err)
	}
	return nil
}

// try asks the repository for its default branch. Where a key was made that a person has to paste first, the project waits
// for that: it is tried when it is resumed.
func (a *addition) try() (err error) {
	if a.key != "" && !a.known {
		a.project.Paused = true
		a.note("paste the deploy key at the forge, with the right to read, then: towpath project resume " + a.project.Name)
		return nil
	}
	a.project.DefaultBranch, err = a.Repositories.Try(a.Context(), a.project, trigger.AccessOf(a.project, a.Body.Token, a.key))
	if err != nil {
		return err
	}
	return needsBranch(a.project)
}

func needsBranch(p towpath.Project) error {
	if p.DefaultBranch == "" {
		return towpath.Errorf(towpath.CodeInvalid, "%s has no branch that HEAD names", p.URL).
			WithHint("push a first commit, or set the repository's default branch")
	}
	return nil
}

// keep stores the project and its credentials.
func (a *addition) keep() (answer client.AddedProject, err error) {
	err = a.audited(a.Request, a.Caller, "project.add", a.project.Name, a.project.URL, func(tx *store.Tx) error {
		if err := tx.CreateProject(a.project); err != nil {
			return err
		}
		for name, value := range map[access.CredentialName]string{access.ForgeToken: a.Body.Token, access.DeployKey: a.key} {
			if value == "" {
				continue
			}
			if err := a.Secrets.PutCredential(tx, a.project.ID, name, value, a.Clock()); err != nil {
				return err
			}
		}
		answer.Project, err = a.projectOf(tx, a.project)
		answer.DeployKey = a.public
		return err
	})
	return answer, err
}

// webhook sets the webhook up, or says how that is done by hand. The secret is stored before the forge hears of it: what
// it delivers at once is taken.
func (a *addition) webhook() (*client.Webhook, error) {
	if !a.Body.Webhook {
		return nil, nil //nolint:nilnil // nobody asked for one
	}
	made, err := a.newHookSecret(a.Request, a.Caller, a.project, "")
	if err != nil {
		return nil, err
	}
	if isOwnMachine(a.Server.URL) {
		a.note("the server's own address is " + a.Server.URL + ", which only this machine can reach; --url says another one")
	}
	if a.api == nil {
		made.Manual = a.pasted(a.project, made)
		return &made, nil
	}
	if err := a.api.SetWebhook(a.Context(), made.URL, made.Secret); err != nil {
		a.note("the forge did not take the webhook by its API: " + err.Error())
		made.Manual = a.pasted(a.project, made)
		return &made, nil
	}
	made.Secret, made.Set = "", true // the forge has it, and nobody else needs it
	return &made, nil
}

// isOwnMachine says that an address leads nowhere from other machines.
func isOwnMachine(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
