package web

import (
	"net/http"
	"strings"

	"github.com/towpath-cd/towpath/internal/access"
)

// registerAPI names every call that people and programs make with JSON, in the order of the table of routes, with what it
// takes in its query.
func (s *Server) registerAPI() {
	s.handle("GET /healthz", s.healthz)
	s.handle("GET /api/v1/openapi.json", s.openAPI)
	api(s, "POST /api/v1/login", s.login)
	api(s, "POST /api/v1/logout", s.logout)
	api(s, "GET /api/v1/me", s.me)
	api(s, "PUT /api/v1/me/password", s.setPassword)
	api(s, "GET /api/v1/tokens", s.tokens)
	api(s, "POST /api/v1/tokens", s.newToken)
	api(s, "DELETE /api/v1/tokens/{name}", s.removeToken)

	api(s, "GET /api/v1/projects", s.projects)
	api(s, "POST /api/v1/projects", s.addProject)
	api(s, "GET /api/v1/projects/{project}", s.project)
	api(s, "PUT /api/v1/projects/{project}", s.changeProject)
	api(s, "DELETE /api/v1/projects/{project}", s.removeProject)
	api(s, "GET /api/v1/projects/{project}/files", s.pipelineFiles)
	api(s, "GET /api/v1/projects/{project}/changes", s.changes, paged(aNumber, "number")...)
	api(s, "POST /api/v1/projects/{project}/changes/{id}/allow", s.allowChange)
	api(s, "GET /api/v1/projects/{project}/deliveries", s.deliveries, paged(aNumber, "ID")...)
	api(s, "GET /api/v1/projects/{project}/deliveries/{id}", s.delivery)
	api(s, "POST /api/v1/projects/{project}/deliveries/{id}/replay", s.replayDelivery)
	api(s, "POST /api/v1/projects/{project}/webhook", s.rotateHookSecret)
	api(s, "PUT /api/v1/projects/{project}/token", s.putForgeToken)
	api(s, "DELETE /api/v1/projects/{project}/webhook/previous", s.dropHookSecret)
	s.handle("POST /hooks/{project}", s.hook)
	api(s, "POST /api/v1/projects/{project}/runs", s.startRun)
	api(s, "GET /api/v1/projects/{project}/secrets", s.listSecrets)
	api(s, "GET /api/v1/projects/{project}/secret-uses", s.secretUses, aText("name", "of the secret; all without it"), limited())
	api(s, "PUT /api/v1/projects/{project}/secrets/{name}", s.putSecret)
	api(s, "DELETE /api/v1/projects/{project}/secrets/{name}", s.removeSecret)

	api(s, "GET /api/v1/runs", s.runs, paged(aNumber, "number",
		aText("project", "its name"), aText("pipeline", "its name"), aText("branch", "its name"), aText("state", "one or more, with commas between"))...)
	api(s, "GET /api/v1/pipelines/{pipeline}/runs/{number}", s.run)
	api(s, "POST /api/v1/pipelines/{pipeline}/runs/{number}/cancel", s.cancelRun)
	api(s, "POST /api/v1/pipelines/{pipeline}/runs/{number}/rerun", s.rerunRun)

	api(s, "GET /api/v1/approvals", s.approvals)
	api(s, "GET /api/v1/pipelines/{pipeline}/runs/{number}/approvals/{step}", s.approval)
	api(s, "POST /api/v1/pipelines/{pipeline}/runs/{number}/approvals/{step}/decide", s.decide)

	api(s, "GET /api/v1/environments", s.environments, aText("project", "its name; all that the caller may see without it"))
	api(s, "GET /api/v1/freezes", s.freezes)
	api(s, "PUT /api/v1/freezes/{name}", s.freezeName)
	api(s, "DELETE /api/v1/freezes/{name}", s.thawName)
	api(s, "PUT /api/v1/projects/{project}/freeze", s.freezeProject)
	api(s, "DELETE /api/v1/projects/{project}/freeze", s.thawProject)
	api(s, "GET /api/v1/board", s.board, aText("project", "its name"), aText("service", "a part of the pipeline's name"),
		aText("environment", "its name: only that column"), aText("state", strings.Join(boardStates, ", ")+": services of which an environment is in it"))
	const environment = " /api/v1/environments/{pipeline}/{environment}"
	api(s, "GET"+environment, s.environment)
	api(s, "GET"+environment+"/plan", s.plan, aNumber("release", "as if this one were the goal; by default what the keeper does next"),
		aText("remove", "true: as if a person removed the environment"),
		aText("rollback", "previous, or the number of a release: what moving back there would do, and how long it would take"))
	api(s, "GET"+environment+"/deployments", s.deployments, paged(aText, "ID")...)
	api(s, "GET"+environment+"/deployments/{id}", s.history)
	api(s, "GET"+environment+"/releases", s.releases)
	api(s, "POST"+environment+"/deploy", s.deploy)
	api(s, "POST"+environment+"/rollback", s.rollback)
	api(s, "GET"+environment+"/exec", s.errands, limited())
	api(s, "POST"+environment+"/exec", s.openErrand)
	s.handle("GET"+environment+"/exec/{id}", s.attachErrand)
	api(s, "POST"+environment+"/remove", s.removeEnvironment)
	api(s, "POST"+environment+"/promote", s.promote)
	api(s, "POST"+environment+"/freeze", s.freeze)
	api(s, "POST"+environment+"/thaw", s.thaw)
	api(s, "POST"+environment+"/start", s.startNow)
	api(s, "POST"+environment+"/unpin", s.unpin)
	api(s, "GET"+environment+"/policy", s.policy)
	api(s, "POST"+environment+"/policy", s.changePolicy)
	api(s, "POST"+environment+"/gone", s.gone)
	s.registerAdministration()
}

// registerAdministration names the calls of those who look after the server.
func (s *Server) registerAdministration() {
	api(s, "GET /api/v1/accounts", s.accounts)
	api(s, "PUT /api/v1/accounts/{name}", s.putAccount)
	api(s, "DELETE /api/v1/accounts/{name}", s.removeAccount)
	api(s, "POST /api/v1/accounts/{name}/link", s.newLink)
	api(s, "GET /api/v1/groups", s.groups)
	api(s, "PUT /api/v1/groups/{name}", s.putGroup)
	api(s, "DELETE /api/v1/groups/{name}", s.removeGroup)
	api(s, "GET /api/v1/workers", s.workers)
	api(s, "POST /api/v1/workers/tokens", s.newWorkerToken)
	api(s, "POST /api/v1/workers/{worker}/drain", s.drainWorker)
	api(s, "POST /api/v1/workers/{worker}/labels", s.labelWorker)
	api(s, "DELETE /api/v1/workers/{worker}", s.removeWorker)
	api(s, "GET /api/v1/audit", s.auditList)
	s.handle("POST /api/v1/backup", s.backup)
	api(s, "POST /api/v1/secret-key/rotate", s.rotateKey)
}

// healthz answers 200 as long as the server can store something.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request, _ access.Caller) {
	if why := s.Store.Unwritable(); why != nil {
		s.fail(w, r, why)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok", "version": s.Version})
}
