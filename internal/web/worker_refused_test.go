package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/access"
)

// TestAWorkerMayDoWhatItsLeasesAllowAndNothingElse asks for each route of workers, about a step and an environment of
// another worker.
func TestAWorkerMayDoWhatItsLeasesAllowAndNothingElse(t *testing.T) {
	h := newHouse(t)
	h.group("release-managers")
	h.project("shop")
	honest, thief := h.worker("honest"), h.worker("thief")
	h.brings(honest, "shop") // staging is kept by the honest one
	run := h.run("shop")
	job := honest.takes("site")
	job.prints("half of a log")
	path := strings.NewReplacer(
		"{run}", job.LeaseRef.Run, "{step}", "site", "{attempt}", "1", "{pipeline}", "shop", "{environment}", "staging",
		"{digest}", "sha256:"+strings.Repeat("0", 64), "{pack}", "sha256:"+strings.Repeat("0", 64),
	)
	bodies := map[string]string{ // those that would do harm
		"finish": `{"state": "passed", "log_size": 13}`, "report": `{"epoch": {"number": 1, "holder": "x"}}`, "missing": `[]`,
	}
	for _, route := range access.Routes {
		_, what, _ := strings.Cut(route.Pattern, "}/{environment}/")
		if _, lease, ok := strings.Cut(route.Pattern, "/{attempt}/"); ok {
			what = lease
		}
		if route.Needs != access.AsWorker || what == "" {
			continue // it is about the worker itself
		}
		body := bodies[what[strings.LastIndex(what, "/")+1:]]
		status := h.sends(thief.key, route.Method, path.Replace(route.Pattern)+"?offset=0", body)
		if status != http.StatusForbidden && status != http.StatusGone {
			t.Errorf("%s answered the other worker with %d", route, status)
		}
		if strings.Contains(route.Pattern, "/leases/") && status != http.StatusForbidden {
			t.Errorf("%s: a lease that it never had counts as one that is over: %d", route, status)
		}
	}
	job.prints(", and its other half")
	job.ends("passed", "")
	h.untilStep(run, "site", "passed")

	entries, err := h.owner.Audit(t.Context())
	must(t, err)
	refused := 0
	for _, e := range entries {
		if e.Action == "worker.refused" && e.Actor == "worker thief" && strings.Contains(e.Object, " /api/v1/worker/") && e.Detail != "" {
			refused++
		}
	}
	if refused != 1 {
		t.Errorf("in one minute %d refusals were recorded, want the first", refused)
	}
}

func TestAWorkersKeyThatAsksForWhatPeopleMayIsRecorded(t *testing.T) {
	h := newHouse(t)
	thief := h.worker("thief")
	if status := h.sends(thief.key, http.MethodGet, "/api/v1/audit", ""); status != http.StatusForbidden {
		t.Errorf("it was answered with %d", status)
	}
	entries, err := h.owner.Audit(t.Context())
	must(t, err)
	if e := entries[0]; e.Action != "worker.refused" || e.Actor != "worker thief" || e.Object != "GET /api/v1/audit" {
		t.Errorf("the last record is %+v", e)
	}
}

// sends makes a call as a worker does, and answers the status.
func (h *house) sends(key, method, path, body string) int {
	h.Helper()
	request, err := http.NewRequestWithContext(h.Context(), method, h.URL+path, strings.NewReader(body))
	must(h.T, err)
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(request)
	must(h.T, err)
	must(h.T, response.Body.Close())
	return response.StatusCode
}
