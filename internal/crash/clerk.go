package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/client"
)

const (
	clerkPause = 200 * time.Millisecond

	password    = "correct horse battery staple"
	newPassword = "incorrect horse battery staple"
)

// clerk makes accounts, groups, tokens, secrets and projects, changes them, and takes every other set away again. A call
// that was not answered is made again, so that in the end it is known how all has to be.
type clerk struct {
	*Story
	n      int
	stays  map[string]bool // by kind and name, whether it has to be there
	audits map[string]int  // acts that were acknowledged, by action and object
	unsure map[string]bool
	side   *repository
	cleo   *client.Client // who has tokens: the owner is no account
}

func newClerk(ctx context.Context, s *Story) (actor, error) {
	c := &clerk{Story: s, stays: map[string]bool{}, audits: map[string]int{}, unsure: map[string]bool{}}
	var err error
	if c.cleo, err = s.person(ctx, "cleo", "clerks"); err != nil {
		return nil, err
	}
	c.side, err = s.newRepository(ctx, "side", map[string]string{"towpath.yaml": "pipeline: side\nsteps: [{test: nothing, run: 'true'}]\n"})
	return c, err
}

// step is something to do, with what the audit has to say of it and what it makes so.
type step struct {
	do             func(context.Context) error
	action, object string
	thing          string // that is there afterwards, or not
	isThere        bool
}

func (c *clerk) act(ctx context.Context) error {
	c.n++
	for _, s := range c.steps() {
		if err := c.take(ctx, s); err != nil {
			return fmt.Errorf("%s %s: %w", s.action, s.object, err)
		}
	}
	return errors.Join(c.usesPages(ctx), c.takesBackup(ctx), c.hasWorker(ctx), pause(ctx, clerkPause))
}

func (c *clerk) steps() []step {
	name, group, key, secret, project := c.named("p"), c.named("g"), c.named("t"), fmt.Sprintf("S%d", c.n), c.named("side")
	steps := []step{
		{func(ctx context.Context) error {
			_, err := c.Owner.PutAccount(ctx, client.Account{Name: name, Email: name + "@example.com"})
			return err
		}, "account.put", name, "account " + name, true},
		{func(ctx context.Context) error {
			_, err := c.Owner.PutGroup(ctx, client.Group{Name: group, Members: []string{name}})
			return err
		}, "group.put", group, "group " + group, true},
		{func(ctx context.Context) error {
			return c.Owner.PutSecret(ctx, shopPipeline, client.Secret{Name: secret, Value: "a value of nobody's"})
		}, "secret.put", shopPipeline + "/" + secret, "secret " + secret, true},
		{func(ctx context.Context) error {
			_, err := c.cleo.NewToken(ctx, client.Token{Name: key})
			return err
		}, "", "", "token " + key, true},
		{func(ctx context.Context) error {
			_, err := c.Owner.AddProject(ctx, client.NewProject{
				URL: c.side.bare, Name: project, Forge: "gitea", ForgeURL: c.hub.address() + "/ana/side", Token: "a token of the hub's", Webhook: true,
			})
			return err
		}, "project.add", project, "project " + project, true},
		{func(ctx context.Context) error {
			_, err := c.Owner.ChangeProject(ctx, project, client.Project{Paused: true})
			return err
		}, "project.change", project, "project " + project, true},
		{func(ctx context.Context) error {
			_, err := c.Owner.Unpin(ctx, shopEnvironment)
			return err
		}, "", "", "", false},
		{func(ctx context.Context) error {
			_, err := c.Owner.ClearCache(ctx, shopPipeline, "shop-")
			return err
		}, "cache.clear", shopPipeline, "", false},
	}
	if c.n%2 == 0 {
		return steps
	}
	return append(steps,
		step{func(ctx context.Context) error { return c.Owner.RemoveSecret(ctx, shopPipeline, secret) }, "secret.remove", shopPipeline + "/" + secret, "secret " + secret, false},
		step{func(ctx context.Context) error { return c.cleo.RemoveToken(ctx, key) }, "", "", "token " + key, false},
		step{func(ctx context.Context) error { return c.Owner.RemoveGroup(ctx, group) }, "group.remove", group, "group " + group, false},
		step{func(ctx context.Context) error { return c.Owner.RemoveProject(ctx, project) }, "project.remove", project, "project " + project, false},
		step{func(ctx context.Context) error { return c.Owner.RemoveAccount(ctx, name) }, "account.remove", name, "account " + name, false},
	)
}

func (c *clerk) named(what string) string { return fmt.Sprintf("%s-%d", what, c.n) }

// take makes a call until it is answered. Where an earlier one was heard after all, a second is refused.
func (c *clerk) take(ctx context.Context, s step) error {
	isUnsure, err := c.ask(ctx, s.do)
	if has(err, "conflict", "not_found") && (isUnsure || s.thing == "") {
		err = nil
	}
	if err != nil {
		return err
	}
	if s.thing != "" {
		c.stays[s.thing] = s.isThere
	}
	if s.action != "" {
		c.audits[s.action+" "+s.object]++
		c.unsure[s.action+" "+s.object] = isUnsure
	}
	return nil
}

