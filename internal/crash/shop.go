package crash

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/towpath-cd/towpath/client"
)

const (
	shopHost        = "shop.test"
	shopPipeline    = "shop"
	shopEnvironment = "shop/production"
	shopLines       = 40 // that its build prints
)

// push is a change that git has taken.
type push struct {
	revision string
	version  string
	run      client.Run
}

// shop is a team whose every change goes all the way: it is built, tested, published, approved, and serves. Nothing of it
// may fail but for one reason: publishing must not run twice, so it fails with its worker.
type shop struct {
	*Story
	repository *repository
	ana        *client.Client
	pushes     []push
	approved   []int        // numbers of runs
	wishes     []wish       // deployments by hand
	goal       int          // the release that should be live
	versions   map[int]push // by release
}

// wish is a deployment that was asked for by hand.
type wish struct {
	made     client.Deployment // the server's answer; zero where none came
	isUnsure bool
}

// shopFiles are of one version. Somebody may kill any process of a script: each is one whose death ends the script.
func (w *World) shopFiles(version string) map[string]string {
	return map[string]string{"version": version, "mode": "well", "towpath.yaml": fmt.Sprintf(`
pipeline: shop
steps:
  - build: shop
    retry: {lost: 10}
    run: |
      %[1]s
      test ! -d kept || cmp kept/a kept/b
      mkdir -p kept dist
      cp %[2]s version mode dist/
      i=0; while [ $i -lt %[3]d ]; do i=$((i+1)); echo "line $i."; done
      seq 20000 | sed "s/$/ of version $(cat version)/" > dist/data
      cp dist/data kept/a
      cp kept/a kept/b
    artifacts: dist/
    cache: {key: 'shop-{{hash "version"}}', paths: kept, restore: shop-}
  - test: unit
    retry: {lost: 10}
    run: |
      %[1]s
      echo '<testsuite name="unit"><testcase name="the version"/></testsuite>' > unit.xml
      cmp version dist/version
    reports: unit.xml
  - run: publish
    script: %[1]s
  - approve: release
    by: releasers
  - deploy: production
environments:
  production:
    target: {process: {command: ./app}}
    processes:
      clock:
        single: true
        command: |
          exec 9>>%[5]s
          flock -n 9 || { echo "of release $TOWPATH_RELEASE" >>%[5]s.overlapped; exit 1; }
          exec sleep 1000000
    strategy: {canary: {steps: [50%% for 1s], standby: 10m}}
    balancer: {proxy: {host: %[4]s}}
    health: {http: /healthz, release: /release, interval: 50ms}
    watch: {for: 1s, errors: 100%%}
    drain: 2s
`, w.noting(), w.Application, shopLines, shopHost, w.clockLock())}
}

func newShop(ctx context.Context, s *Story) (*shop, error) {
	t := &shop{Story: s, versions: map[int]push{}}
	var err error
	if t.ana, err = s.person(ctx, "ana", "releasers"); err != nil {
		return nil, err
	}
	if t.repository, err = s.newRepository(ctx, shopPipeline, s.shopFiles("0")); err != nil {
		return nil, err
	}
	return t, s.watch(ctx, t.repository)
}

