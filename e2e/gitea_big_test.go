//go:build linux && big

package e2e_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath-cd/towpath/internal/forge"
	"github.com/towpath-cd/towpath/internal/forge/gitea"
)

const (
	oldSecret = "the-secret-before"
	newSecret = "the-secret-since"
	deployKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFl5nFFhzkYL8HmlxO0lfTnrRzLV6TTWZ1Sm0Uk0xJ6D"
)

// giteaStory is a repository at a real Gitea, and what it delivers.
type giteaStory struct {
	*giteaServer
	ana, eve   string // tokens
	api        forge.API
	hook       string
	deliveries chan delivered
	folders    string
}

// delivered is a delivery as it arrived.
type delivered struct {
	header http.Header
	body   []byte
}

func TestARealGitea(t *testing.T) {
	s := newGiteaStory(t)
	var work, first string
	s.step("knows the kind and the repository", s.isRecognized)
	s.step("takes a deploy key once", s.takesADeployKey)
	s.step("delivers to one webhook", s.hasOneWebhook)
	s.step("a push", func() { work = s.clone(s.ana, "ana/shop"); first = s.pushes(work) })
	s.step("a tag", func() { s.tags(work, first) })
	s.step("a branch that is deleted", func() { s.deletesABranch(work, first) })
	s.step("a pull request from a fork", s.opensFromAFork)
	s.step("a pull request of its own", func() { s.opensFromABranch(work) })
	s.step("a pull request by a push to refs/for", s.opensByAPush)
	s.step("shows statuses", func() { s.showsStatuses(first) })
	s.step("exchanges the secret", func() { s.exchangesTheSecret(work) })
	s.step("refuses", s.refuses)
	s.step("ends the webhook", s.endsTheWebhook)
}

// step is a part of the story. What follows builds on it.
func (s *giteaStory) step(name string, tell func()) {
	whole := s.T
	passed := whole.Run(name, func(t *testing.T) {
		s.T = t
		tell()
	})
	s.T = whole
	if !passed {
		s.FailNow()
	}
}

func newGiteaStory(t *testing.T) *giteaStory {
	s := &giteaStory{giteaServer: startGitea(t), deliveries: make(chan delivered, 100), folders: t.TempDir()}
	s.ana, s.eve = s.account("ana", "--admin"), s.account("eve")
	s.call(s.ana, "POST", "/user/repos", map[string]any{"name": "shop", "default_branch": "main"}, nil)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.deliveries <- delivered{r.Header, body}
	}))
	t.Cleanup(receiver.Close)
	s.hook = receiver.URL + "/hooks/shop"
	s.api = s.open(s.ana, "ana/shop")
	return s
}

func (s *giteaStory) open(token, path string) forge.API {
	s.Helper()
	api, err := gitea.Kind().Open(forge.Where{Server: s.url, Path: path, Token: token})
	s.must(err)
	return api
}

