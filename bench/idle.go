package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The memory that a process that has nothing to do may have, in MB.
const (
	serverGoal = 50
	workerGoal = 25
)

// idler is a process that has nothing to do.
type idler struct {
	name string
	pid  int
	goal Goal
	used time.Duration
}

// measureIdle has a server, a worker, a proxy and an instance do some work, and then nothing.
func measureIdle(ctx context.Context, s *stage) ([]Figure, error) {
	idlers, err := startIdlers(ctx, s)
	if err != nil {
		return nil, err
	}
	for i := range idlers {
		if idlers[i].used, err = cpu(idlers[i].pid); err != nil {
			return nil, err
		}
	}
	idle := 30 * time.Second
	s.say("idle: nothing to do for %s", idle)
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-time.After(idle):
	}
	var memories, times []Figure
	for _, i := range idlers {
		memory, err := anonymous(i.pid)
		if err != nil {
			return nil, err
		}
		used, err := cpu(i.pid)
		if err != nil {
			return nil, err
		}
		memories = append(memories, Figure{Name: "anonymous memory, " + i.name, Ours: memory, Unit: "MB", Goal: i.goal})
		times = append(times, Figure{Name: "CPU in 30 s, " + i.name, Ours: milliseconds(used - i.used), Unit: "ms"})
	}
	return slices.Concat(memories, times), nil
}

// startIdlers starts every kind of process and deploys twice, so that what is measured has worked before.
func startIdlers(ctx context.Context, s *stage) ([]idler, error) {
	proxy, err := s.startProxy(ctx, "")
	if err != nil {
		return nil, err
	}
	server, err := s.startServer(ctx, "--no-worker")
	if err != nil {
		return nil, err
	}
	worker, err := s.startWorker(ctx, server)
	if err != nil {
		return nil, err
	}
	if _, err := deployTwice(ctx, s, server, behindProxy); err != nil {
		return nil, err
	}
	idlers := []idler{
		{name: "server", pid: server.pid(), goal: AtMost(serverGoal)},
		{name: "worker", pid: worker.pid(), goal: AtMost(workerGoal)},
		{name: "proxy", pid: proxy.pid()},
	}
	for _, verb := range []string{"hold", "supervise"} {
		pid, err := pidOf(s, verb)
		if err != nil {
			return nil, err
		}
		idlers = append(idlers, idler{name: verb, pid: pid})
	}
	return idlers, nil
}

// pidOf finds a process that the binary started by itself.
func pidOf(s *stage, verb string) (int, error) {
	for pid, command := range allIn(s.dir) {
		if len(command) > 1 && strings.HasSuffix(command[0], "towpath") && command[1] == verb {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("no process runs %q", verb)
}
