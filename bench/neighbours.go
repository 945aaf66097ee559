package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/client"
)

const (
	neighbourGoal   = 1.2 // of the time alone
	neighbourLimit  = time.Minute
	hostileMemory   = "200MB"
	hostileForks    = 256
	neighbourScript = `echo $EPOCHREALTIME; for n in {1..20000}; do :; done; echo $EPOCHREALTIME`
)

// hostility is what a step does to its machine until it is canceled, and at which levels that is bounded.
type hostility struct {
	name, does, script string
	levels             []string
}

// hostilities have no measure. Where nothing would bound one, the machine would go down with it: that is not measured.
func hostilities() []hostility {
	all := []string{"none", "user", "namespaces"}
	return []hostility{
		{"prints", "prints without end", `echo began; yes`, all},
		{"writes", "writes files without end", `echo began; while :; do head -c 200M /dev/zero >ballast; rm ballast; done`, all},
		{"forks", "forks without end", `echo began; perl -e 'fork while 1'`, all[2:]},
		{"allocates", "allocates without end", `echo began; while :; do head -c 300M /dev/zero | tail >/dev/null || true; done`, all[2:]},
	}
}

// neighbourPipeline is one step of a level's worker.
func neighbourPipeline(name, level, script string) string {
	return fmt.Sprintf("pipeline: %s\non: {manual: true, push: false, poll: off}\nsteps:\n  - test: only\n    shell: bash\n    run: %s\n    worker: {labels: [level=%s]}\n",
		name, strconv.Quote(script), level)
}

// neighbours is a server with a worker of each level.
type neighbours struct {
	*stage
	*server
}

// waits are what short steps took, in ms.
type waits struct{ began, worked []float64 }

// measureNeighbours runs short steps alone and beside a hostile one of the same worker, in turn.
func measureNeighbours(ctx context.Context, s *stage) ([]Figure, error) {
	n, err := newNeighbours(ctx, s)
	if err != nil {
		return nil, err
	}
	var figures []Figure
	for _, h := range hostilities() {
		for _, level := range h.levels {
			s.say("neighbours: beside one that %s, isolation %s", h.does, level)
			alone, beside, err := n.alternate(ctx, level, h)
			if err != nil {
				return figures, fmt.Errorf("%s, beside one that %s: %w", level, h.does, err)
			}
			figures = append(figures, compared(level, h, alone, beside)...)
		}
	}
	return figures, nil
}

func newNeighbours(ctx context.Context, s *stage) (*neighbours, error) {
	if err := os.Chmod(s.dir, 0o711); err != nil { // steps of other users come through
		return nil, err
	}
	server, err := s.startServer(ctx, "--no-worker")
	if err != nil {
		return nil, err
	}
	n := &neighbours{stage: s, server: server}
	for _, level := range []string{"none", "user", "namespaces"} {
		if err := errors.Join(n.startApart(ctx, level), n.add(ctx, "short-"+level, level, neighbourScript)); err != nil {
			return nil, err
		}
	}
	for _, h := range hostilities() {
		for _, level := range h.levels {
			if err := n.add(ctx, h.name+"-"+level, level, h.script); err != nil {
				return nil, err
			}
		}
	}
	return n, nil
}

// startApart starts a worker that keeps its steps apart.
func (n *neighbours) startApart(ctx context.Context, level string) error {
	token, err := n.NewWorkerToken(ctx)
	if err != nil {
		return err
	}
	worker, err := n.start("worker-"+level, nil,
		n.towpath, "worker", "--server", n.Address(), "--token", token.Token, "--data", n.path("worker-"+level), "--name", level,
		"--proxy-data", n.path("proxy"), "--label", "level="+level, "--isolation", level, "--step-memory", hostileMemory,
		"--step-processes", strconv.Itoa(hostileForks))
	if err != nil {
		return err
	}
	return untilWithin(ctx, neighbourLimit, "the worker "+level, func() (bool, error) {
		select {
		case <-worker.ended:
			return false, fmt.Errorf("it ended: %s", worker.lastWords())
		default:
		}
		workers, err := n.Workers(ctx)
		for _, w := range workers {
			if w.Name == level {
				return true, err
			}
		}
		return false, err
	})
}

