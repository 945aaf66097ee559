package service

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

// stop asks a service to end. One that does not run is no error.
func stop(s *mgr.Service) error {
	_, err := s.Control(svc.Stop)
	if err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
		return fmt.Errorf("stop the service: %w", err)
	}
	return nil
}

// Run calls run, and where the service manager has started this process it tells it how that goes. ctx of run ends when the
// service is to stop.
func Run(ctx context.Context, name string, run func(context.Context) error) error {
	is, err := svc.IsWindowsService()
	if err != nil {
		return fmt.Errorf("ask whether this is a service: %w", err)
	}
	if !is {
		return run(ctx)
	}
	h := &handler{ctx: ctx, run: run}
	return errors.Join(svc.Run(name, h), h.failed)
}

// handler is what the service manager speaks to.
type handler struct {
	ctx    context.Context
	run    func(context.Context) error
	failed error
}

// Execute implements svc.Handler. A run that ends by itself is a failure, after which it is started again.
func (h *handler) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (bool, uint32) {
	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- h.run(ctx) }()
	running := svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
	status <- running
	for {
		select {
		case h.failed = <-ended:
			status <- svc.Status{State: svc.StopPending}
			if ctx.Err() != nil {
				return false, 0
			}
			return true, 1
		case request := <-requests:
			switch request.Cmd {
			case svc.Interrogate:
				status <- request.CurrentStatus
			case svc.Stop, svc.Shutdown:
				status <- svc.Status{State: svc.StopPending}
				cancel()
			}
		}
	}
}
