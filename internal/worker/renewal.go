package worker

import (
	"context"
	"time"
)

const (
	// renewLimit bounds one renewal.
	renewLimit = 10 * time.Second
	// renewDefault is the pace where the server names none.
	renewDefault = 5 * time.Second
)

// renew keeps the lease until ctx ends. A server that cannot be reached changes nothing: the script runs on. One that
// wants the attempt to end has it stopped with the reason.
func (a *attempt) renew(ctx context.Context, stop context.CancelCauseFunc) {
	pace := seconds(a.lease.RenewEvery)
	if pace <= 0 {
		pace = renewDefault
	}
	for pauseFor(ctx, pace) == nil {
		if err := a.renewOnce(ctx); err != nil {
			stop(err)
			return
		}
	}
}

// renewOnce answers why the attempt has to end, or nil.
func (a *attempt) renewOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewLimit)
	defer cancel()
	renewal, err := a.Client.Renew(ctx, a.lease.LeaseRef)
	switch {
	case isStale(err):
		return errStale
	case err != nil:
		a.log.Debug("cannot renew a lease", "step", a.lease.Step, "error", err)
	case renewal.Stop:
		return &stopRequest{reason: renewal.Reason}
	}
	return nil
}