func (n *neighbours) add(ctx context.Context, name, level, script string) error {
	made, err := n.newRepository(ctx, name, neighbourPipeline(name, level, script))
	if err != nil {
		return err
	}
	if _, err := n.AddProject(ctx, client.NewProject{URL: made.dir, Name: name}); err != nil {
		return err
	}
	return until(ctx, "the first look at a repository", func() (bool, error) {
		seen, err := n.Changes(ctx, name)
		return len(seen) > 0 && seen[0].Outcome != "pending", err
	})
}

// alternate has a few steps run alone, then as many beside a hostile one, and so on.
func (n *neighbours) alternate(ctx context.Context, level string, h hostility) (alone, beside waits, err error) {
	several := n.rounds(20, 8)
	for range n.rounds(5, 2) {
		if err := n.short(ctx, level, several, &alone); err != nil {
			return alone, beside, err
		}
		end, err := n.begin(ctx, h.name+"-"+level)
		if err != nil {
			return alone, beside, err
		}
		if err := errors.Join(n.short(ctx, level, several, &beside), end()); err != nil {
			return alone, beside, err
		}
	}
	return alone, beside, nil
}

// begin starts a hostile step, and answers how to end it.
func (n *neighbours) begin(ctx context.Context, name string) (end func() error, err error) {
	run, err := n.StartRun(ctx, name, client.StartRun{})
	if err != nil {
		return nil, err
	}
	err = untilWithin(ctx, neighbourLimit, "a hostile step", func() (bool, error) {
		now, err := n.Run(ctx, run.Pipeline, run.Number)
		return err == nil && now.Steps[0].State == "running" && strings.HasPrefix(n.logOf(ctx, run), "began"), err
	})
	if err != nil {
		return nil, err
	}
	return func() error {
		if _, err := n.CancelRun(ctx, run.Pipeline, run.Number); err != nil {
			return err
		}
		return untilWithin(ctx, neighbourLimit, "the end of a hostile step", func() (bool, error) {
			now, err := n.Run(ctx, run.Pipeline, run.Number)
			return now.Steps[0].State == "canceled", err
		})
	}, nil
}

// short runs short steps one after the other.
func (n *neighbours) short(ctx context.Context, level string, count int, into *waits) error {
	for range count {
		began := time.Now()
		run, err := n.StartRun(ctx, "short-"+level, client.StartRun{})
		if err != nil {
			return err
		}
		if run, err = n.finish(ctx, run); err != nil {
			return err
		}
		var first, last float64
		if _, err := fmt.Sscan(n.logOf(ctx, run), &first, &last); err != nil {
			return fmt.Errorf("read what a step printed: %w", err)
		}
		into.began = append(into.began, first*1e3-float64(began.UnixMicro())/1e3)
		into.worked = append(into.worked, (last-first)*1e3)
	}
	return nil
}

// logOf is the beginning of what a run's one step printed.
func (n *neighbours) logOf(ctx context.Context, run client.Run) string {
	log, err := n.Log(ctx, client.LogQuery{Pipeline: run.Pipeline, Run: run.Number, Step: "only"})
	if err != nil {
		return ""
	}
	defer log.Close()
	text := make([]byte, 64)
	read, _ := log.Read(text)
	return string(text[:read])
}

func compared(level string, h hostility, alone, beside waits) []Figure {
	figure := func(what string, q float64, alone, beside []float64) Figure {
		limit := quantile(alone, q)
		return Figure{
			Name: fmt.Sprintf("%s, beside one that %s: %s", level, h.does, what), Ours: quantile(beside, q), Unit: "ms",
			Reference: "alone", Limit: limit, Goal: AtMost(neighbourGoal * limit),
		}
	}
	return []Figure{
		figure("trigger to first output, median", 0.5, alone.began, beside.began),
		figure("trigger to first output, p99", 0.99, alone.began, beside.began),
		figure("the same work, median", 0.5, alone.worked, beside.worked),
		figure("the same work, p99", 0.99, alone.worked, beside.worked),
	}
}
