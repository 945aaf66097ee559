package keeper

import (
	"context"
	"errors"
	"os"
	"strconv"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// watchCommand runs the watch's script in a folder with the release's files, as hooks are run.
func (p *performer) watchCommand(f deploy.Facts) look {
	d, script := f.Environment.Deployment, p.keeper.options.Script
	release, err := p.releaseOf(d.Release.Number)
	env := p.watchEnv(f, release)
	files, folder := p.site.Files, p.keeper.folder
	return func(ctx context.Context) (towpath.FindingState, string) {
		switch {
		case err != nil:
			return towpath.FindingNone, err.Error()
		case script == nil:
			return towpath.FindingNone, "this keeper cannot run scripts"
		}
		dir, err := os.MkdirTemp(folder, "watch-")
		if err != nil {
			return towpath.FindingNone, err.Error()
		}
		defer os.RemoveAll(dir)
		if err := files(ctx, release, dir); err != nil {
			return towpath.FindingNone, err.Error()
		}
		return findingOf(script(ctx, Script{Text: f.Environment.Definition.Watch.Command, Dir: dir, Env: env}))
	}
}

// findingOf tells what a script's end says of the release from what only says that it did not run.
func findingOf(err error) (towpath.FindingState, string) {
	var failed *ScriptFailure
	switch {
	case err == nil:
		return towpath.FindingGood, "it passed"
	case !errors.As(err, &failed):
		return towpath.FindingNone, err.Error()
	case failed.ExitCode == towpath.WatchNoData:
		return towpath.FindingNone, "it cannot say: " + failed.lastLine()
	}
	return towpath.FindingBad, failed.Reason + ": " + failed.lastLine()
}

func (p *performer) watchEnv(f deploy.Facts, r towpath.Release) map[string]string {
	e, env := f.Environment, p.releaseEnv(r)
	env["TOWPATH_URL"] = urlOf(f)
	env["TOWPATH_LIVE_RELEASE"] = strconv.Itoa(e.Live.Number)
	return env
}

// urlOf is where people find the environment, or where its balancer answers.
func urlOf(f deploy.Facts) string {
	e := f.Environment
	if address := f.Observed.Reach(e.Goal.Number); e.Definition.URL == "" && address != "" {
		return "http://" + address
	}
	return e.Definition.URL
}
