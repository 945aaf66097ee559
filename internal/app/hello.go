package app

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// helloEvery is how soon a worker tries again to say what it is, to a server that does not answer.
const helloEvery = 5 * time.Second

// introduce tells the server what this worker is now: it may have been started with other labels or slots than when it
// registered, or on a machine that has other programs by now. Steps do not wait for that.
func introduce(ctx context.Context, o WorkerOptions, server *client.Client) error {
	hello := client.Hello{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Labels: labelsOf(o.Config), Slots: o.Config.Slots, Version: o.Version,
	}
	for {
		welcome, err := server.Hello(ctx, hello)
		refused, answered := errors.AsType[*client.Error](err)
		switch {
		case err == nil:
			o.Log.Debug("the server knows this worker", "server_version", welcome.Version)
			return nil
		case answered && !refused.Temporary():
			return unlessOld(o, refused)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(helloEvery):
		}
	}
}

// unlessOld says nothing of a server that does not know the call: it is of the release before, and knows the worker as it
// registered. A key that is worth nothing is for the calls for steps to say.
func unlessOld(o WorkerOptions, refused *client.Error) error {
	if refused.Code != "not_found" && refused.Code != "unauthorized" {
		o.Log.Warn("the server does not take what this worker says of itself", "error", refused)
	}
	return nil
}
