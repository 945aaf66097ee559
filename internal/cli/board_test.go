package cli

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// answersBoard has all services, and none that waits.
func answersBoard(answer http.ResponseWriter, r *http.Request) {
	board := client.Board{Columns: []string{}, Services: []client.BoardRow{}, All: 3}
	if r.URL.Query().Get("state") == "" {
		board.Columns, board.Services = []string{"staging", "production"}, shopBoard()
	}
	_ = json.NewEncoder(answer).Encode(board)
}

func shopBoard() []client.BoardRow {
	waiting := deployment("waiting")
	waiting.Place, waiting.Waits = 1, "deployment of release 42 by ana holds shop/staging since 14:04; it is next"
	staging := shopStaging()
	staging.Left, staging.Queue, staging.Health = 4, []client.Deployment{waiting}, &client.Health{State: "healthy", Passing: 2, Wanted: 2}
	production := shopProduction()
	production.Health = &client.Health{State: "ailing", Passing: 1, Wanted: 2, Problem: "GET /healthz answered 500"}
	quiet := client.Environment{
		Key: "blog/production", Pipeline: "blog", Name: "production", Live: release(41), Goal: release(41), LiveAt: minutesAgo(9),
		Health: &client.Health{State: "healthy", Passing: 1, Wanted: 1}, Drift: "traffic was moved by hand, and is left so",
	}
	empty := client.Environment{Key: "desktop/staging", Pipeline: "desktop", Name: "staging", Unattended: minutesAgo(30)}
	return []client.BoardRow{
		{Pipeline: "blog", Environments: []client.Environment{quiet}},
		{Pipeline: "desktop", Environments: []client.Environment{empty}},
		{Pipeline: "shop", Environments: []client.Environment{staging, production}},
	}
}

// shopFreezes are those that reach further than one environment.
func shopFreezes(w *world) {
	every := client.Freeze{Scope: "name", Of: "production", By: "ana", Reason: "sale", Since: minutesAgo(7), Until: now.AddDate(0, 0, 7)}
	project := client.Freeze{Scope: "project", Of: "shop", By: "ben", Since: minutesAgo(90)}
	w.answers("GET /api/v1/freezes", []client.Freeze{every, project})
	w.answers("PUT /api/v1/freezes/production", every)
	w.answers("DELETE /api/v1/freezes/production", nil)
	w.answers("PUT /api/v1/projects/shop/freeze", project)
	w.answers("POST /api/v1/environments/shop/production/start", deployment("running"))
}

// shopHistory is all that is known of the deployment of release 42.
func shopHistory() client.History {
	return client.History{
		Deployment: deployment("live"), Title: "faster checkout", Revision: "9be07d4417fe", Plan: shopPlan().Text,
		Settings: []client.Setting{
			{Name: "Instances", How: "changed", Before: "1", After: "2"}, {Name: "env MODE", How: "changed"},
		},
		Commits: client.Commits{
			Added:   []client.Commit{{Revision: "9be07d4417fe", Title: "faster checkout", Author: "ana"}, {Revision: "77aa00cc11ff", Title: "cart \x1b]0;owned\x07totals", Author: "ben"}},
			Removed: []client.Commit{{Revision: "3f2c1aa9b0c4", Title: "slower checkout", Author: "ben"}},
		},
		Journal: []client.Entry{
			{Operation: "place r42-1: release 42 is not there", Began: minutesAgo(1), Ended: minutesAgo(1).Add(1200 * time.Millisecond)},
			{Operation: "start r42-1", Began: minutesAgo(1), Ended: minutesAgo(1).Add(61 * time.Second), Problem: "GET /healthz answered 500"},
		},
	}
}
