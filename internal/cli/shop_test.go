package cli

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// The shop's states, as the stories need them.

func shopRun() client.Run {
	return client.Run{
		ID: "r128", Project: "shop", Pipeline: "shop", Number: 128, State: "running", Branch: "main",
		Revision: "9be07d4417fe", Title: "faster checkout", Author: "ana", Trigger: "push", CreatedAt: minutesAgo(3),
		Steps: []client.Step{
			{Name: "shop", Kind: "build", State: "pending"},
			{Name: "unit", Kind: "test", State: "pending"},
			{Name: "staging", Kind: "deploy", State: "pending"},
			{Name: "release", Kind: "approve", State: "pending"},
			{Name: "production", Kind: "deploy", State: "pending"},
		},
	}
}

// with changes one step of a run.
func with(r client.Run, step string, change client.Step) client.Run {
	steps := append([]client.Step{}, r.Steps...)
	for i := range steps {
		if steps[i].Name == step {
			change.Name, change.Kind = step, steps[i].Kind
			steps[i] = change
		}
	}
	r.Steps = steps
	return r
}

func passed(worker string, took time.Duration) client.Step {
	return client.Step{State: "passed", Worker: worker, Attempt: 1, StartedAt: minutesAgo(3), FinishedAt: minutesAgo(3).Add(took)}
}

// shopWaiting is the run of look.md: built, tested, on staging, waiting for people.
func shopWaiting() client.Run {
	r := with(shopRun(), "shop", passed("worker-2", 41200*time.Millisecond))
	r = with(r, "unit", passed("worker-2", 12800*time.Millisecond))
	staging := passed("", 6100*time.Millisecond)
	staging.Release, staging.Attempt = 42, 0
	r = with(r, "staging", staging)
	return with(r, "release", client.Step{State: "waiting", StartedAt: minutesAgo(1)})
}

// shopPassed is its end.
func shopPassed() client.Run {
	r := with(shopWaiting(), "release", client.Step{
		State: "passed", Reason: "approved by ben", StartedAt: minutesAgo(1), FinishedAt: now.Add(-20 * time.Second),
	})
	r = with(r, "production", client.Step{State: "passed", Release: 42, StartedAt: now.Add(-20 * time.Second), FinishedAt: now})
	r.State, r.FinishedAt = "passed", now
	return r
}

// shopFailed is the run before, whose test failed.
func shopFailed() client.Run {
	r := with(shopRun(), "shop", passed("worker-2", 41200*time.Millisecond))
	r = with(r, "unit", client.Step{
		State: "failed", Worker: "worker-1", Attempt: 2, ExitCode: 2, StartedAt: minutesAgo(2), FinishedAt: minutesAgo(1),
	})
	for _, name := range []string{"staging", "release", "production"} {
		r = with(r, name, client.Step{State: "skipped", Reason: "unit failed"})
	}
	r.Number, r.ID, r.Revision, r.Title, r.Author = 127, "r127", "3f2c1aa9b0c4", "cart totals \x1b]0;owned\x07", "ben"
	r.State, r.Reason, r.FinishedAt = "failed", "unit failed", minutesAgo(1)
	return r
}

// shopRepeated is its repetition, in which the test passes at its second attempt.
func shopRepeated(state string) client.Run {
	r := with(shopFailed(), "shop", client.Step{State: "passed", From: 127})
	r = with(r, "unit", client.Step{
		State: state, Worker: "worker-1", Attempt: 2, StartedAt: minutesAgo(1),
		Attempts: []client.Attempt{{Number: 1, State: "failed", Reason: "exit code 2", ExitCode: 2}, {Number: 2, State: state}},
	})
	for _, name := range []string{"staging", "release", "production"} {
		r = with(r, name, client.Step{State: "pending"})
	}
	r.Number, r.ID, r.State, r.Reason, r.Repeats, r.RepeatedBy, r.FinishedAt = 129, "r129", state, "", 127, "ana", time.Time{}
	if state == "passed" {
		r.FinishedAt = now
	}
	return r
}

// shopQueued is a run of another pipeline that no worker fits.
func shopQueued() client.Run {
	return client.Run{
		Project: "shop", Pipeline: "desktop", Number: 7, State: "running", Branch: "main", Revision: "77aa00cc11",
		Title: "new icon", Author: "cem", CreatedAt: minutesAgo(9),
		Steps: []client.Step{{
			Name: "windows installer", Kind: "build", State: "queued", Attempt: 1, Reason: "no worker has os=windows; 3 have linux/amd64",
		}},
	}
}

