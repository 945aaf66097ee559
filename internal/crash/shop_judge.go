package crash

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/towpath-cd/towpath/client"
)

func (t *shop) judge(ctx context.Context) ([]Loss, error) {
	runs, err := t.runsOf(ctx, shopPipeline)
	if err != nil {
		return nil, err
	}
	losses := judgePushes(t.pushes, runs, func(r client.Run) bool { return r.State == "passed" || isCutRun(r) })
	for _, parts := range []func(context.Context, []client.Run) ([]Loss, error){
		t.judgeLogs, t.judgeApprovals, t.judgeDeployments, t.judgeLive,
	} {
		more, err := parts(ctx, runs)
		if err != nil {
			return losses, err
		}
		losses = append(losses, more...)
	}
	return losses, nil
}

// judgePushes sees that each change became one run, which ended as it had to.
func judgePushes(pushes []push, runs []client.Run, isRight func(client.Run) bool) (losses []Loss) {
	for _, p := range pushes {
		of := slices.DeleteFunc(slices.Clone(runs), func(r client.Run) bool { return r.Revision != p.revision || r.Trigger == "manual" })
		switch {
		case len(of) == 0:
			losses = append(losses, Loss{LostEvent, "no run of " + p.revision})
		case len(of) > 1:
			losses = append(losses, Loss{Doubled, fmt.Sprintf("%d runs of %s", len(of), p.revision)})
		case !isOver(of[0]) || !isRight(of[0]):
			losses = append(losses, Loss{WrongEnd, describe(of[0])})
		}
	}
	return losses
}

// judgeLogs sees that each line that a build printed stands in its log, once.
func (t *shop) judgeLogs(ctx context.Context, runs []client.Run) (losses []Loss, err error) {
	for _, r := range runs {
		if stepOf(r, "shop").State != "passed" {
			continue
		}
		body, err := t.Owner.Log(ctx, client.LogQuery{Pipeline: r.Pipeline, Run: r.Number, Step: "shop"})
		if err != nil {
			return losses, err
		}
		text, err := io.ReadAll(body)
		if closed := body.Close(); err != nil || closed != nil {
			return losses, fmt.Errorf("read a log: %w", err)
		}
		for n := range shopLines {
			if times := strings.Count(string(text), fmt.Sprintf("line %d.\n", n+1)); times != 1 {
				losses = append(losses, Loss{LostEvent, fmt.Sprintf("line %d stands %d times in the log of #%d", n+1, times, r.Number)})
			}
		}
	}
	return losses, nil
}

func (t *shop) judgeApprovals(ctx context.Context, _ []client.Run) (losses []Loss, err error) {
	for _, number := range t.approved {
		asked, err := t.Owner.Approval(ctx, shopPipeline, number, "release")
		if err != nil {
			return losses, err
		}
		if asked.State != "approved" || len(asked.Decisions) != 1 {
			losses = append(losses, Loss{LostEvent, fmt.Sprintf("the approval of #%d is %s, with %d decisions", number, asked.State, len(asked.Decisions))})
		}
	}
	return losses, nil
}

// judgeDeployments sees that what was asked for happened once, and that a release is what was built.
func (t *shop) judgeDeployments(ctx context.Context, runs []client.Run) (losses []Loss, err error) {
	history, err := t.deploymentsTo(ctx, shopEnvironment)
	if err != nil {
		return nil, err
	}
	times := map[string]int{}
	byHand := 0
	for _, d := range history {
		times[d.ID]++
		if d.Cause != "run" {
			byHand++
		}
		if !d.IsFinal() {
			losses = append(losses, Loss{WrongEnd, fmt.Sprintf("a deployment does not end: %+v", d)})
		}
	}
	wanted := map[string]string{}
	for _, r := range runs {
		if step := stepOf(r, "production"); step.Deployment != "" {
			wanted[step.Deployment] = describe(r)
		}
	}
	for _, w := range t.wishes {
		if w.made.ID != "" {
			wanted[w.made.ID] = fmt.Sprintf("%+v", w.made)
		}
	}
	for id, of := range wanted {
		if times[id] != 1 {
			losses = append(losses, Loss{LostEvent, fmt.Sprintf("deployment %s is recorded %d times: %s", id, times[id], of)})
		}
	}
	if byHand > len(t.wishes) {
		losses = append(losses, Loss{Doubled, fmt.Sprintf("%d deployments by hand of %d wishes", byHand, len(t.wishes))})
	}
	more, err := t.judgeReleases(ctx, runs)
	return append(losses, more...), err
}

// deploymentsTo are all of an environment, newest first.
func (s *Story) deploymentsTo(ctx context.Context, environment string) ([]client.Deployment, error) {
	var all []client.Deployment
	for page := (client.Page{Limit: 500}); ; {
		more, err := s.Owner.DeploymentPage(ctx, environment, page)
		if err != nil || len(more) == 0 {
			return all, err
		}
		all = append(all, more...)
		page.Before = all[len(all)-1].ID
	}
}

func (t *shop) judgeReleases(ctx context.Context, runs []client.Run) (losses []Loss, err error) {
	releases, err := t.Owner.Releases(ctx, shopEnvironment)
	if err != nil {
		return nil, err
	}
	for _, release := range releases {
		i := slices.IndexFunc(runs, func(r client.Run) bool { return r.Number == release.Run })
		if i < 0 {
			losses = append(losses, Loss{LostEvent, fmt.Sprintf("release %d is of no run", release.Number)})
			continue
		}
		built := stepOf(runs[i], "shop").Artifacts
		if len(built) != 1 || len(release.Artifacts) != 1 || built[0].Digest != release.Artifacts[0].Digest || runs[i].Revision != release.Revision {
			losses = append(losses, Loss{WrongEnd, fmt.Sprintf("release %d is not what was built: %+v, %+v", release.Number, release, built)})
		}
	}
	return losses, nil
}

// judgeLive sees that what should be live is, and serves.
func (t *shop) judgeLive(ctx context.Context, _ []client.Run) ([]Loss, error) {
	e, err := t.Owner.Environment(ctx, shopEnvironment)
	if err != nil {
		return nil, err
	}
	if e.Live == nil || e.Live.Number != t.goal || e.Deployment != nil {
		return []Loss{{WrongEnd, fmt.Sprintf("release %d should be live: %+v", t.goal, e)}}, nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.Traffic+"/", nil)
	if err != nil {
		return nil, err
	}
	request.Host = shopHost
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if got, want := answer.Header.Get("X-Version"), t.versions[t.goal].version; got != want || answer.Header.Get("X-Release") != strconv.Itoa(t.goal) {
		return []Loss{{WrongEnd, fmt.Sprintf("version %q of release %s answers, not %q of %d", got, answer.Header.Get("X-Release"), want, t.goal)}}, nil
	}
	return nil, nil
}
