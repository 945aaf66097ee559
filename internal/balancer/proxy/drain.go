package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/proxy/control"
)

const (
	// quickPace is how often the proxy is asked at first whether requests have ended; most end within milliseconds.
	quickPace = 2 * time.Millisecond
	// slowPace is how often it is asked in the end.
	slowPace = 50 * time.Millisecond
)

// isUnreached says that nobody took the call.
func isUnreached(err error) bool {
	var operation *net.OpError
	return errors.As(err, &operation) && operation.Op == "dial"
}

// drain waits for the requests and leaves the streams alone: those have a clock of their own, and the proxy's own drain
// would run both.
func (d *Driver) drain(ctx context.Context, o deploy.Drain) (deploy.Receipt, error) {
	began := time.Now()
	for pace := quickPace; ; pace = min(pace*3/2, slowPace) {
		left, err := d.inFlight(ctx, o.Instances)
		if err != nil {
			return deploy.Receipt{}, err
		}
		spent := time.Since(began)
		if left == 0 || spent >= o.Within {
			return deploy.Receipt{Detail: fmt.Sprintf("%d requests left after %s", left, spent.Round(time.Millisecond))}, nil
		}
		if !pause(ctx, min(pace, o.Within-spent)) {
			return deploy.Receipt{}, &deploy.UnknownOutcome{Err: fmt.Errorf("drain: %w", context.Cause(ctx))}
		}
	}
}

// inFlight counts requests at the instances. It is an error that one of them is given new ones.
func (d *Driver) inFlight(ctx context.Context, instances []string) (int64, error) {
	route, err := d.hand.Route(ctx, d.route.Name)
	if err != nil {
		return 0, explain(err)
	}
	var requests int64
	for _, id := range instances {
		b, is := route.Backend(id)
		if is && b.Weight > 0 {
			return 0, &deploy.Retryable{Err: fmt.Errorf("%s has a share of the traffic", id)}
		}
		requests += b.InFlight.Requests
	}
	return requests, nil
}

// endStreams lets the proxy's clock of streams run out.
func (d *Driver) endStreams(ctx context.Context, epoch control.Epoch, o deploy.EndStreams) (deploy.Receipt, error) {
	route, err := d.hand.Route(ctx, d.route.Name)
	if err != nil {
		return deploy.Receipt{}, explain(err)
	}
	request := control.DrainRequest{Streams: o.Within}
	for _, id := range o.Instances {
		if _, is := route.Backend(id); is {
			request.Backends = append(request.Backends, id)
		}
	}
	if len(request.Backends) == 0 {
		return deploy.Receipt{}, nil
	}
	result, err := d.hand.Drain(ctx, epoch, d.route.Name, request)
	if err != nil {
		return deploy.Receipt{}, explain(err)
	}
	return deploy.Receipt{Detail: fmt.Sprintf("%d streams ended, %d were closed", result.Streams.Finished, result.Streams.Cut)}, nil
}

// forget takes instances out of the table, whatever is in flight there.
func (d *Driver) forget(ctx context.Context, epoch control.Epoch, o deploy.Forget) error {
	if _, err := d.inFlight(ctx, o.Instances); err != nil {
		return err
	}
	for _, id := range o.Instances {
		if _, err := d.hand.RemoveBackend(ctx, epoch, d.route.Name, id, true); err != nil {
			return explain(err)
		}
	}
	return nil
}

// pause says whether ctx was still going on at the end.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
