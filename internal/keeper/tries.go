package keeper

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
)

const (
	// mostTries is how often an operation of a deployment is tried.
	mostTries = 5
	// mostTrying is how long it is tried.
	mostTrying = time.Minute
	// firstPause grows threefold from try to try.
	firstPause = 500 * time.Millisecond
	// mostPause is the longest wait between tries of what keeps the live release up, which is never given up.
	mostPause = time.Minute
)

// tries counts how often the operation in hand has failed in a row.
type tries struct {
	operation string
	count     int
	since     time.Time
	unread    error // why the balancer could not be read; nil while it can be
}

func (t *tries) succeed() { t.operation, t.count = "", 0 }

// fail counts one more.
func (t *tries) fail(operation string) {
	if t.operation != operation {
		t.operation, t.count, t.since = operation, 0, time.Now()
	}
	t.count++
}

func (t *tries) isOver() bool { return t.count >= mostTries || time.Since(t.since) >= mostTrying }

func (t *tries) pause() time.Duration {
	wait := firstPause
	for range min(t.count-1, 6) {
		wait *= 3
	}
	return min(wait, mostPause)
}

func (t *tries) sightOf(unread error) { t.unread = unread }

// blindness is why the balancer cannot be read, as something to be tried again whatever its kind is.
func (t *tries) blindness() error {
	if t.unread == nil {
		return nil
	}
	return &deploy.Retryable{Err: fmt.Errorf("read the balancer: %w", t.unread)}
}

// fail decides what becomes of an operation that did not succeed: it is tried again after a pause, or the goal is given
// up. It answers the pause.
func (p *performer) fail(ctx context.Context, f deploy.Facts, step deploy.Step, err error) time.Duration {
	var stale *deploy.StaleEpoch
	var permanent *deploy.Permanent
	var silent unheard
	switch {
	case ctx.Err() != nil:
		return 0
	case errors.As(err, &silent):
		return busyPace // the manager wakes us when the server answers again
	case errors.As(err, &stale):
		p.refused(stale.Seen)
		return busyPace
	}
	p.tries.fail(step.Operation.String())
	p.logger.Warn("operation failed", "operation", step.Operation.String(), "try", p.tries.count, "error", p.mask(err.Error()))
	isPermanent := errors.As(err, &permanent)
	if f.Environment.Deployment != nil && (isPermanent || p.tries.isOver()) {
		return p.giveUp(ctx, f, step, err, permanent)
	}
	wait := p.tries.pause()
	if again, ok := errors.AsType[*deploy.Retryable](err); ok {
		wait = max(wait, again.After)
	}
	if f.Environment.Deployment == nil {
		doing := fmt.Sprintf("%s failed, and is tried again in %s: %s", step.Operation, wait, err)
		_, _ = p.report(ctx, f, client.KeeperReport{Doing: doing}) // the next round tells it again
	}
	return wait
}

// giveUp tells the server that the goal cannot be reached, with what shows it.
func (p *performer) giveUp(ctx context.Context, f deploy.Facts, step deploy.Step, err error, permanent *deploy.Permanent) time.Duration {
	reason := step.Operation.String() + ": " + err.Error()
	if permanent != nil && len(permanent.Log) > 0 {
		reason += "\n" + strings.Join(permanent.Log, "\n")
	}
	if p.tries.count > 1 {
		reason = fmt.Sprintf("%s (tried %d times)", reason, p.tries.count)
	}
	p.tries.succeed()
	if _, err := p.send(ctx, f, "failed", reason); err != nil {
		return busyPace
	}
	return 0
}
