package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/towpath-cd/towpath/client"
)

// The goals of the page: a ratio to tar's time, and MB of memory that no file stands behind.
const (
	cacheGoal       = 1.2
	cacheMemoryGoal = 256
)

// cachePipeline brings a tree unless the cache has brought it.
const cachePipeline = `pipeline: %[1]s
on: {manual: true, push: false, poll: off}
steps:
  - build: all
    run: test -d deps || cp -r %[2]s deps
    cache: {key: deps, paths: deps}
`

// caches is one tree's side of the benchmark.
type caches struct {
	*stage
	*server
	forest forest
	worker *process
	took   map[string][]float64 // s, by what was done
}

// measureCache keeps trees and restores them, in turn with tar from and to the same disk.
func measureCache(ctx context.Context, s *stage) ([]Figure, error) {
	of, err := s.startServer(ctx, "--no-worker", "--cache-limit", "100GB")
	if err != nil {
		return nil, err
	}
	worker, err := s.startWorker(ctx, of)
	if err != nil {
		return nil, err
	}
	serverMemory, workerMemory := watchMemory(of.pid()), watchMemory(worker.pid())
	var figures []Figure
	for _, f := range []forest{
		{stage: s, name: "small", files: s.rounds(10_000, 1_000), each: 50_000},
		{stage: s, name: "large", files: s.rounds(200, 10), each: 5_000_000},
	} {
		c := &caches{stage: s, server: of, worker: worker, forest: f, took: map[string][]float64{}}
		if err := c.measure(ctx); err != nil {
			return nil, err
		}
		figures = append(figures, c.figures()...)
	}
	for name, memory := range map[string]*memoryWatch{"server": serverMemory, "worker": workerMemory} {
		most, err := memory.peak()
		if err != nil {
			return figures, err
		}
		figures = append(figures, Figure{Name: "the " + name + "'s memory at most", Ours: most, Unit: "MB", Goal: AtMost(cacheMemoryGoal)})
	}
	return figures, nil
}

func (c *caches) measure(ctx context.Context) error {
	name := c.forest.name
	made, err := c.newRepository(ctx, name, fmt.Sprintf(cachePipeline, name, c.forest.dir()))
	if err == nil {
		_, err = c.AddProject(ctx, client.NewProject{URL: made.dir, Name: name})
	}
	if err != nil {
		return err
	}
	err = until(ctx, "the first look at a repository", func() (bool, error) {
		seen, err := c.Changes(ctx, name)
		return len(seen) > 0 && seen[0].Outcome != "pending", err
	})
	for round := range c.rounds(5, 2) {
		if err != nil {
			return err
		}
		c.say("cache: round %d of %s", round+1, c.forest.described())
		err = c.round(ctx, round)
	}
	return err
}

// round keeps a tree that is new, restores it from the server, and then from what the worker has itself.
func (c *caches) round(ctx context.Context, round int) error {
	if err := c.forest.grow(round); err != nil {
		return err
	}
	if _, err := c.ClearCache(ctx, c.forest.name, ""); err != nil {
		return err
	}
	pack, unpack, err := c.forest.byTar(ctx)
	if err != nil {
		return err
	}
	c.took["tar -c"], c.took["tar -x"] = append(c.took["tar -c"], pack), append(c.took["tar -x"], unpack)
	for _, what := range []string{"kept", "restored", "restored again"} {
		if what == "restored" {
			err = c.forgetOwn()
		}
		if err == nil {
			err = c.step(ctx, what)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// forgetOwn takes away what the worker has itself.
func (c *caches) forgetOwn() error {
	own, err := filepath.Glob(c.path("worker", "steps", "artifacts", "*"))
	if err == nil && len(own) == 0 {
		err = errors.New("the worker has kept nothing of its own")
	}
	for _, file := range own {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

var cacheTold = regexp.MustCompile(`: (kept|restored).* \((\d+) files, [^,]+, (\d+) ms\)`)

// step runs the pipeline, and reads in its log how long the cache took.
func (c *caches) step(ctx context.Context, what string) error {
	run, err := c.StartRun(ctx, c.forest.name, client.StartRun{})
	if err == nil {
		run, err = c.finish(ctx, run)
	}
	if err != nil {
		return err
	}
	log, err := c.Log(ctx, client.LogQuery{Pipeline: run.Pipeline, Run: run.Number, Step: "all"})
	if err != nil {
		return err
	}
	defer log.Close()
	text, err := io.ReadAll(log)
	told := cacheTold.FindSubmatch(text)
	if err != nil || told == nil || string(told[1]) != what[:len(told[1])] || string(told[2]) != strconv.Itoa(c.forest.files) {
		return fmt.Errorf("the tree is not %s: %w\n%s", what, err, text)
	}
	took, err := strconv.ParseFloat(string(told[3]), 64)
	c.took[what] = append(c.took[what], took/1000)
	return err
}

func (c *caches) figures() []Figure {
	pack, unpack, of := median(c.took["tar -c"]), median(c.took["tar -x"]), c.forest.described()
	return []Figure{
		{Name: "keeping " + of, Ours: median(c.took["kept"]), Unit: "s", Reference: "tar -c and sync", Limit: pack},
		{Name: "restoring " + of + " from the server", Ours: median(c.took["restored"]), Unit: "s", Reference: "tar -x", Limit: unpack, Goal: AtMost(cacheGoal * unpack)},
		{Name: "restoring " + of + " that the worker has itself", Ours: median(c.took["restored again"]), Unit: "s", Reference: "tar -x", Limit: unpack, Goal: AtMost(cacheGoal * unpack)},
	}
}
