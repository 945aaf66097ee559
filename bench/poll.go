package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

const (
	pollGoal    = 20 // percent of one core
	polledFull  = 2000
	polledEvery = 2 * time.Minute
	polledRefs  = 20 // branches of each repository
)

// polling is a server that watches many repositories, all real: each is a folder that git serves.
type polling struct {
	*stage
	every time.Duration
	count int
	tip   string // at which every branch of every repository stands

	mutex sync.Mutex
	asked map[string]int // how often each repository was asked over http
}

// measurePoll watches the server that polls, once over http (from a server of this program's, which runs git's own
// http-backend) and once with folders. What is quick has a tenth of the repositories ten times as often: as many calls a
// second, and a tenth of the memory that repositories may cost.
func measurePoll(ctx context.Context, s *stage) ([]Figure, error) {
	p := &polling{stage: s, every: polledEvery, count: polledFull, asked: map[string]int{}}
	if s.quick {
		p.every, p.count = p.every/10, p.count/10
	}
	if err := p.makeRepositories(ctx); err != nil {
		return nil, err
	}
	forge, err := p.serve(ctx)
	if err != nil {
		return nil, err
	}
	defer forge.Close()
	var figures []Figure
	for _, way := range []struct {
		name    string
		address func(i int) string
	}{
		{"over http", func(i int) string { return "http://" + forge.Addr + "/" + p.name(i) }},
		{"as folders", func(i int) string { return s.path("repositories", p.name(i)) }},
	} {
		some, err := p.watch(ctx, way.name, way.address)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", way.name, err)
		}
		figures = append(figures, some...)
	}
	return figures, nil
}

func (p *polling) name(i int) string { return fmt.Sprintf("r%d.git", i) }

// makeRepositories makes one, and copies it.
func (p *polling) makeRepositories(ctx context.Context) error {
	p.say("poll: making %d repositories", p.count)
	first, err := p.newRepository(ctx, "first", "pipeline: first\nsteps: [{run: a, script: 'true'}]\n")
	if err != nil {
		return err
	}
	for i := range polledRefs {
		if err := git(ctx, first.dir, "branch", fmt.Sprintf("feature/%d", i), "main"); err != nil {
			return err
		}
	}
	if err := errors.Join(git(ctx, first.dir, "pack-refs", "--all"), os.RemoveAll(filepath.Join(first.dir, "hooks"))); err != nil {
		return err
	}
	head, err := exec.CommandContext(ctx, "git", "-C", first.dir, "rev-parse", "main").Output()
	if err != nil {
		return fmt.Errorf("ask for the tip: %w", err)
	}
	p.tip = strings.TrimSpace(string(head))
	for i := range p.count {
		if err := os.CopyFS(p.path("repositories", p.name(i)), os.DirFS(first.dir)); err != nil {
			return fmt.Errorf("copy a repository: %w", err)
		}
	}
	return nil
}

// serve offers the repositories over HTTP, and counts who is asked for.
func (p *polling) serve(ctx context.Context) (*http.Server, error) {
	core, err := exec.CommandContext(ctx, "git", "--exec-path").Output()
	if err != nil {
		return nil, fmt.Errorf("find git's own programs: %w", err)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(core)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + p.path("repositories"), "GIT_HTTP_EXPORT_ALL=1"},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Addr: listener.Addr().String(), ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			p.mutex.Lock()
			p.asked[r.URL.Path]++
			p.mutex.Unlock()
		}
		backend.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(listener) }()
	return server, nil
}