// usesPages signs somebody in by a link, gives them a password, signs them in by that, and out again, as a browser does.
func (c *clerk) usesPages(ctx context.Context) error {
	name := c.named("q")
	if _, err := c.ask(ctx, func(ctx context.Context) error {
		_, err := c.Owner.PutAccount(ctx, client.Account{Name: name})
		return err
	}); err != nil {
		return err
	}
	for {
		isWhole, err := c.visit(ctx, name)
		if err != nil || isWhole {
			return err
		}
		if err := pause(ctx, callPause); err != nil {
			return err
		}
	}
}

// visit does the whole of it; false where something was not answered, and it has to begin anew.
func (c *clerk) visit(ctx context.Context, name string) (isWhole bool, err error) {
	var made client.Account
	if _, err := c.ask(ctx, func(ctx context.Context) error {
		made, err = c.Owner.NewLink(ctx, name)
		return err
	}); err != nil {
		return false, err
	}
	_, code, _ := strings.Cut(made.Link, "code=")
	if c.n%2 == 0 { // a program signs in
		token, err := c.Owner.SignIn(ctx, code, "laptop")
		if err != nil {
			return false, nil
		}
		theirs, err := client.New(c.Owner.Address(), token.Token)
		if err != nil {
			return false, err
		}
		defer theirs.Close()
		return theirs.SignOut(ctx) == nil, nil
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return false, err
	}
	b := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer b.CloseIdleConnections()
	return c.submits(ctx, b, "/login", url.Values{"code": {code}}) &&
		c.submits(ctx, b, "/password", url.Values{"password": {password}, "again": {password}}) &&
		c.submits(ctx, b, "/logout", nil) &&
		c.submits(ctx, b, "/login", url.Values{"name": {name}, "password": {password}}) &&
		c.submits(ctx, b, "/password", url.Values{"present": {password}, "password": {newPassword}, "again": {newPassword}}), nil
}

// submits says that a form was taken, which a redirect tells.
func (c *clerk) submits(ctx context.Context, b *http.Client, path string, form url.Values) bool {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Owner.Address()+path, strings.NewReader(form.Encode()))
	if err != nil {
		return false
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := b.Do(request)
	if err != nil {
		return false
	}
	return answer.Body.Close() == nil && answer.StatusCode == http.StatusSeeOther
}

func (c *clerk) takesBackup(ctx context.Context) error {
	_, err := c.Owner.Backup(ctx, io.Discard) // one that breaks off says so: nobody takes it for whole
	var said *client.Error
	if err == nil || ctx.Err() != nil || errors.As(err, &said) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ctx.Err()
	}
	return nil
}

func (c *clerk) judge(ctx context.Context) (losses []Loss, err error) {
	found, err := c.found(ctx)
	if err != nil {
		return nil, err
	}
	for thing, isThere := range c.stays {
		if found[thing] != isThere {
			losses = append(losses, Loss{LostEvent, fmt.Sprintf("that %s is there is %t", thing, found[thing])})
		}
	}
	recorded, err := c.Owner.Audit(ctx)
	if err != nil {
		return losses, err
	}
	times := map[string]int{}
	for _, r := range recorded {
		times[r.Action+" "+r.Object]++
	}
	isWhole := slices.ContainsFunc(recorded, func(r client.AuditEntry) bool { return r.Number == 1 })
	for act, wanted := range c.audits {
		if isWhole && (times[act] < wanted || times[act] > wanted && !c.unsure[act]) {
			losses = append(losses, Loss{LostEvent, fmt.Sprintf("%q was acknowledged %d times and stands %d times in the audit", act, wanted, times[act])})
		}
	}
	return losses, nil
}

// found is everything that there is of what the clerk makes.
func (c *clerk) found(ctx context.Context) (map[string]bool, error) {
	accounts, errAccounts := c.Owner.Accounts(ctx)
	groups, errGroups := c.Owner.Groups(ctx)
	tokens, errTokens := c.cleo.Tokens(ctx)
	secrets, errSecrets := c.Owner.Secrets(ctx, shopPipeline)
	projects, errProjects := c.Owner.Projects(ctx)
	found := map[string]bool{}
	for _, a := range accounts {
		found["account "+a.Name] = true
	}
	for _, g := range groups {
		found["group "+g.Name] = true
	}
	for _, t := range tokens {
		found["token "+t.Name] = true
	}
	for _, s := range secrets {
		found["secret "+s.Name] = true
	}
	for _, p := range projects {
		found["project "+p.Name] = true
	}
	return found, errors.Join(errAccounts, errGroups, errTokens, errSecrets, errProjects)
}
