//go:build linux

package fleet

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/internal/executor/executortest/apart"
)

// tick is how often something is looked at that is being waited for.
const tick = 10 * time.Millisecond

// command is a program with its arguments, also one that only administrators have in their PATH.
func command(ctx context.Context, program string, args ...string) *exec.Cmd {
	if path, err := apart.LookFor(program); err == nil {
		program = path
	}
	return exec.CommandContext(ctx, program, args...)
}

// run runs a program that has to pass. What it said is in the error.
func run(ctx context.Context, program string, args ...string) error {
	_, err := output(command(ctx, program, args...))
	return err
}

// output runs a command that has to pass, and answers what it printed. What it complained of is in the error.
func output(c *exec.Cmd) (string, error) {
	var printed, complained strings.Builder
	c.Stdout, c.Stderr = &printed, &complained
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s%s", strings.Join(c.Args, " "), err, printed.String(), complained.String())
	}
	return printed.String(), nil
}

// until waits until something holds.
func until(ctx context.Context, limit time.Duration, what string, holds func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %s: %s", limit, what))
	defer cancel()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
	return nil
}