// person makes somebody in a group that may approve, signed in.
func (s *Story) person(ctx context.Context, name, group string) (*client.Client, error) {
	_, err := s.ask(ctx, func(ctx context.Context) error {
		_, err := s.Owner.PutAccount(ctx, client.Account{Name: name, Email: name + "@example.com"})
		return err
	})
	if err == nil {
		_, err = s.ask(ctx, func(ctx context.Context) error {
			_, err := s.Owner.PutGroup(ctx, client.Group{Name: group, Members: []string{name}, Roles: map[string]string{"*": "approver"}})
			return err
		})
	}
	var token client.Token
	for err == nil && token.Token == "" {
		_, err = s.ask(ctx, func(ctx context.Context) (err error) {
			made, err := s.Owner.NewLink(ctx, name)
			if err != nil {
				return err
			}
			_, code, _ := strings.Cut(made.Link, "code=")
			token, err = s.Owner.SignIn(ctx, code, "laptop") // where this is not answered, another link is needed
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	return client.New(s.Owner.Address(), token.Token)
}

// watch has the server poll a repository several times a second.
func (s *Story) watch(ctx context.Context, r *repository) error {
	isUnsure, err := s.ask(ctx, func(ctx context.Context) error {
		_, err := s.Owner.AddProject(ctx, client.NewProject{URL: r.bare, Name: r.name, Poll: 0.2})
		return err
	})
	if isUnsure && has(err, "conflict") {
		return nil // the first call was heard
	}
	return err
}

// act brings a version live, and now and then goes back, and forward again.
func (t *shop) act(ctx context.Context) error {
	n := len(t.pushes) + 1
	if err := t.release(ctx, strconv.Itoa(n)); err != nil {
		return err
	}
	switch n % 3 {
	case 1:
		return t.goBack(ctx)
	case 2:
		if err := t.goBack(ctx); err != nil {
			return err
		}
		return t.goForward(ctx)
	}
	return nil
}

// release pushes a version, and waits for the end of its run.
func (t *shop) release(ctx context.Context, version string) error {
	revision, err := t.repository.push(ctx, "Version "+version, t.shopFiles(version))
	if err != nil {
		return err
	}
	t.pushes = append(t.pushes, push{revision: revision, version: version})
	made := &t.pushes[len(t.pushes)-1]
	if made.run, err = t.runOf(ctx, shopPipeline, revision); err != nil {
		return err
	}
	made.run, err = t.run(ctx, made.run, "asks", func(r client.Run) bool { return stepOf(r, "release").State == "waiting" })
	if err == nil && !isOver(made.run) {
		err = t.approve(ctx, made.run)
	}
	if err == nil {
		made.run, err = t.run(ctx, made.run, "is over", isOver)
	}
	if err != nil {
		return err
	}
	if step := stepOf(made.run, "production"); step.State == "passed" {
		t.goal, t.versions[step.Release] = step.Release, *made
	}
	return nil
}

func (t *shop) approve(ctx context.Context, r client.Run) error {
	var asked client.Approval
	err := t.awaits(ctx, "the approval is asked", func(ctx context.Context) (is bool, err error) {
		asked, err = t.ana.Approval(ctx, r.Pipeline, r.Number, "release")
		return err == nil && asked.State == "waiting", err
	})
	if err != nil {
		return err
	}
	isUnsure, err := t.ask(ctx, func(ctx context.Context) error {
		_, err := t.ana.Decide(ctx, asked, client.Decision{Approved: true})
		return err
	})
	if isUnsure && has(err, "conflict") {
		err = nil // the first time was heard
	}
	t.approved = append(t.approved, r.Number)
	return err
}

// goBack rolls back once there is something to go back to.
func (t *shop) goBack(ctx context.Context) error {
	var e client.Environment
	err := t.awaits(ctx, "the environment is known", func(ctx context.Context) (is bool, err error) {
		e, err = t.Owner.Environment(ctx, shopEnvironment)
		return err == nil, err
	})
	if err != nil || e.Previous == nil {
		return err
	}
	return t.wish(ctx, e.Previous.Number, func(ctx context.Context) (client.Deployment, error) {
		return t.Owner.Rollback(ctx, shopEnvironment, "the story goes back")
	})
}

// goForward deploys the newest version by hand.
func (t *shop) goForward(ctx context.Context) error {
	newest := 0
	for release := range t.versions {
		newest = max(newest, release)
	}
	return t.wish(ctx, newest, func(ctx context.Context) (client.Deployment, error) {
		return t.Owner.Deploy(ctx, shopEnvironment, client.Deploy{Release: newest, Reason: "the story goes forward"})
	})
}

// wish asks once: a second call would be a second wish. Whether one that was not answered was heard is seen by the next
// deployment.
func (t *shop) wish(ctx context.Context, release int, call func(context.Context) (client.Deployment, error)) error {
	calling, cancel := context.WithTimeout(ctx, callLimit)
	made, err := call(calling)
	cancel()
	switch {
	case has(err, "unavailable"):
		t.wishes = append(t.wishes, wish{isUnsure: true})
	case has(err, "conflict"):
		return nil // it is live already
	case err != nil:
		return err
	default:
		t.wishes, t.goal = append(t.wishes, wish{made: made}), release
	}
	var e client.Environment
	err = t.awaits(ctx, fmt.Sprintf("release %d is live", release), func(ctx context.Context) (bool, error) {
		e, err = t.Owner.Environment(ctx, shopEnvironment)
		isQuiet := err == nil && e.Deployment == nil && len(e.Queue) == 0 && e.Live != nil
		return isQuiet && (e.Live.Number == release || made.ID == ""), err
	})
	if err != nil {
		return fmt.Errorf("%w: %+v", err, e)
	}
	t.goal = e.Live.Number
	return nil
}
