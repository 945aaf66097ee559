package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

// endLimit is how long the server may take to note how a hook ended that was cut off.
const endLimit = 5 * time.Second

// runHook runs a hook of the deployment under way in a folder with its release's files. The server has noted that it
// begins before it does; from then on its end is noted whatever happens, or nobody runs it again.
func (p *performer) runHook(ctx context.Context, f deploy.Facts, h towpath.Hook) error {
	if p.keeper.options.Script == nil {
		return &deploy.Permanent{Err: errors.New("this keeper cannot run hooks")}
	}
	d := *f.Environment.Deployment
	folder, err := os.MkdirTemp(p.keeper.folder, "hook-")
	if err != nil {
		return &deploy.Retryable{Err: err}
	}
	defer os.RemoveAll(folder)
	release, err := p.releaseOf(d.Release.Number)
	if err == nil {
		err = p.site.Files(ctx, release, folder)
	}
	if err != nil {
		return err
	}
	if err := p.beginHook(ctx, f, h); err != nil {
		return err
	}
	place := failpoint.At("run a hook")
	place.Before()
	failed := p.keeper.options.Script(ctx, Script{
		Text: f.Environment.Definition.Hooks.Script(h), Dir: folder, Env: p.hookEnv(f, release, h),
	})
	place.After()
	problem := ""
	if failed != nil {
		problem = failed.Error()
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLimit)
	defer cancel()
	_, err = p.report(ending, f, client.KeeperReport{Event: "hook-ended", Deployment: d.ID, Hook: string(h), Reason: problem})
	if failed == nil || h == towpath.HookFailed {
		return err // what goes back goes on
	}
	if permanent, is := errors.AsType[*deploy.Permanent](failed); is {
		return &deploy.Permanent{Err: fmt.Errorf("the hook %s: %w", h, failed), Log: permanent.Log}
	}
	return &deploy.Permanent{Err: fmt.Errorf("the hook %s: %w", h, failed)}
}

// beginHook answers an error unless it is this keeper's to run it now.
func (p *performer) beginHook(ctx context.Context, f deploy.Facts, h towpath.Hook) error {
	deployment := f.Environment.Deployment.ID
	if _, err := p.report(ctx, f, client.KeeperReport{Event: "hook-begun", Deployment: deployment, Hook: string(h)}); err != nil {
		return err
	}
	now := p.current().Environment
	if now.Epoch == f.Environment.Epoch && now.Deployment != nil && now.Deployment.ID == deployment {
		if receipt, is := now.Deployment.Receipt(h); is && receipt.State == towpath.HookBegun {
			return nil
		}
	}
	return errNews
}

// loseHook records that a hook was cut off. There is no driver to be asked what it has done.
func (p *performer) loseHook(ctx context.Context, f deploy.Facts, o deploy.LoseHook) error {
	_, err := p.report(ctx, f, client.KeeperReport{
		Event: "hook-lost", Deployment: f.Environment.Deployment.ID, Hook: string(o.Hook),
	})
	return err
}

func (p *performer) hookEnv(f deploy.Facts, r towpath.Release, h towpath.Hook) map[string]string {
	e, env := f.Environment, p.releaseEnv(r)
	env["TOWPATH_HOOK"] = string(h)
	env["TOWPATH_URL"] = urlOf(f)
	env["TOWPATH_LIVE_RELEASE"] = strconv.Itoa(e.Live.Number)
	env["TOWPATH_REASON"] = e.Deployment.Outcome
	return env
}