func release(number int) *client.Release {
	known := map[int]client.Release{
		41: {Number: 41, Run: 126, Revision: "3f2c1aa9b0c4", Title: "slower checkout", Author: "ben", CreatedAt: now.Add(-50 * time.Hour)},
		42: {Number: 42, Run: 128, Revision: "9be07d4417fe", Title: "faster checkout", Author: "ana", CreatedAt: minutesAgo(2)},
	}
	r := known[number]
	return &r
}

func shopProduction() client.Environment {
	return client.Environment{
		Key: "shop/production", Project: "shop", Pipeline: "shop", Name: "production", URL: "https://shop.example.com",
		Strategy: "blue-green", Live: release(41), Goal: release(41), LiveAt: now.Add(-48 * time.Hour), Keeper: "worker-1",
		ObservedAt: now.Add(-2 * time.Second),
		Known:      []int{38, 40},
		Pin:        "since ben went back from release 40: slow",
		Instances: []client.Instance{
			{ID: "r41-1", Release: 41, State: "running", Address: "127.0.0.1:35341", Health: "passing", Weight: 100, Requests: 2031, Streams: 3},
			{ID: "r40-1", Release: 40, State: "running", Address: "127.0.0.1:35342", Health: "failing", Problem: "GET /healthz answered 500"},
		},
	}
}

func shopStaging() client.Environment {
	d := deployment("running")
	d.Environment = "shop/staging"
	return client.Environment{
		Key: "shop/staging", Project: "shop", Pipeline: "shop", Name: "staging", Strategy: "all-at-once",
		Live: release(41), Goal: release(42), LiveAt: minutesAgo(90), Deployment: &d, Doing: "starting r42-1",
	}
}

// deployment is that of release 42 in place of 41.
func deployment(state string) client.Deployment {
	d := client.Deployment{
		ID: "d1", Environment: "shop/production", Release: 42, From: 41, Cause: "manual", By: "ana", State: state,
		RequestedAt: minutesAgo(3),
	}
	if state != "waiting" {
		d.BeganAt = minutesAgo(1)
	}
	if d.IsFinal() {
		d.EndedAt = now
	}
	return d
}

// deploying is production with a deployment under way.
func deploying(d client.Deployment, doing string) client.Environment {
	e := shopProduction()
	e.Goal, e.Deployment, e.Doing = release(42), &d, doing
	return e
}

func shopPlan() client.Plan {
	return client.Plan{
		Environment: "shop/production", Live: 41, Goal: 42,
		Text: "shop/production   live: release 41 (3f2c1aa, 2 days)   goal: release 42 (9be07d4)\n" +
			"strategy blue-green, 1 instance, target process, balancer proxy\n\n" +
			"  1  place      release 42: 1 instance\n  2  shift      release 41 100% → 0%, release 42 0% → 100%\n\n" +
			"downtime: none. way back: one shift to release 41. schema: none. destroys: nothing.\n",
		Operations: []string{"place release 42", "shift"},
	}
}

func shopApproval(state string) client.Approval {
	return client.Approval{
		Pipeline: "shop", Run: 128, Step: "release", State: state, By: []string{"release-managers"}, Count: 1,
		Message: "is the checkout fast now?", Intent: "sha256:5d41", AskedAt: minutesAgo(1), ExpiresAt: minutesAgo(1).Add(7 * 24 * time.Hour),
	}
}

func shopProject(paused bool) client.Project {
	return client.Project{
		ID: "p1", Name: "shop", URL: "https://git.example.com/shop.git", DefaultBranch: "main", Pipelines: []string{"shop"},
		Poll: 120, Paused: paused, WebhookURL: "https://towpath.example.com/hooks/shop", WebhookSecrets: 1, CreatedAt: now.Add(-400 * 24 * time.Hour),
	}
}

// addProject has the shop added at once; what needs a key waits for it.
func addProject(answer http.ResponseWriter, r *http.Request) {
	var wish client.NewProject
	json.NewDecoder(r.Body).Decode(&wish)
	added := client.AddedProject{Project: shopProject(false)}
	if wish.DeployKey {
		added = client.AddedProject{
			Project:   client.Project{Name: "blog", URL: wish.URL, Poll: 120, Paused: true, Forge: "gitea"},
			DeployKey: "ssh-ed25519 AAAA towpath blog",
			Webhook:   &client.Webhook{URL: "https://towpath.example.com/hooks/p2", Secret: "twh_made", Manual: "paste twh_made there\n"},
			Notes:     []string{"paste the deploy key at the forge, with the right to read, then: towpath project resume blog"},
		}
	}
	json.NewEncoder(answer).Encode(added)
}

