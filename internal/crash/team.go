package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/towpath-cd/towpath/client"
)

const teamPipeline = "team"

// statusTime is how long a status may wait that the forge was too busy for.
const statusTime = time.Minute

// team works at a forge, which tells of its pushes by webhook: the repository is polled once, and never again. Each of its
// deliveries is made until it is acknowledged, and then once more.
type team struct {
	*Story
	repository *repository
	hub        *hub
	n          int
	revisions  []string       // that were told of
	told       map[string]int // how often each delivery was acknowledged as new
}

func (w *World) teamFile() string {
	return fmt.Sprintf(`
pipeline: team
concurrency: parallel
steps:
  - build: boat
    retry: {lost: 10}
    run: |
      %[1]s
      mkdir dist
      cp %[2]s dist/app
      echo "$TOWPATH_REVISION" > dist/version
    artifacts: dist/
  - deploy: dock
environments:
  dock:
    target: {process: {command: ./app}}
    health: {http: /healthz, interval: 50ms, within: 30s}
`, w.noting(), w.Application)
}

func newTeam(ctx context.Context, s *Story) (actor, error) {
	t := &team{Story: s, hub: s.hub, told: map[string]int{}}
	var err error
	if t.repository, err = s.newRepository(ctx, teamPipeline, map[string]string{"towpath.yaml": s.teamFile()}); err != nil {
		return nil, err
	}
	isUnsure, err := s.ask(ctx, func(ctx context.Context) error {
		_, err := s.Owner.AddProject(ctx, client.NewProject{
			URL: t.repository.bare, Name: teamPipeline, Poll: 86400, Forge: "gitea", ForgeURL: t.hub.address() + "/ana/team",
			Token: "a token of the hub's", Webhook: true,
		})
		return err
	})
	if isUnsure && has(err, "conflict") {
		err = t.rotates(ctx) // it was heard, and perhaps not to its end
	}
	return t, err
}

func (t *team) act(ctx context.Context) error {
	t.n++
	revision, err := t.repository.push(ctx, fmt.Sprint("Boat ", t.n), map[string]string{"boat": fmt.Sprint(t.n)})
	if err != nil {
		return err
	}
	if err := t.tells(ctx, fmt.Sprint("push-", t.n), "push", map[string]any{
		"ref": "refs/heads/main", "before": strings.Repeat("0", 40), "after": revision,
		"repository": map[string]any{"full_name": "ana/team"},
	}); err != nil {
		return err
	}
	t.revisions = append(t.revisions, revision)
	run, err := t.runOf(ctx, teamPipeline, revision)
	if err == nil {
		_, err = t.run(ctx, run, "is over", isOver)
	}
	for _, next := range []func(context.Context) error{t.isForged, t.replays, t.rotates, t.dropsSecret, t.changesToken} {
		if err == nil {
			err = next(ctx)
		}
	}
	return err
}

// tells makes a delivery until it is acknowledged, and once more.
func (t *team) tells(ctx context.Context, id, event string, said map[string]any) error {
	body, err := json.Marshal(said)
	if err != nil {
		return err
	}
	for once := false; ; {
		status, err := t.hub.delivers(ctx, id, event, body, true)
		switch {
		case err != nil || status == http.StatusServiceUnavailable:
		case status == http.StatusAccepted, status == http.StatusOK:
			if status == http.StatusAccepted {
				t.told["id:"+id]++
			}
			if once {
				return nil
			}
			once = true
		default:
			return fmt.Errorf("delivery %s was answered %d", id, status)
		}
		if err := pause(ctx, callPause); err != nil {
			return err
		}
	}
}

// isForged makes a delivery that nobody signed, until it is refused.
func (t *team) isForged(ctx context.Context) error {
	for {
		status, err := t.hub.delivers(ctx, fmt.Sprint("forged-", t.n), "push", []byte("{}"), false)
		if err == nil && status == http.StatusUnauthorized {
			return nil
		}
		if err == nil && status != http.StatusServiceUnavailable {
			return fmt.Errorf("a forged delivery was answered %d", status)
		}
		if err := pause(ctx, callPause); err != nil {
			return err
		}
	}
}