func (s *giteaStory) isRecognized() {
	if is, err := gitea.Kind().Recognizes(s.Context(), http.DefaultClient, s.url); !is || err != nil {
		s.Errorf("recognized: %v, %v", is, err)
	}
	s.call(s.ana, "POST", "/repos/ana/shop/branch_protections", map[string]any{"rule_name": "release/*"}, nil)
	got, err := s.api.Repository(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	want := forge.Repository{
		Path: "ana/shop", DefaultBranch: "main", CloneHTTPS: s.url + "/ana/shop.git", CloneSSH: got.CloneSSH,
		Protected: []string{"release/*"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Error(diff)
	}
	if server, path, err := forge.Locate(got.CloneHTTPS); server != s.url || path != "ana/shop" || err != nil {
		s.Errorf("located at %s, %s, %v", server, path, err)
	}
}

func (s *giteaStory) takesADeployKey() {
	for _, line := range []string{deployKey, deployKey + " with a comment"} {
		if err := s.api.AddDeployKey(s.Context(), "Towpath", line); err != nil {
			s.Fatal(err)
		}
	}
	var keys []struct {
		Title    string `json:"title"`
		ReadOnly bool   `json:"read_only"`
	}
	s.call(s.ana, "GET", "/repos/ana/shop/keys", nil, &keys)
	if len(keys) != 1 || !keys[0].ReadOnly || keys[0].Title != "Towpath" {
		s.Errorf("Gitea has the keys %+v", keys)
	}
}

// webhooks are those that Gitea has.
func (s *giteaStory) webhooks() (hooks []struct {
	Active bool              `json:"active"`
	Events []string          `json:"events"`
	Config map[string]string `json:"config"`
},
) {
	s.Helper()
	s.call(s.ana, "GET", "/repos/ana/shop/hooks", nil, &hooks)
	return hooks
}

func (s *giteaStory) hasOneWebhook() {
	for range 2 {
		if err := s.api.SetWebhook(s.Context(), s.hook, oldSecret); err != nil {
			s.Fatal(err)
		}
	}
	hooks := s.webhooks()
	if len(hooks) != 1 || !hooks[0].Active || hooks[0].Config["url"] != s.hook || hooks[0].Config["content_type"] != "json" {
		s.Errorf("Gitea has the webhooks %+v", hooks)
	}
}

// clone answers a working tree whose remote has the token in its address.
func (s *giteaStory) clone(token, path string) (work string) {
	s.Helper()
	work = filepath.Join(s.folders, strings.ReplaceAll(path, "/", "-")+token[:4])
	s.git(s.folders, "clone", "--quiet", strings.Replace(s.url, "://", "://any:"+token+"@", 1)+"/"+path+".git", work)
	s.git(work, "checkout", "--quiet", "-B", "main")
	return work
}

func (s *giteaStory) git(folder string, args ...string) string {
	s.Helper()
	command := exec.Command("git", append([]string{"-c", "user.name=Dev", "-c", "user.email=" + developer}, args...)...)
	command.Dir = folder
	command.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "HOME="+s.folders)
	output, err := command.CombinedOutput()
	if err != nil {
		s.Fatalf("git %v: %v\n%s", args, err, output)
	}
	return strings.TrimSpace(string(output))
}

// commit makes an empty one, and answers its hash.
func (s *giteaStory) commit(work, message string) string {
	s.Helper()
	s.git(work, "commit", "--quiet", "--allow-empty", "-m", message)
	return s.git(work, "rev-parse", "HEAD")
}

// next waits for the next delivery that tells of something, holds it to the secret, and reads it.
func (s *giteaStory) next(secret string) forge.Event {
	s.Helper()
	hooks, deadline := gitea.Kind().Hooks, time.After(patience)
	for {
		var d delivered
		select {
		case d = <-s.deliveries:
		case <-deadline:
			s.Fatal("no delivery arrives")
		}
		if err := hooks.Verify(d.header, d.body, []string{"another", secret}); err != nil {
			s.Fatalf("%v\n%v\n%s", err, d.header, d.body)
		}
		if err := hooks.Verify(d.header, d.body, []string{"another"}); !errors.Is(err, forge.ErrForged) {
			s.Errorf("with another secret: %v", err)
		}
		if id, name := hooks.Identify(d.header); id == "" || name == "" {
			s.Errorf("identified as %q, %q", id, name)
		}
		events, err := hooks.Parse(d.header, d.body)
		if err != nil || len(events) != 1 {
			s.Fatalf("%v, %v\n%s", events, err, d.body)
		}
		if events[0].Kind != forge.EventOther {
			return events[0]
		}
	}
}

// tells holds the next delivery to an event.
func (s *giteaStory) tells(secret string, want forge.Event) {
	s.Helper()
	want.Repository = "ana/shop"
	if diff := cmp.Diff(want, s.next(secret)); diff != "" {
		s.Error(diff)
	}
}

func (s *giteaStory) pushes(work string) (first string) {
	first = s.commit(work, "First")
	s.git(work, "push", "--quiet", "origin", "main")
	s.tells(oldSecret, forge.Event{Kind: forge.EventPush, Branch: "main", After: first})
	second := s.commit(work, "Second")
	s.git(work, "push", "--quiet", "origin", "main")
	s.tells(oldSecret, forge.Event{Kind: forge.EventPush, Branch: "main", Before: first, After: second})
	return first
}

func (s *giteaStory) tags(work, commit string) {
	s.git(work, "tag", "-a", "-m", "Version 1", "v1", commit)
	s.git(work, "push", "--quiet", "origin", "v1")
	e := s.next(oldSecret)
	if e.Kind != forge.EventTag || e.Tag != "v1" || e.After != commit {
		s.Errorf("of an annotated tag: %+v, want it to be of %s", e, commit)
	}
	s.git(work, "push", "--quiet", "origin", ":v1")
	for range 2 { // it is told by a push and by a deletion, in either order
		if e := s.next(oldSecret); e.Kind != forge.EventTag || e.Tag != "v1" || e.After != "" {
			s.Errorf("of a deleted tag: %+v", e)
		}
	}
}

func (s *giteaStory) deletesABranch(work, commit string) {
	s.git(work, "push", "--quiet", "origin", commit+":refs/heads/old/one")
	s.tells(oldSecret, forge.Event{Kind: forge.EventPush, Branch: "old/one", After: commit})
	s.git(work, "push", "--quiet", "origin", ":old/one")
	s.tells(oldSecret, forge.Event{Kind: forge.EventPush, Branch: "old/one"})
}

// opened is a pull request of eve's.
func (s *giteaStory) opened(number, head, revision string, isFork bool) *forge.Request {
	return &forge.Request{
		Number: int(number[0] - '0'), Title: "Tax", URL: s.url + "/ana/shop/pulls/" + number, Author: "eve", Base: "main", Head: head,
		HeadSHA: revision, Fork: isFork, Ref: "refs/pull/" + number + "/head", Changed: true,
	}
}

func (s *giteaStory) opensFromAFork() {
	s.call(s.eve, "POST", "/repos/ana/shop/forks", map[string]any{}, nil)
	work := s.clone(s.eve, "eve/shop")
	revision := s.commit(work, "Tax")
	s.git(work, "push", "--quiet", "origin", "main:refs/heads/tax")
	s.call(s.eve, "POST", "/repos/ana/shop/pulls", map[string]any{"head": "eve:tax", "base": "main", "title": "Tax"}, nil)
	s.tells(oldSecret, forge.Event{Kind: forge.EventRequestOpen, Request: s.opened("1", "tax", revision, true)})

	revision = s.commit(work, "Tax, rounded")
	s.git(work, "push", "--quiet", "origin", "main:refs/heads/tax")
	s.tells(oldSecret, forge.Event{Kind: forge.EventRequestOpen, Request: s.opened("1", "tax", revision, true)})
	if told := s.git(work, "ls-remote", s.url+"/ana/shop.git", "refs/pull/1/head"); !strings.HasPrefix(told, revision) {
		s.Errorf("refs/pull/1/head is %q, want %s", told, revision)
	}

	s.call(s.eve, "PATCH", "/repos/ana/shop/pulls/1", map[string]any{"title": "WIP: Taxes"}, nil)
	words := s.opened("1", "tax", revision, true)
	words.Title, words.Draft, words.Changed = "WIP: Taxes", true, false
	s.tells(oldSecret, forge.Event{Kind: forge.EventRequestOpen, Request: words})
	s.call(s.eve, "PATCH", "/repos/ana/shop/pulls/1", map[string]any{"title": "Tax"}, nil)
	s.tells(oldSecret, forge.Event{Kind: forge.EventRequestOpen, Request: s.opened("1", "tax", revision, true)})

	s.call(s.eve, "PATCH", "/repos/ana/shop/pulls/1", map[string]any{"state": "closed"}, nil)
	closed := s.opened("1", "tax", revision, true)
	closed.Changed = false
	s.tells(oldSecret, forge.Event{Kind: forge.EventRequestClosed, Request: closed})
}

func (s *giteaStory) opensFromABranch(work string) {
	s.git(work, "checkout", "--quiet", "-b", "own")
	revision := s.commit(work, "Own")
	s.git(work, "push", "--quiet", "origin", "own")
	s.tells(oldSecret, forge.Event{Kind: forge.EventPush, Branch: "own", After: revision})
	s.call(s.ana, "POST", "/repos/ana/shop/pulls", map[string]any{"head": "own", "base": "main", "title": "Tax"}, nil)
	request := s.opened("2", "own", revision, false)
	request.Author = "ana"
	s.tells(oldSecret, forge.Event{Kind: forge.EventRequestOpen, Request: request})
	s.call(s.ana, "POST", "/repos/ana/shop/pulls/2/merge", map[string]any{"Do": "merge"}, nil)
	kinds := map[forge.EventKind]forge.Event{}
	for range 2 { // the merge, and the push that it is
		e := s.next(oldSecret)
		kinds[e.Kind] = e
	}
	if kinds[forge.EventRequestClosed].Request == nil || kinds[forge.EventPush].Branch != "main" {
		s.Errorf("of a merge: %+v", kinds)
	}
}

// opensByAPush is by somebody who may only read the repository, and whose commits Gitea puts into it all the same.
func (s *giteaStory) opensByAPush() {
	work := s.clone(s.eve, "ana/shop")
	revision := s.commit(work, "Tax")
	s.git(work, "push", "--quiet", "-o", "topic=tax", "-o", "title=Tax", "origin", "HEAD:refs/for/main")
	e := s.next(oldSecret)
	if e.Request == nil || !e.Request.Fork || e.Request.HeadSHA != revision || e.Request.Author != "eve" {
		s.Errorf("of a push to refs/for/main by a reader: %+v, %+v", e, e.Request)
	}
}

func (s *giteaStory) showsStatuses(revision string) {
	status := forge.Status{Context: "towpath/shop", Description: "run 7", URL: "https://towpath.example.com/runs/7"}
	for _, c := range []struct {
		set   forge.State
		shown string
	}{
		{forge.StatePending, "pending"}, {forge.StatePending, "pending"}, {forge.StateFailure, "failure"}, {forge.StateSkipped, "success"},
	} {
		status.State = c.set
		if err := s.api.SetStatus(s.Context(), revision, status); err != nil {
			s.Fatal(err)
		}
		var told struct {
			State    string `json:"state"`
			Statuses []struct{ Context, Status, Description, Target string }
		}
		s.call(s.ana, "GET", "/repos/ana/shop/commits/"+revision+"/status", nil, &told)
		if told.State != c.shown || len(told.Statuses) != 1 || told.Statuses[0].Context != "towpath/shop" || told.Statuses[0].Description != "run 7" {
			s.Errorf("%s: Gitea shows %+v", c.set, told)
		}
	}
}

func (s *giteaStory) exchangesTheSecret(work string) {
	if err := s.api.SetWebhook(s.Context(), s.hook, newSecret); err != nil {
		s.Fatal(err)
	}
	if hooks := s.webhooks(); len(hooks) != 1 {
		s.Errorf("Gitea has the webhooks %+v", hooks)
	}
	revision := s.commit(work, "Since")
	s.git(work, "push", "--quiet", "origin", "HEAD:refs/heads/since")
	s.tells(newSecret, forge.Event{Kind: forge.EventPush, Branch: "since", After: revision})
}

func (s *giteaStory) refuses() {
	for name, c := range map[string]struct {
		token, path string
		want        error
	}{
		"a bad token":         {"0123456789012345678901234567890123456789", "ana/shop", forge.ErrDenied},
		"no such repository":  {s.ana, "ana/none", forge.ErrNotFound},
		"one who may not yet": {s.eve, "ana/shop", forge.ErrDenied},
	} {
		if err := s.open(c.token, c.path).SetWebhook(s.Context(), s.hook, newSecret); !errors.Is(err, c.want) {
			s.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func (s *giteaStory) endsTheWebhook() {
	for range 2 {
		if err := s.api.RemoveWebhook(s.Context(), s.hook); err != nil {
			s.Fatal(err)
		}
	}
	if hooks := s.webhooks(); len(hooks) > 0 {
		s.Errorf("Gitea has the webhooks %+v", hooks)
	}
}
