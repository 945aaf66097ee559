package web

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/store"
)

// boardStates are what a board can be asked for.
var boardStates = []string{"attention", "moving", "waiting", "held"}

// boardFilter reads what a board is asked for.
func boardFilter(r *http.Request) (client.BoardFilter, error) {
	q := r.URL.Query()
	f := client.BoardFilter{Project: q.Get("project"), Service: q.Get("service"), Environment: q.Get("environment"), State: q.Get("state")}
	if f.State != "" && !slices.Contains(boardStates, f.State) {
		return f, towpath.Errorf(towpath.CodeInvalid, "an environment is never %q", f.State).WithHint("state is one of %s", strings.Join(boardStates, ", "))
	}
	return f, nil
}

func (s *Server) board(c call[none]) (client.Board, error) {
	filter, err := boardFilter(c.Request)
	if err != nil {
		return client.Board{}, err
	}
	return s.boardFor(c, filter)
}

func (s *Server) boardFor(c call[none], filter client.BoardFilter) (client.Board, error) {
	projects, err := s.visible(c.Request, c.Caller, filter.Project)
	if err != nil {
		return client.Board{}, err
	}
	var found []client.Environment
	err = s.Store.View(c.Context(), func(tx *store.Tx) error {
		found, err = s.environmentsOf(tx, store.EnvironmentFilter{Projects: projects})
		return err
	})
	for i := range found {
		found[i].Instances, found[i].Processes = nil, nil
	}
	return boardOf(found, filter), err
}

// boardOf lines environments up.
func boardOf(environments []client.Environment, f client.BoardFilter) client.Board {
	board := client.Board{Columns: []string{}, Services: []client.BoardRow{}}
	services := map[string]*client.BoardRow{}
	for _, e := range environments {
		if services[e.Pipeline] == nil {
			services[e.Pipeline] = &client.BoardRow{Pipeline: e.Pipeline, Project: e.Project}
		}
		if f.Environment == "" || f.Environment == e.Name {
			services[e.Pipeline].Environments = append(services[e.Pipeline].Environments, e)
		}
	}
	board.All = len(services)
	for _, service := range services {
		if !isWanted(*service, f) {
			continue
		}
		slices.SortFunc(service.Environments, func(a, b client.Environment) int { return byColumn(a.Name, b.Name) })
		board.Services = append(board.Services, *service)
		for _, e := range service.Environments {
			board.Columns = append(board.Columns, e.Name)
		}
	}
	slices.SortFunc(board.Services, func(a, b client.BoardRow) int { return cmp.Compare(a.Pipeline, b.Pipeline) })
	slices.SortFunc(board.Columns, byColumn)
	board.Columns = slices.Compact(board.Columns)
	return board
}

func isWanted(s client.BoardRow, f client.BoardFilter) bool {
	return len(s.Environments) > 0 && strings.Contains(strings.ToLower(s.Pipeline), strings.ToLower(f.Service)) &&
		(f.State == "" || slices.ContainsFunc(s.Environments, func(e client.Environment) bool { return isIn(e, f.State) }))
}

// isIn says that an environment is in a state of the board.
func isIn(e client.Environment, state string) bool {
	switch state {
	case "attention":
		isAiling := e.Health != nil && e.Health.State == "ailing"
		return isAiling || e.Halted != "" || e.Drift != "" || !e.Unattended.IsZero()
	case "moving":
		return e.Deployment != nil
	case "waiting":
		return len(e.Queue) > 0
	}
	return e.Pin != "" || e.Freeze != ""
}

// byColumn orders names as a change passes them, as far as names tell: production is last.
func byColumn(a, b string) int {
	isLast := func(name string) int {
		if name == "production" {
			return 1
		}
		return 0
	}
	return cmp.Or(isLast(a)-isLast(b), cmp.Compare(a, b))
}

// healthOf says how what should serve fares; nil where nothing should.
func healthOf(e towpath.Environment, seen towpath.Observation) *client.Health {
	if e.Live.Number == 0 {
		return nil
	}
	h := &client.Health{State: "healthy", Wanted: max(1, e.Definition.Instances)}
	for _, i := range seen.Instances {
		isOurs := i.Release == e.Live.Number || i.Release == e.Goal.Number
		switch {
		case isOurs && i.Health == towpath.HealthPassing && i.State == towpath.InstanceRunning:
			h.Passing++
		case isOurs && i.State != towpath.InstancePlaced && i.State != towpath.InstanceStopped:
			h.Problem = cmp.Or(h.Problem, i.Problem)
		}
	}
	switch {
	case seen.At.IsZero():
		h.State, h.Problem = "unknown", "nobody has looked yet"
	case e.Keeper.Worker == "":
		h.State, h.Problem = "unknown", "nobody looks"
	case h.Passing < h.Wanted:
		h.State = "ailing"
	case seen.Blind:
		h.State, h.Problem = "unknown", "the balancer could not be read"
	default:
		h.Problem = ""
	}
	return h
}

// foresee adds what its planner says of an environment: what is left to do, or what is left undone.
func foresee(e towpath.Environment, seen towpath.Observation, now time.Time, answer *client.Environment) {
	facts := deploy.Facts{Environment: e, Observed: seen, Now: now}
	switch {
	case e.Deployment != nil:
		answer.Left = len(deploy.NewForecast(facts).Lines)
	case e.Halted == "" && len(seen.Instances) > 0:
		if plan := deploy.NewPlan(facts); len(plan.Drift) > 0 {
			answer.Drift = plan.Note
		}
	}
}