// watch measures a server through one interval.
func (p *polling) watch(ctx context.Context, way string, address func(int) string) ([]Figure, error) {
	if err := p.fillStore(ctx, address); err != nil {
		return nil, err
	}
	server, err := p.startServer(ctx, "--no-worker")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(p.path("server"))
	defer func() { _ = server.end() }()
	p.say("poll: %d repositories %s, for %s", p.count, way, p.every)
	used, err := p.through(ctx, server, p.every)
	if err != nil {
		return nil, err
	}
	memory, err := anonymous(server.pid())
	if err != nil {
		return nil, err
	}
	seen, err := p.push(ctx, server)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("polling %d repositories every %s, %s", p.count, p.every, way)
	figures := []Figure{
		{Name: what + ": CPU of the server and its git", Ours: used, Unit: "% of a core", Goal: AtMost(pollGoal)},
		{Name: what + ": the server's anonymous memory", Ours: memory, Unit: "MB"},
		{Name: what + ": a push is seen after, longest of ten", Ours: seen.Seconds(), Unit: "s", Goal: AtMost((p.every * 12 / 10).Seconds())},
	}
	if way == "over http" {
		figures = append(figures, Figure{Name: what + ": repositories asked in that time", Ours: float64(p.reached()), Unit: "repositories", Goal: AtLeast(float64(p.count) * 9 / 10)})
	}
	return figures, nil
}

// fillStore has a server know the projects as one does that has polled them for a while.
func (p *polling) fillStore(ctx context.Context, address func(int) string) (err error) {
	if err := os.MkdirAll(p.path("server"), 0o700); err != nil {
		return err
	}
	db, err := store.Open(ctx, store.Options{Path: p.path("server", "towpath.db"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Update(ctx, func(tx *store.Tx) error {
		for i := range p.count {
			project := towpath.Project{
				ID: fmt.Sprint("p", i), Name: fmt.Sprint("p", i), URL: address(i), DefaultBranch: "main", Poll: p.every, CreatedAt: time.Now(),
			}
			if err := tx.CreateProject(project); err != nil {
				return err
			}
			if err := p.saveHeads(tx, project.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *polling) saveHeads(tx *store.Tx, project string) error {
	err := tx.SaveHead(project, "main", p.tip, time.Now())
	for i := range polledRefs {
		err = errors.Join(err, tx.SaveHead(project, fmt.Sprintf("feature/%d", i), p.tip, time.Now()))
	}
	return err
}

// through answers the CPU that the server and the children it has waited for use, in percent of one core.
func (p *polling) through(ctx context.Context, server *server, span time.Duration) (float64, error) {
	before, err := cpu(server.pid())
	if err != nil {
		return 0, err
	}
	began := time.Now()
	select {
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	case <-time.After(span):
	}
	after, err := cpu(server.pid())
	return 100 * float64(after-before) / float64(time.Since(began)), err
}

func (p *polling) reached() (count int) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return len(p.asked)
}

// push moves a branch of ten repositories, and answers how long it takes until the last of them is seen. Then it moves them
// back.
func (p *polling) push(ctx context.Context, server *server) (time.Duration, error) {
	began := time.Now()
	defer func() {
		for i := range 10 {
			_ = git(ctx, p.path("repositories", p.name(i*p.count/10)), "update-ref", "refs/heads/main", p.tip)
		}
	}()
	for i := range 10 {
		dir := p.path("repositories", p.name(i*p.count/10))
		commit := exec.CommandContext(ctx, "git", "-C", dir, "-c", "user.name=Bench", "-c", "user.email=bench@example.com",
			"commit-tree", "-p", "main", "-m", fmt.Sprint("pushed at ", began), "main^{tree}")
		hash, err := commit.Output()
		if err != nil {
			return 0, fmt.Errorf("commit: %w", err)
		}
		if err := git(ctx, dir, "update-ref", "refs/heads/main", strings.TrimSpace(string(hash))); err != nil {
			return 0, err
		}
	}
	for i := range 10 {
		project := fmt.Sprint("p", i*p.count/10)
		err := untilWithin(ctx, 2*p.every+30*time.Second, "the push to "+project, func() (bool, error) {
			seen, err := server.Changes(ctx, project)
			return len(seen) > 0, err
		})
		if err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}
