//go:build linux

package e2e_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

// wholeWay has every kind of step.
var wholeWay = tree{
	"towpath.yaml": `
pipeline: app
concurrency: parallel
steps:
  - build: app
    run: mkdir dist && cp APP version mode dist/
    artifacts: dist/
  - test: unit
    run: test -s version
  - deploy: staging
  - test: smoke
    run: APP check "$TOWPATH_URL"
  - approve: release
    by: releasers
  - deploy: production
environments:
  staging:
    target: {process: {command: ./app}}
    health: {http: /healthz, release: /release, interval: 50ms}
  production:
    target: {process: {command: ./app}}
    strategy: {blue-green: {standby: 10m}}
    balancer: {proxy: {host: "*"}}
    health: {http: /healthz, release: /release, interval: 50ms}
    drain: 2s
`,
	"version": "one",
	"mode":    "well",
}

func TestAPushGoesLiveAfterApprovalAndBackInOneAction(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	ana := s.approver("ana", "releasers")
	repository := s.newRepository("app", wholeWay).watch()

	s.approve(ana, 1)
	s.ends(1, "passed")
	s.serves("one")
	traffic := s.asks()

	repository.push(tree{"version": "two"})
	s.reaches(2, "release", "waiting")
	repository.push(tree{"version": "three"})
	s.approve(ana, 3)
	s.ends(3, "passed")
	s.serves("three")

	_, err := s.api.Rollback(s.Context(), "app/production", "the cart is empty")
	s.must(err)
	back := s.environment("production", "back on release 1", isLive(1))
	s.serves("one")
	if !strings.Contains(back.Pin, "the cart is empty") {
		t.Errorf("the pin says %q", back.Pin)
	}

	s.approve(ana, 2)
	older := s.ends(2, "failed")
	if step := stepOf(older, "production"); !strings.Contains(step.Reason, "pinned") {
		t.Errorf("the older change ended with %q", step.Reason)
	}
	s.serves("one")

	repository.push(tree{"version": "four"})
	s.approve(ana, 4)
	s.ends(4, "passed")
	s.serves("four")
	if now := s.environment("production", "live", isLive(4)); now.Pin != "" {
		t.Errorf("still pinned: %s", now.Pin)
	}
	sides := traffic.Sides()
	for _, release := range []int{1, 3, 4} {
		if sides[strconv.Itoa(release)].Answers == 0 {
			t.Errorf("release %d never answered: %v", release, sides)
		}
	}
	if sides["2"].Answers > 0 {
		t.Errorf("release 2, which was never approved in time, answered")
	}
	s.flawless(traffic)
}

// approver makes a person of a group, who signs in by a one-time link.
func (s *site) approver(name, group string) *client.Client {
	s.Helper()
	account, err := s.api.PutAccount(s.Context(), client.Account{Name: name, Email: name + "@example.com"})
	s.must(err)
	_, err = s.api.PutGroup(s.Context(), client.Group{Name: group, Members: []string{name}, Roles: map[string]string{"*": "approver"}})
	s.must(err)
	_, code, found := strings.Cut(account.Link, "code=")
	if !found {
		s.Fatalf("no code in the link %q", account.Link)
	}
	token, err := s.api.SignIn(s.Context(), code, "laptop")
	s.must(err)
	if _, err := s.api.SignIn(s.Context(), code, "again"); err == nil {
		s.Error("a one-time link signed in twice")
	}
	return s.as(token.Token)
}

// approve waits until the run asks, and agrees to what is shown then.
func (s *site) approve(person *client.Client, number int) {
	s.Helper()
	s.reaches(number, "release", "waiting")
	until(s, "the approval is asked", func() bool {
		asked, err := person.Approval(s.Context(), "app", number, "release")
		if err != nil || asked.State != "waiting" {
			return false
		}
		if len(asked.Plans) != 1 || !strings.Contains(asked.Plans[0].Text, "production") {
			s.Errorf("the approval shows no plan: %+v", asked.Plans)
		}
		_, err = person.Decide(s.Context(), asked, client.Decision{Approved: true})
		s.must(err)
		return true
	})
}
