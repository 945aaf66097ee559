package web

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// lookedBack is how many deployments are looked at to say how long operations take.
const lookedBack = 20

func (s *Server) rollback(c call[client.Rollback]) (client.Deployment, error) {
	key, detail := keyIn(c.Request), c.Body.Reason
	if c.Body.To > 0 {
		detail = "to release " + strconv.Itoa(c.Body.To) + reasonOf(c.Body.Reason)
	}
	made, err := s.Flow.Rollback(c.Context(), key, c.Body.To, flow.Act{
		By: c.Name, Reason: c.Body.Reason, Record: s.record(c.Caller, "rollback", key, detail),
	})
	return deploymentOf(made), err
}

// backAsked reads which rollback a plan is asked for: the release, 0 for the one before; false where it is none.
func backAsked(r *http.Request) (to int, isAsked bool, err error) {
	text := r.URL.Query().Get("rollback")
	switch text {
	case "":
		return 0, false, nil
	case "previous":
		return 0, true, nil
	}
	to, err = releaseAsked(text)
	return to, true, err
}

// planBack forecasts a rollback, and says how long it would take. It is refused as the rollback itself would be.
func (s *Server) planBack(tx *store.Tx, e towpath.Environment, to int) (client.Plan, error) {
	now := s.Clock()
	wish := towpath.RollbackRequested{ID: "forecast", To: to, At: now}
	if err := e.Refuses(wish); err != nil {
		return client.Plan{}, err
	}
	after, _ := e.Next(wish)
	observed, _, err := tx.Observation(e.Key)
	if err != nil {
		return client.Plan{}, err
	}
	facts := deploy.Facts{Environment: after, Observed: observed, Now: now}
	plan := planOf(facts)
	err = tellLength(tx, facts, &plan)
	return plan, err
}

// tellLength says how long a plan would take, by what its operations took before, and how long the last rollback took.
func tellLength(tx *store.Tx, f deploy.Facts, plan *client.Plan) error {
	deployments, err := tx.Deployments(store.DeploymentFilter{Environment: f.Environment.Key, Limit: lookedBack})
	if err != nil {
		return err
	}
	took := map[string][]time.Duration{}
	for _, d := range deployments {
		if d.Cause == towpath.CauseRollback && d.State == towpath.DeploymentLive && plan.LastSeconds == 0 {
			plan.LastSeconds = d.EndedAt.Sub(d.BeganAt).Seconds()
		}
		journal, err := tx.Journal(d.ID, journalShown)
		if err != nil {
			return err
		}
		for _, e := range journal {
			if e.Problem == "" {
				took[verbOf(e.Operation)] = append(took[verbOf(e.Operation)], e.Ended.Sub(e.Began))
			}
		}
	}
	length, unknown := lengthOf(deploy.NewPlan(f), took)
	plan.Seconds = length.Seconds()
	plan.Length = lengthInWords(*plan, unknown)
	return nil
}

// lengthOf adds up what the operations of a plan took before, in the middle, and names those that were never done here.
func lengthOf(plan deploy.Plan, took map[string][]time.Duration) (length time.Duration, unknown []string) {
	for _, step := range plan.Steps {
		if _, isEnd := step.Operation.(deploy.Conclude); isEnd {
			break // what comes after it is tidying up
		}
		if deploy.PerformerOf(step.Operation) == deploy.ByNobody {
			continue
		}
		verb := verbOf(step.Operation.String())
		known := slices.Sorted(slices.Values(took[verb]))
		switch {
		case len(known) > 0:
			length += known[len(known)/2]
		case !slices.Contains(unknown, verb):
			unknown = append(unknown, verb)
		}
	}
	return length, unknown
}

func verbOf(operation string) string {
	verb, _, _ := strings.Cut(operation, " ")
	return strings.TrimSuffix(verb, ":")
}

func lengthInWords(p client.Plan, unknown []string) string {
	about, last := "", ""
	if p.Seconds > 0 {
		about = "about " + seconds(p.Seconds)
		if len(unknown) > 0 {
			about += " and " + strings.Join(unknown, ", ") + ", which was never done here"
		}
	}
	if p.LastSeconds > 0 {
		last = "last time " + seconds(p.LastSeconds)
	}
	if about != "" && last != "" {
		return about + "; " + last
	}
	return cmp.Or(about, last, "not known: nothing of the kind was done here before")
}

func seconds(s float64) string {
	if s < 60 {
		return fmt.Sprintf("%.2g s", max(s, 0.01))
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

func (s *Server) rollbackByForm(c call[none]) (string, error) {
	to, err := releaseAsked(c.PostForm.Get("to"))
	if err == nil {
		wish := client.Rollback{To: to, Reason: reasoned(c).Body.Reason}
		_, err = s.rollback(call[client.Rollback]{Request: c.Request, Caller: c.Caller, Body: wish})
	}
	return there(c), err
}
