package main

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/towpath-cd/towpath/internal/executor/executortest/apart"
	"github.com/towpath-cd/towpath/internal/fleet"
)

// hostsOfFleet is how many hosts a fleet has.
const hostsOfFleet = 5

// found is what a benchmark in namespaces of its own tells the one that called it.
type found struct {
	Figures []Figure
	Failure string // empty where all could be measured
}

// onFleet measures on hosts with systemd, in namespaces of their own: this program goes on there, and ends with all that
// it has started.
func onFleet(ctx context.Context, s *stage, name string) ([]Figure, error) {
	if err := apart.Check(fleet.Programs()); err != nil {
		return nil, err
	}
	if err := fleet.Prepare(ctx); err != nil {
		return nil, err
	}
	if err := s.build(ctx, s.path("app"), "github.com/towpath-cd/towpath/e2e/testdata/app"); err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, s.self, "apart", name, s.dir, strconv.FormatBool(s.quick))
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, s.progress
	if err := apart.Call(command); err != nil {
		return nil, fmt.Errorf("measure on hosts: %w", err)
	}
	var all found
	if err := gob.NewDecoder(&said).Decode(&all); err != nil {
		return nil, fmt.Errorf("measure on hosts: %w", err)
	}
	if all.Failure != "" {
		return all.Figures, errors.New(all.Failure)
	}
	return all.Figures, nil
}

// apartMain is a benchmark in its namespaces.
func apartMain(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var all found
	var err error
	if all.Figures, err = measureApart(ctx, args); err != nil {
		all.Failure = err.Error()
	}
	if err := gob.NewEncoder(os.Stdout).Encode(all); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitShort
	}
	return exitMet
}

func measureApart(ctx context.Context, args []string) (figures []Figure, err error) {
	measures := map[string]func(context.Context, *stage, *fleet.Fleet) ([]Figure, error){
		"rolling": rollOver, "rolling-killed": keepKilled,
	}
	if len(args) != 3 || measures[args[0]] == nil {
		return nil, fmt.Errorf("%q is not measured on hosts", args)
	}
	place, err := apart.Enter()
	if err != nil {
		return nil, err
	}
	s := &stage{dir: args[1], towpath: filepath.Join(args[1], "towpath"), self: os.Args[0], quick: args[2] == "true", progress: os.Stderr}
	defer func() { err = errors.Join(err, s.endAll()) }()
	t := &fleetStage{stage: s, ctx: ctx}
	defer t.end(&err)
	return measures[args[0]](ctx, s, fleet.Open(t, place, hostsOfFleet))
}

// endAll ends every process that was started in the stage, the last one first.
func (s *stage) endAll() error {
	var errs []error
	for _, p := range slices.Backward(s.running) {
		errs = append(errs, p.end())
	}
	return errors.Join(errs...)
}

// fleetStage stands where a fleet expects a test.
type fleetStage struct {
	sshStage
	*stage
	ctx context.Context // of the benchmark: a test has one as well
}

func (t *fleetStage) Context() context.Context          { return t.ctx }
func (t *fleetStage) Failed() bool                      { return false }
func (t *fleetStage) Logf(format string, values ...any) { t.say(format, values...) }
