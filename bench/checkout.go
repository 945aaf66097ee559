package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	sources "github.com/towpath-cd/towpath/internal/git"
)

// The trees that are checked out have so many small files. What is quick has a twentieth of the larger one.
const (
	smallTree = 1_000
	largeTree = 100_000
)

// checkouts are one tree's repository, our mirror of it, and the bare clone that a worktree is added to.
type checkouts struct {
	*stage
	files    int
	from     string // bare
	revision string
	mirror   *sources.Mirror
	took     map[string][]float64 // ms, by way
}

// measureCheckout makes a workspace of the same commit in three ways, in turn. Ours is what a worker does before a script:
// see that the mirror holds the revision, write the files, and look at them once so that the workspace can be handed on.
func measureCheckout(ctx context.Context, s *stage) ([]Figure, error) {
	var figures []Figure
	for _, files := range []int{smallTree, s.rounds(largeTree, largeTree/20)} {
		c := &checkouts{stage: s, files: files, took: map[string][]float64{}}
		if err := c.open(ctx); err != nil {
			return nil, err
		}
		for round := range c.roundsOf() {
			s.say("checkout: round %d of %d files", round+1, files)
			if err := c.round(ctx, round); err != nil {
				return nil, err
			}
		}
		figures = append(figures, c.figures()...)
		if err := os.RemoveAll(c.folder()); err != nil {
			return nil, err
		}
	}
	return figures, nil
}

func (c *checkouts) roundsOf() int {
	if c.files > smallTree {
		return c.rounds(5, 3)
	}
	return c.rounds(21, 5)
}

func (c *checkouts) folder(parts ...string) string {
	return c.path(append([]string{fmt.Sprint("tree", c.files)}, parts...)...)
}

// open commits a tree of folders of a hundred files, and has a mirror made of it.
func (c *checkouts) open(ctx context.Context) error {
	c.from = c.folder("from.git")
	if err := os.MkdirAll(c.folder(), 0o700); err != nil {
		return err
	}
	if err := git(ctx, c.dir, "init", "-q", "--bare", "-b", "main", c.from); err != nil {
		return err
	}
	if err := c.commit(ctx); err != nil {
		return err
	}
	head, err := exec.CommandContext(ctx, "git", "-C", c.from, "rev-parse", "main").Output()
	if err != nil {
		return fmt.Errorf("ask for the tip: %w", err)
	}
	c.revision = strings.TrimSpace(string(head))
	program, err := sources.New(sources.Options{})
	if err != nil {
		return err
	}
	if c.mirror, err = program.Open(c.folder("mirror.git"), "file://"+c.from); err != nil {
		return err
	}
	if err := c.mirror.Ensure(ctx, sources.Want{Revision: c.revision}); err != nil {
		return err
	}
	return git(ctx, c.dir, "clone", "-q", "--bare", "file://"+c.from, c.folder("clone.git"))
}

// commit writes the tree by git fast-import (git-fast-import(1)), without files on the disk.
func (c *checkouts) commit(ctx context.Context) error {
	var b strings.Builder
	b.WriteString("commit refs/heads/main\ncommitter Bench <bench@example.com> 1700000000 +0000\ndata 5\nbegin\n")
	for i := range c.files {
		text := strings.Repeat(fmt.Sprintf("file %d of %d\n", i, c.files), 20)
		fmt.Fprintf(&b, "M 100644 inline d%d/e%d/f%d.txt\ndata %d\n%s\n", i/10_000, i/100, i, len(text), text)
	}
	command := exec.CommandContext(ctx, "git", "-C", c.from, "fast-import", "--quiet")
	command.Stdin = strings.NewReader(b.String())
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("git fast-import: %w: %s", err, out)
	}
	return nil
}

// round has each way go once; who begins changes, since the disk's cache is for whoever comes next.
func (c *checkouts) round(ctx context.Context, round int) error {
	ways := []struct {
		name string
		do   func(dir string) error
	}{
		{"ours", func(dir string) error { return c.ours(ctx, dir) }},
		{"clone", func(dir string) error { return git(ctx, c.dir, "clone", "-q", "--depth", "1", "file://"+c.from, dir) }},
		{"worktree", func(dir string) error {
			return git(ctx, c.folder("clone.git"), "worktree", "add", "-q", "--detach", "--force", dir, c.revision)
		}},
	}
	for i := range ways {
		way := ways[(i+round)%len(ways)]
		dir := c.folder("work-" + way.name)
		began := time.Now()
		if err := way.do(dir); err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
		c.took[way.name] = append(c.took[way.name], milliseconds(time.Since(began)))
		if err := c.check(dir); err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
	}
	return nil
}

func (c *checkouts) ours(ctx context.Context, dir string) error {
	if err := c.mirror.Ensure(ctx, sources.Want{Revision: c.revision}); err != nil {
		return err
	}
	checkout := sources.Checkout{Revision: c.revision, Dir: dir}
	if err := c.mirror.Checkout(ctx, checkout); err != nil {
		return err
	}
	_, err := sources.Remember(checkout)
	return err
}

// check counts the files, and removes them for the next round.
func (c *checkouts) check(dir string) error {
	found := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == ".git" && d.IsDir() {
			return filepath.SkipDir
		}
		if err == nil && d.Type().IsRegular() && d.Name() != ".git" {
			found++
		}
		return err
	})
	if err == nil && found != c.files {
		err = fmt.Errorf("%d files of %d", found, c.files)
	}
	return errors.Join(err, os.RemoveAll(dir))
}

func (c *checkouts) figures() []Figure {
	ours, clone, worktree := median(c.took["ours"]), median(c.took["clone"]), median(c.took["worktree"])
	what := fmt.Sprintf("checkout of %d files from a warm mirror", c.files)
	return []Figure{
		{Name: what, Ours: ours, Unit: "ms", Reference: "git clone --depth 1", Limit: clone, Goal: AtMost(clone)},
		{Name: what + ", beside a worktree", Ours: ours, Unit: "ms", Reference: "git worktree add", Limit: worktree},
	}
}
