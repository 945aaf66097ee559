package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// watch follows one deployment on the stream of its environment.
type watch struct {
	console  *Console
	server   *client.Client
	progress *progress
	asked    client.Deployment // as it was answered to whoever asked for it
	last     client.Deployment // as it was told last
	doing    string            // what the keeper did last, which has nothing to say between two operations
}

func (c *Console) newWatch(server *client.Client, d client.Deployment) *watch {
	return &watch{console: c, server: server, progress: c.newProgress(), asked: d}
}

func (w *watch) run(ctx context.Context) error {
	err := following[client.Environment]{
		console: w.console, tick: w.progress.tick,
		stream: func(ctx context.Context, see func(client.Environment) error) error {
			return w.server.FollowEnvironment(ctx, w.asked.Environment, see)
		},
		see: func(e client.Environment) (bool, error) { return w.see(ctx, e) },
	}.run(ctx)
	if err != nil {
		return fmt.Errorf("follow the deployment to %s: %w", w.asked.Environment, err)
	}
	return w.end()
}

// see finds the deployment in the environment, or, when it is no longer there, in the list of those that have ended.
func (w *watch) see(ctx context.Context, e client.Environment) (last bool, err error) {
	d, detail, err := w.find(ctx, e)
	if err != nil {
		return false, err
	}
	if w.console.JSON {
		if d != w.last {
			err = writeJSON(w.console.Out, d)
		}
		w.last = d
		return d.IsFinal(), err
	}
	w.last = d
	title := fmt.Sprintf("%s   release %d", e.Key, d.Release)
	if d.From > 0 {
		title += fmt.Sprintf(" in place of %d", d.From)
	}
	l := line{state: d.State, name: d.State, detail: detail, began: d.BeganAt, ended: d.EndedAt, quiet: d.IsFinal()}
	if d.IsFinal() {
		return true, w.progress.show(title, nil, true)
	}
	return false, w.progress.show(title, []line{l}, false)
}

func (w *watch) find(ctx context.Context, e client.Environment) (d client.Deployment, detail string, err error) {
	is := func(d client.Deployment) bool { return d.ID == w.asked.ID }
	if e.Deployment != nil && is(*e.Deployment) {
		w.doing = fallback(e.Doing, w.doing)
		return *e.Deployment, joined(", ", e.Deployment.Outcome, w.doing), nil
	}
	if i := slices.IndexFunc(e.Queue, is); i >= 0 {
		return e.Queue[i], w.ahead(e, i), nil
	}
	all, err := w.server.Deployments(ctx, e.Key)
	if err != nil {
		return d, "", err
	}
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i], "", nil
	}
	return d, "", towpath.Errorf(towpath.CodeNotFound, "the deployment of release %d to %s is no longer known", w.asked.Release, e.Key)
}

// ahead says why it has not begun: who holds the environment, or which window it waits for.
func (w *watch) ahead(e client.Environment, before int) string {
	turn := "you are next"
	if before > 0 {
		turn = counted(before, "other") + " before you"
	}
	if e.Deployment == nil {
		why, _, _ := strings.Cut(e.Queue[before].Waits, "; it is next")
		return joined("; ", why, turn)
	}
	d := *e.Deployment
	return fmt.Sprintf("deployment of release %d by %s holds %s since %s; %s",
		d.Release, d.By, e.Key, clock(d.BeganAt, w.console.now()), turn)
}

// end tells how the deployment ended. It fails unless what was asked for is so.
func (w *watch) end() error {
	text := w.outcome()
	if !w.console.JSON {
		i := w.progress.ink
		fmt.Fprintln(w.console.Out, safe(joined("   ", i.mark(w.mark())+" "+text, deploymentTook(w.last, w.console.now()))))
	}
	if w.succeeded() {
		return nil
	}
	return told(towpath.Errorf(codeFailed, "%s", text))
}

// succeeded says that the wish came true: the release is live, or the deployment that was under way was turned back.
func (w *watch) succeeded() bool {
	if w.asked.State == "returning" {
		return w.last.State == "returned"
	}
	return w.last.State == "live" || w.last.State == "removed"
}

func (w *watch) mark() string {
	if w.succeeded() {
		return "live"
	}
	return w.last.State
}

// outcome is how the deployment ended, in words.
func (w *watch) outcome() string {
	d := w.last
	switch d.State {
	case "removed":
		return d.Environment + " is removed: nothing is left of it but its record"
	case "live":
		return fmt.Sprintf("release %d is live in %s", d.Release, d.Environment)
	case "returned":
		back := "what was there before"
		if d.From > 0 {
			back = fmt.Sprintf("release %d", d.From)
		}
		return joined(": ", fmt.Sprintf("%s went back to %s", d.Environment, back), d.Outcome)
	}
	return joined(": ", fmt.Sprintf("release %d is %s in %s", d.Release, d.State, d.Environment), d.Outcome)
}