// replays has what makes no run read again.
func (t *team) replays(ctx context.Context) error {
	id := fmt.Sprint("other-", t.n)
	if err := t.tells(ctx, id, "issues", map[string]any{"action": "opened"}); err != nil {
		return err
	}
	deliveries, err := t.deliveries(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(deliveries, func(d client.Delivery) bool { return d.Key == "id:"+id })
	if at < 0 {
		return fmt.Errorf("delivery %s was acknowledged and is not there", id)
	}
	_, err = t.ask(ctx, func(ctx context.Context) error {
		_, err := t.Owner.ReplayDelivery(ctx, teamPipeline, deliveries[at].ID)
		return err
	})
	return err
}

// rotates gives the hub another secret.
func (t *team) rotates(ctx context.Context) error {
	_, err := t.ask(ctx, func(ctx context.Context) error {
		made, err := t.Owner.RotateWebhook(ctx, teamPipeline)
		if err == nil {
			t.hub.trusts(made.URL, made.Secret)
		}
		return err
	})
	return err
}

func (t *team) dropsSecret(ctx context.Context) error {
	_, err := t.ask(ctx, func(ctx context.Context) error { return t.Owner.DropWebhookSecret(ctx, teamPipeline) })
	return err
}

func (t *team) changesToken(ctx context.Context) error {
	_, err := t.ask(ctx, func(ctx context.Context) error {
		_, err := t.Owner.PutForgeToken(ctx, teamPipeline, fmt.Sprint("token ", t.n))
		return err
	})
	return err
}

// deliveries are all that the server has, the newest first.
func (t *team) deliveries(ctx context.Context) (all []client.Delivery, err error) {
	for page := (client.Page{Limit: 500}); ; {
		var part []client.Delivery
		if _, err := t.ask(ctx, func(ctx context.Context) (err error) {
			part, err = t.Owner.Deliveries(ctx, teamPipeline, page)
			return err
		}); err != nil {
			return nil, err
		}
		if all = append(all, part...); len(part) < page.Limit {
			return all, nil
		}
		page.Before = strconv.Itoa(part[len(part)-1].ID)
	}
}

func (t *team) judge(ctx context.Context) (losses []Loss, err error) {
	deliveries, err := t.deliveries(ctx)
	if err != nil {
		return nil, err
	}
	stored := map[string]int{}
	for _, d := range deliveries {
		stored[d.Key]++
	}
	for key, times := range t.told {
		if stored[key] != 1 || times > 1 {
			losses = append(losses, Loss{LostEvent, fmt.Sprintf("delivery %s was taken as new %d times, and is there %d times", key, times, stored[key])})
		}
	}
	runs, err := t.runsOf(ctx, teamPipeline)
	if err != nil {
		return losses, err
	}
	for _, revision := range t.revisions {
		of := slices.DeleteFunc(slices.Clone(runs), func(r client.Run) bool { return r.Revision != revision })
		if len(of) != 1 {
			losses = append(losses, Loss{Doubled, fmt.Sprintf("of revision %s there are %d runs", revision, len(of))})
			continue
		}
		for _, what := range []string{teamPipeline, teamPipeline + "/dock"} {
			losses = append(losses, t.judgeStatus(ctx, of[0], what)...)
		}
	}
	return losses, nil
}

// judgeStatus holds what the forge is told last to what became of a run, which passes as its deployment does.
func (t *team) judgeStatus(ctx context.Context, r client.Run, what string) []Loss {
	want := map[string]string{"passed": "success", "failed": "failure"}[r.State]
	bounded, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	var shown []string
	if t.awaits(bounded, "the forge is told", func(context.Context) (bool, error) {
		shown = t.hub.shown(r.Revision, "towpath/"+what)
		return len(shown) > 0 && shown[len(shown)-1] == want, nil
	}) == nil {
		return nil
	}
	return []Loss{{WrongEnd, fmt.Sprintf("%s #%d is %s, and its forge was told of %s: %v", r.Pipeline, r.Number, r.State, what, shown)}}
}
