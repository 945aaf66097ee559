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

// isUnreached says that nobody took the call.
func isUnreached(err error) bool {
	var operation *net.OpError
	return errors.As(err, &operation) && operation.Op == "dial"
}

// drain waits for the requests and leaves the streams alone: those have a clock of their own.
func (d *Driver) drain(ctx context.Context, epoch control.Epoch, o deploy.Drain) (deploy.Receipt, error) {
	result, err := d.hand.Drain(ctx, epoch, d.route.Name, control.DrainRequest{
		Backends: o.Instances, Requests: o.Within, KeepStreams: true,
	})
	if err != nil {
		return deploy.Receipt{}, d.explain(err)
	}
	detail := fmt.Sprintf("%d requests left after %s", result.Requests.Left, result.Waited.Round(time.Millisecond))
	return deploy.Receipt{Detail: detail}, nil
}

// endStreams lets the proxy's clock of streams run out.
func (d *Driver) endStreams(ctx context.Context, epoch control.Epoch, o deploy.EndStreams) (deploy.Receipt, error) {
	route, err := d.hand.Route(ctx, d.route.Name)
	if err != nil {
		return deploy.Receipt{}, d.explain(err)
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
		return deploy.Receipt{}, d.explain(err)
	}
	return deploy.Receipt{Detail: fmt.Sprintf("%d streams ended, %d were closed", result.Streams.Finished, result.Streams.Cut)}, nil
}

// forget takes instances out of the table, whatever is in flight there.
func (d *Driver) forget(ctx context.Context, epoch control.Epoch, o deploy.Forget) error {
	if err := d.refuseBusy(ctx, o.Instances); err != nil {
		return err
	}
	for _, id := range o.Instances {
		if _, err := d.hand.RemoveBackend(ctx, epoch, d.route.Name, id, true); err != nil {
			return d.explain(err)
		}
	}
	return nil
}

// refuseBusy answers an error where one of the instances is given new requests.
func (d *Driver) refuseBusy(ctx context.Context, instances []string) error {
	route, err := d.hand.Route(ctx, d.route.Name)
	if err != nil {
		return d.explain(err)
	}
	for _, id := range instances {
		if b, is := route.Backend(id); is && b.Weight > 0 {
			return &deploy.Retryable{Err: fmt.Errorf("%s has a share of the traffic", id)}
		}
	}
	return nil
}