// shopWorld is a server with the shop on it.
func shopWorld(t *testing.T) *world {
	w := newWorld(t)
	w.answers("GET /api/v1/projects", []client.Project{shopProject(false)})
	w.mux.HandleFunc("POST /api/v1/projects", addProject)
	w.answers("PUT /api/v1/projects/shop/token", shopProject(false))
	w.answers("GET /api/v1/projects/shop", shopProject(false))
	takes(w, "PUT /api/v1/projects/shop", func(*client.Project) {})
	w.answers("DELETE /api/v1/projects/shop", nil)
	w.answers("GET /api/v1/projects/shop/files", client.PipelineFiles{Branch: "main", Revision: "4f1c2a97", Files: []client.PipelineFile{
		{Path: ".towpath/nightly.yaml", Problems: ".towpath/nightly.yaml:3:1: unknown key `stepps`, did you mean `steps`?"},
		{Path: "towpath.yaml", Pipeline: "shop", Starts: []string{"pushes to main", "by hand"}},
	}})
	shopDeliveries(w)
	w.answers("POST /api/v1/projects/shop/runs", shopRun())
	shopChanges(w)
	w.answers("GET /api/v1/pipelines/shop/runs/127/tests", []client.StepTests{{
		Step: "unit", Attempt: 1, Totals: client.TestTotals{Passed: 316, Failed: 2, New: 1, Seconds: 12.8, Said: "2 of 318 tests failed (1 new)"}, Compared: 126,
		Failed: []client.Test{
			{Suite: "shop/cart", Name: "TestPay", Outcome: "failed", Message: "got 13, want 12", Output: "cart_test.go:12:\n  got 13, want 12", New: true},
			{Suite: "shop/cart", Name: "TestShip", Outcome: "failed", Flickering: "passed and failed at one revision"},
		},
		Flickering: []client.Test{{Suite: "shop/cart", Name: "TestShip", Outcome: "failed", Flickering: "passed and failed at one revision"}},
		Slowest:    []client.Test{{Suite: "shop/cart", Name: "TestAll", Outcome: "passed", Seconds: 3.2}},
		Problems:   []string{"out/b.xml: read a JUnit report: malformed report"},
	}})
	w.answers("GET /api/v1/projects/shop/cache", []client.CacheEntry{
		{Project: "shop", Scope: "protected", Key: "go-linux-amd64-1f0c", Files: 1204, Size: 84_200_000, KeptAt: minutesAgo(300), UsedAt: minutesAgo(2), Trees: []client.CacheTree{
			{Path: "~/go/pkg/mod", Digest: "sha256:b4c5", Files: 1204, Size: 84_200_000},
		}},
		{Project: "shop", Scope: "branch/faster", Key: "go-linux-amd64-77ab", Files: 1, Size: 12, KeptAt: minutesAgo(90), UsedAt: minutesAgo(90)},
	})
	w.answers("DELETE /api/v1/projects/shop/cache", client.Cleared{Entries: 2})
	w.answers("GET /api/v1/projects/shop/secrets", []client.Secret{
		{Name: "DATABASE_URL", Environments: []string{"production"}, Branches: []string{"main"}, UpdatedAt: minutesAgo(70)},
		{Name: "NPM_TOKEN", From: "npm-token", Command: "vault kv get -field=token npm", UpdatedAt: minutesAgo(70)},
		{Name: "OLD_TOKEN", From: "gone", UpdatedAt: minutesAgo(70)},
		{Name: "SMTP_PASSWORD", UpdatedAt: minutesAgo(70)},
	})
	w.answers("GET /api/v1/projects/shop/secret-uses", []client.SecretUse{
		{Name: "DATABASE_URL", Pipeline: "shop", Run: 128, Step: "production", Environment: "production", At: minutesAgo(2)},
		{Name: "DATABASE_URL", Pipeline: "shop", Run: 128, Step: "migrate", At: minutesAgo(5)},
	})
	w.answers("POST /api/v1/secret-key/rotate", client.KeyRotation{Forget: true, Resealed: 12, Forgotten: 2})
	w.answers("PUT /api/v1/projects/shop/secrets/SMTP_PASSWORD", nil)
	w.answers("DELETE /api/v1/projects/shop/secrets/SMTP_PASSWORD", nil)
	shopRuns(w)
	shopEnvironments(w)
	shopPeople(w)
	return w
}

