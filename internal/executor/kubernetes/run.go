package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/towpath-cd/towpath/internal/executor"
)

// Run runs a script in a new pod, whose end is certain when it returns; see executor.Executor.
func (b boxes) Run(ctx context.Context, script executor.Script) (executor.Result, error) {
	ctx, cancel := executor.Limit(ctx, script.Timeout)
	defer cancel()
	if ctx.Err() != nil {
		return executor.Cut(ctx, script.Timeout), nil
	}
	if err := os.WriteFile(filepath.Join(script.Scratch, scriptFile), []byte(script.Text), 0o600); err != nil {
		return executor.NotBegun(fmt.Errorf("write the script: %w", err)), nil
	}
	under, err := b.begin(ctx, script, runCommand(script))
	if err != nil {
		return b.failed(ctx, script, err), nil
	}
	defer under.cut()
	result, err := under.follow(ctx)
	return result, errors.Join(err, under.end())
}

// begin has the cluster make a pod, whose step's container begins with a command.
func (b boxes) begin(ctx context.Context, script executor.Script, command []string) (*running, error) {
	if err := b.box.Limits.Check(); err != nil {
		return nil, err
	}
	made, job := new(batchv1.Job), b.job(script, command)
	if err := b.create(context.WithoutCancel(ctx), jobs, job, made); err != nil {
		return nil, fmt.Errorf("make the step's job: %w", err)
	}
	// What follows the pod lives as long as that does, not as long as ctx.
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	return &running{
		boxes: b, job: job.Name, script: script, life: life, cut: cut, sight: b.watch(life, "job-name="+job.Name, job.Name), printed: make(chan error, 1),
	}, nil
}

// failed is the result of a script that was not begun, or was ended before.
func (b boxes) failed(ctx context.Context, script executor.Script, err error) executor.Result {
	if ctx.Err() != nil {
		return executor.Cut(ctx, script.Timeout)
	}
	return executor.NotBegun(err)
}
