package web_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/artifact"
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

// TestALogBeyondItsLimitIsRefusedAndRecorded has a worker that does not cut what its step prints.
func TestALogBeyondItsLimitIsRefusedAndRecorded(t *testing.T) {
	h := newHouse(t)
	h.project("shop")
	w := h.worker("north")
	run := h.run("shop")
	job := w.takes("site")
	if job.LogLimit != 100e3 {
		t.Fatalf("the worker is told a limit of %d", job.LogLimit)
	}
	megabyte := strings.Repeat("x", 999_999) + "\n"
	for range 4 {
		job.prints(megabyte)
	}
	_, err := job.AppendLog(t.Context(), job.LeaseRef, job.printed, strings.NewReader(megabyte))
	if codeOf(err) != "invalid" || !strings.Contains(err.Error(), "log_limit") {
		t.Errorf("%v", err)
	}
	job.prints("the rest\n")
	job.ends("passed", "")
	h.untilStep(run, "site", "passed")
	entries, err := h.owner.Audit(t.Context())
	must(t, err)
	refused := slices.ContainsFunc(entries, func(e client.AuditEntry) bool {
		return e.Action == "worker.refused" && e.Actor == "worker north" && strings.HasSuffix(e.Object, "/site/1/log") && strings.Contains(e.Detail, "log_limit")
	})
	if !refused {
		t.Errorf("%+v", entries)
	}
}

// TestAnArtifactBeyondItsLimitsIsRefused has one with too many files, and one that is too large.
func TestAnArtifactBeyondItsLimitsIsRefused(t *testing.T) {
	h := newHouse(t)
	h.project("shop")
	w := h.worker("north")
	h.run("shop")
	job := w.takes("site")
	if job.ArtifactLimit != 1e6 || job.ArtifactFiles != 9 {
		t.Fatalf("the worker is told limits of %d and %d", job.ArtifactLimit, job.ArtifactFiles)
	}
	named := artifact.DigestOf(nil)
	for says, tree := range map[string]artifact.Manifest{
		"it has 10 files, and may have 9 (artifact_files":                   slices.Repeat(artifact.Manifest{{Kind: artifact.File, Digest: named}}, 10),
		"its files have 1.2 MB together, and may have 1 MB (artifact_limit": {{Kind: artifact.File, Size: 1_200_000, Digest: named}},
	} {
		for i := range tree {
			tree[i].Path = string(rune('a' + i))
		}
		err := job.ArtifactsOfLease(job.LeaseRef).PutManifest(t.Context(), tree.Digest().String(), bytes.NewReader(tree.Encode()))
		if codeOf(err) != "invalid" || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	_, err := job.ArtifactsOfLease(job.LeaseRef).AppendPack(t.Context(), named.String(), 0, strings.NewReader(strings.Repeat("x", 70<<20)))
	if codeOf(err) != "invalid" || !strings.Contains(err.Error(), "artifact_limit") {
		t.Errorf("%v", err)
	}
	job.ends("failed", "too large")
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