func shopRuns(w *world) {
	w.answers("GET /api/v1/runs", []client.Run{shopWaiting(), shopFailed(), shopQueued()})
	w.answers("GET /api/v1/pipelines/shop/runs/128", shopWaiting())
	w.answers("GET /api/v1/pipelines/shop/runs/127", shopFailed())
	w.answers("GET /api/v1/pipelines/desktop/runs/7", shopQueued())
	w.streams("GET /api/v1/pipelines/shop/runs/128/events",
		with(shopRun(), "shop", client.Step{State: "queued", Attempt: 1, Reason: "no worker is connected"}),
		with(shopRun(), "shop", client.Step{State: "running", Attempt: 1, Worker: "worker-2", StartedAt: minutesAgo(3)}),
		shopWaiting(), shopPassed())
	w.streams("GET /api/v1/pipelines/shop/runs/127/events", shopFailed())
	w.answers("POST /api/v1/pipelines/shop/runs/128/cancel", shopWaiting())
	w.refuses("POST /api/v1/pipelines/shop/runs/127/steps/unit/shell", http.StatusForbidden, client.Error{
		Code: "forbidden", Message: "main is protected, and a debug shell sees the step's secrets", Hint: "whoever runs the server may allow it",
	})
	w.answers("POST /api/v1/pipelines/shop/runs/127/rerun", shopRepeated("running"))
	w.streams("GET /api/v1/pipelines/shop/runs/129/events", shopRepeated("running"), shopRepeated("passed"))
	w.answers("GET /api/v1/approvals", []client.Approval{shopApproval("waiting")})
	w.answers("GET /api/v1/pipelines/shop/runs/128/approvals/release", withPlan(shopApproval("waiting")))
	w.mux.HandleFunc("POST /api/v1/pipelines/shop/runs/128/approvals/release/decide", decideShop)
}

// shopChanges is one of each kind, and a run that was asked for with inputs.
func shopChanges(w *world) {
	held := client.Change{
		ID: 1042, Branch: "pull/7", Revision: "c0ffee1234567", Trigger: "pull_request", Outcome: "held", SeenAt: minutesAgo(5),
		Reason:  "pull request 7 by mallory comes from a fork (once somebody has read it: towpath changes allow shop 1042)",
		Request: &client.PullRequest{Number: 7, Title: "Sell oolong", Author: "mallory", Base: "main", Head: "tea", Fork: true},
	}
	allowed := held
	allowed.Outcome, allowed.Reason, allowed.AllowedBy = "pending", "", "ana"
	w.answers("GET /api/v1/projects/shop/changes", []client.Change{
		held,
		{ID: 1041, Branch: "main", Revision: "9be07d4417fe", Trigger: "push", Outcome: "run", Runs: []string{"r128"}, SeenAt: minutesAgo(8)},
		{ID: 1040, Branch: "main", Revision: "9be07d4417fe", Trigger: "schedule", Outcome: "run", Pipelines: []string{"shop"}, SeenAt: minutesAgo(700)},
		{ID: 1039, Branch: "tags/v1", Revision: "9be07d4417fe", Trigger: "tag", Outcome: "ignored", Reason: "no pipeline is triggered by the tag v1", SeenAt: minutesAgo(800)},
		{ID: 1038, Branch: "main", Revision: "5d1e88a4417fe", Trigger: "manual", By: "ana", Outcome: "failed", Reason: "towpath.yaml:3: wrong\ntowpath.yaml:4: worse", SeenAt: minutesAgo(900)},
	})
	w.answers("POST /api/v1/projects/shop/changes/1042/allow", allowed)
	w.refuses("POST /api/v1/projects/shop/changes/1040/allow", http.StatusConflict, client.Error{Code: "conflict", Message: "change 1040 waits for nobody's go"})
	asked := shopPassed()
	asked.Number, asked.Trigger, asked.Inputs = 126, "manual", client.Inputs{"size": "large", "reason": "the sale"}
	w.answers("GET /api/v1/pipelines/shop/runs/126", asked)
}

func decideShop(answer http.ResponseWriter, r *http.Request) {
	var d client.Decision
	json.NewDecoder(r.Body).Decode(&d)
	state := "rejected"
	if d.Approved {
		state = "approved"
	}
	json.NewEncoder(answer).Encode(shopApproval(state))
}

func withPlan(a client.Approval) client.Approval {
	a.Plans = []client.Plan{shopPlan()}
	return a
}

func shopEnvironments(w *world) {
	const production = "/api/v1/environments/shop/production"
	w.answers("GET /api/v1/environments", []client.Environment{shopProduction(), shopStaging()})
	w.mux.HandleFunc("GET /api/v1/board", answersBoard)
	shopFreezes(w)
	policy := client.Policy{
		Environment: "shop/production", Protected: true, Workers: []string{}, Addresses: []string{"10.0.0.0/8", "web1.example.com"}, By: "ana", At: minutesAgo(3),
	}
	w.answers("GET "+production+"/policy", policy)
	policy.Conflict = "the policy of shop/production does not allow address web2, which the definition in force has"
	policy.Refs = []string{"main", "tags/v*"}
	w.answers("POST "+production+"/policy", policy)
	w.answers("GET /api/v1/environments/shop/qa/policy", client.Policy{Environment: "shop/qa", Absent: true})
	w.answers("GET "+production+"/deployments/d1", shopHistory())
	w.answers("GET "+production+"/exec", []client.Errand{
		{ID: "x2", Instance: "r42-7", Slot: "web1", Command: []string{"psql"}, By: "ana", State: "running", RequestedAt: minutesAgo(3)},
		{ID: "x1", Instance: "r42-8", Command: []string{"df", "-h", "."}, By: "ben", State: "ended", ExitCode: 1, Outcome: "exited with status 1", RequestedAt: minutesAgo(9)},
	})
	w.refuses("POST "+production+"/exec", http.StatusServiceUnavailable, client.Error{
		Code: "unavailable", Message: "nobody keeps shop/production since 2 Nov 14:02:11 UTC", Hint: "see towpath workers",
	})
	w.answers("GET "+production+"/plan", shopPlan())
	w.answers("GET "+production+"/releases", []client.Release{*release(42), *release(41)})
	back := deployment("returned")
	back.Outcome, back.Reason = "errors 4.1% over 2m (limit 1%)", "friday"
	w.answers("GET "+production+"/deployments", []client.Deployment{deployment("live"), back, deployment("waiting")})
	w.answers("POST "+production+"/deploy", deployment("waiting"))
	ahead := deployment("running")
	ahead.ID, ahead.By, ahead.Release = "d0", "ben", 41
	queued := deploying(ahead, "draining r40-1")
	queued.Queue = []client.Deployment{deployment("waiting")}
	w.streams("GET "+production+"/events",
		queued, deploying(deployment("running"), "starting r42-1"), deploying(deployment("running"), ""), shopProduction())
	shopGoesBack(w)
	for _, act := range []string{"promote", "freeze", "thaw", "unpin", "gone"} {
		w.answers("POST "+production+"/"+act, shopProduction())
	}
}

// shopGoesBack turns the deployment back that is under way on staging.
func shopGoesBack(w *world) {
	const staging = "/api/v1/environments/shop/staging"
	back := deployment("returning")
	back.ID, back.Environment, back.Outcome = "d2", "shop/staging", "rolled back by ana"
	returned := back
	returned.State, returned.EndedAt = "returned", now
	e := shopStaging()
	e.Deployment, e.Goal, e.Doing = &back, release(41), "stopping r42-1"
	after := shopStaging()
	after.Deployment, after.Goal, after.Doing = nil, release(41), ""
	w.answers("POST "+staging+"/rollback", back)
	w.answers("POST "+staging+"/remove", back)
	plan := shopPlan()
	plan.Length = "about 3 s; last time 2.8 s"
	w.answers("GET "+staging+"/plan", plan)
	w.answers("GET "+staging+"/deployments", []client.Deployment{returned})
	w.streams("GET "+staging+"/events", e, after)
}

func shopDeliveries(w *world) {
	push := client.Delivery{
		ID: 1204, Key: "id:7a0b4c1e-c7d1-11f0", Event: "push", Size: 8192, Outcome: "change",
		ArrivedAt: minutesAgo(3), SettledAt: minutesAgo(3),
	}
	ping := client.Delivery{
		ID: 1203, Key: "id:6f2e11aa-c7d1-11f0", Event: "ping", Size: 212, Outcome: "ignored", Reason: "the webhook works", Replays: 1,
		ArrivedAt: minutesAgo(90), SettledAt: minutesAgo(4),
	}
	forged := client.Delivery{
		ID: 1202, Key: "refused:1", Event: "push", Size: 99, Outcome: "refused", ArrivedAt: minutesAgo(91), SettledAt: minutesAgo(91),
		Reason: "the delivery's signature is not valid; 12 more were refused before it",
	}
	whole, replayed := push, push
	whole.Body = `{"ref":"refs/heads/main"}`
	replayed.Outcome, replayed.Replays = "pending", 1
	const shop = "/api/v1/projects/shop"
	w.answers("GET "+shop+"/deliveries", []client.Delivery{push, ping, forged})
	w.answers("GET "+shop+"/deliveries/1204", whole)
	w.answers("POST "+shop+"/deliveries/1204/replay", replayed)
	w.answers("POST "+shop+"/webhook", client.Webhook{
		URL: "https://towpath.example.com/hooks/shop", Secret: "twh_made", Manual: "paste twh_made there",
	})
	w.answers("DELETE "+shop+"/webhook/previous", nil)
}

func shopPeople(w *world) {
	ana := client.Account{
		Name: "ana", Email: "ana@example.com", Roles: map[string]string{"shop": "deployer", "*": "viewer"},
		Groups: []string{"release-managers"}, CreatedAt: minutesAgo(900),
	}
	ben := client.Account{Name: "ben", Administrator: true, CreatedAt: minutesAgo(900)}
	w.answers("GET /api/v1/accounts", []client.Account{ana, ben})
	takes(w, "PUT /api/v1/accounts/cem", func(a *client.Account) { a.Link = "http://SERVER/login?code=twl_abc" })
	takes(w, "PUT /api/v1/accounts/ana", func(*client.Account) {})
	w.answers("POST /api/v1/accounts/ana/link", client.Account{Name: "ana", Link: "http://SERVER/login?code=twl_def"})
	w.answers("DELETE /api/v1/accounts/ana", nil)
	managers := client.Group{Name: "release-managers", Members: []string{"ana", "ben"}, Roles: map[string]string{"shop": "approver"}}
	w.answers("GET /api/v1/groups", []client.Group{managers})
	takes(w, "PUT /api/v1/groups/release-managers", func(*client.Group) {})
	takes(w, "PUT /api/v1/groups/designers", func(*client.Group) {})
	w.answers("DELETE /api/v1/groups/release-managers", nil)
	w.answers("GET /api/v1/tokens", []client.Token{
		{Name: "ci", Permissions: []string{"run.start"}, Project: "shop", ExpiresAt: now.Add(90 * 24 * time.Hour), UsedAt: minutesAgo(4)},
		{Name: "login-laptop"},
	})
	w.answers("POST /api/v1/tokens", client.Token{Name: "ci", Token: "twp_secret", Permissions: []string{"run.start"}, Project: "shop"})
	w.answers("DELETE /api/v1/tokens/ci", nil)
	w.answers("GET /api/v1/me", client.Me{Account: "ana"})
	w.answers("POST /api/v1/login", client.Token{Name: "login", Token: "twp_fresh"})
	w.answers("POST /api/v1/logout", nil)
	w.answers("POST /api/v1/workers/tokens", client.Token{Name: "worker", Token: "twr_once"})
	w.answers("POST /api/v1/workers/w1/drain", nil)
	w.answers("POST /api/v1/workers/w2/drain", nil)
	w.answers("POST /api/v1/workers/w1/labels", client.Worker{ID: "w1", Name: "worker-1", Labels: []string{"gpu", "has=docker"}})
	w.answers("DELETE /api/v1/workers/w1", nil)
	w.answers("GET /api/v1/workers", []client.Worker{
		{ID: "w1", Name: "worker-1", OS: "linux", Arch: "amd64", Labels: []string{"big", "has=docker"}, Slots: 4, Running: 1, Version: "v0.1.0", SeenAt: now.Add(-time.Second)},
		{ID: "w2", Name: "worker-2", OS: "darwin", Arch: "arm64", Slots: 2, Draining: true, DrainedBy: "ana", Version: "v0.0.9", Older: true, SeenAt: minutesAgo(5)},
	})
	w.answers("GET /api/v1/audit", []client.AuditEntry{
		{Number: 2, Actor: "ana (token ci)", Action: "deploy", Object: "shop/production", Detail: "release 42", At: minutesAgo(3)},
		{Number: 1, Actor: "ben", Action: "project.add", Object: "shop", Detail: "https://git.example.com/shop.git", At: minutesAgo(3000)},
	})
}
