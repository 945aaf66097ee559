package access

// What a route needs, beside the permissions.
const (
	Public   Permission = "public"    // nothing; who asks is told to the handler all the same
	SignedIn Permission = "signed-in" // any person or token; lists show what they may see
	AsWorker Permission = "worker"    // a worker's key
)

// ProjectFrom says how a route's project is found.
type ProjectFrom string

// The values of ProjectFrom.
const (
	NoProject    ProjectFrom = ""
	FromProject  ProjectFrom = "project"  // the path's {project} is its name
	FromPipeline ProjectFrom = "pipeline" // the path's {pipeline} belongs to it
)

// Route is one way into the server.
type Route struct {
	Method  string
	Pattern string // of net/http's ServeMux, without the method
	Needs   Permission
	Project ProjectFrom
}

// String is the pattern that ServeMux takes.
func (r Route) String() string { return r.Method + " " + r.Pattern }

// Routes is every route there is, and what each needs. A handler is reached only through its line here.
var Routes = []Route{
	{"GET", "/healthz", Public, NoProject},
	{"GET", "/api/v1/openapi.json", Public, NoProject},
	{"POST", "/api/v1/login", Public, NoProject},
	{"POST", "/api/v1/logout", SignedIn, NoProject},
	{"GET", "/api/v1/me", SignedIn, NoProject},
	{"PUT", "/api/v1/me/password", SignedIn, NoProject},
	{"GET", "/api/v1/tokens", SignedIn, NoProject},
	{"POST", "/api/v1/tokens", SignedIn, NoProject},
	{"DELETE", "/api/v1/tokens/{name}", SignedIn, NoProject},

	// A forge signs what it delivers with the webhook's secret.
	{"POST", "/hooks/{project}", Public, NoProject},

	{"GET", "/api/v1/projects", SignedIn, NoProject},
	{"POST", "/api/v1/projects", CreateProjects, NoProject},
	{"GET", "/api/v1/projects/{project}", ReadProject, FromProject},
	{"PUT", "/api/v1/projects/{project}", ManageProject, FromProject},
	{"DELETE", "/api/v1/projects/{project}", ManageProject, FromProject},
	{"GET", "/api/v1/projects/{project}/files", ReadProject, FromProject},
	{"GET", "/api/v1/projects/{project}/changes", ReadProject, FromProject},
	{"POST", "/api/v1/projects/{project}/changes/{id}/allow", AllowForks, FromProject},
	{"GET", "/api/v1/projects/{project}/deliveries", ReadProject, FromProject},
	{"GET", "/api/v1/projects/{project}/deliveries/{id}", ManageProject, FromProject},
	{"POST", "/api/v1/projects/{project}/deliveries/{id}/replay", ManageProject, FromProject},
	{"POST", "/api/v1/projects/{project}/webhook", ManageProject, FromProject},
	{"PUT", "/api/v1/projects/{project}/token", ManageProject, FromProject},
	{"DELETE", "/api/v1/projects/{project}/webhook/previous", ManageProject, FromProject},
	{"GET", "/api/v1/projects/{project}/cache", ReadProject, FromProject},
	{"DELETE", "/api/v1/projects/{project}/cache", ManageProject, FromProject},
	{"POST", "/api/v1/projects/{project}/runs", StartRun, FromProject},
	{"GET", "/api/v1/projects/{project}/secrets", WriteSecrets, FromProject},
	{"GET", "/api/v1/projects/{project}/secret-uses", WriteSecrets, FromProject},
	{"PUT", "/api/v1/projects/{project}/secrets/{name}", WriteSecrets, FromProject},
	{"DELETE", "/api/v1/projects/{project}/secrets/{name}", WriteSecrets, FromProject},

	{"GET", "/api/v1/runs", SignedIn, NoProject},
	{"GET", "/api/v1/pipelines/{pipeline}/runs/{number}", ReadProject, FromPipeline},
	{"GET", "/api/v1/pipelines/{pipeline}/runs/{number}/events", ReadProject, FromPipeline},
	{"GET", "/api/v1/pipelines/{pipeline}/runs/{number}/tests", ReadProject, FromPipeline},
	{"POST", "/api/v1/pipelines/{pipeline}/runs/{number}/cancel", CancelRun, FromPipeline},
	{"POST", "/api/v1/pipelines/{pipeline}/runs/{number}/rerun", StartRun, FromPipeline},
	{"POST", "/api/v1/pipelines/{pipeline}/runs/{number}/steps/{step}/shell", OpenShells, FromPipeline},
	{"GET", "/api/v1/pipelines/{pipeline}/runs/{number}/steps/{step}/shell", OpenShells, FromPipeline},
	{"GET", "/api/v1/pipelines/{pipeline}/runs/{number}/steps/{step}/log", ReadProject, FromPipeline},
	{"GET", "/api/v1/pipelines/{pipeline}/runs/{number}/steps/{step}/log/lines", ReadProject, FromPipeline},
	{"GET", "/api/v1/pipelines/{pipeline}/runs/{number}/steps/{step}/log/search", ReadProject, FromPipeline},

	{"GET", "/api/v1/approvals", SignedIn, NoProject},
	{"GET", "/api/v1/pipelines/{pipeline}/runs/{number}/approvals/{step}", ReadProject, FromPipeline},
	{"POST", "/api/v1/pipelines/{pipeline}/runs/{number}/approvals/{step}/decide", Approve, FromPipeline},

	{"GET", "/api/v1/freezes", SignedIn, NoProject},
	{"PUT", "/api/v1/freezes/{name}", ManageServer, NoProject},
	{"DELETE", "/api/v1/freezes/{name}", ManageServer, NoProject},
	{"PUT", "/api/v1/projects/{project}/freeze", ManageEnvironments, FromProject},
	{"DELETE", "/api/v1/projects/{project}/freeze", ManageEnvironments, FromProject},
	{"GET", "/api/v1/board", SignedIn, NoProject},
	{"GET", "/api/v1/environments", SignedIn, NoProject},
	{"GET", "/api/v1/environments/{pipeline}/{environment}", ReadProject, FromPipeline},
	{"GET", "/api/v1/environments/{pipeline}/{environment}/events", ReadProject, FromPipeline},
	{"GET", "/api/v1/environments/{pipeline}/{environment}/plan", ReadProject, FromPipeline},
	{"GET", "/api/v1/environments/{pipeline}/{environment}/deployments", ReadProject, FromPipeline},
	{"GET", "/api/v1/environments/{pipeline}/{environment}/deployments/{id}", ReadProject, FromPipeline},
	{"GET", "/api/v1/environments/{pipeline}/{environment}/releases", ReadProject, FromPipeline},
	{"POST", "/api/v1/environments/{pipeline}/{environment}/deploy", Deploy, FromPipeline},
	{"POST", "/api/v1/environments/{pipeline}/{environment}/rollback", Rollback, FromPipeline},
	{"GET", "/api/v1/environments/{pipeline}/{environment}/exec", ReadProject, FromPipeline},
	{"POST", "/api/v1/environments/{pipeline}/{environment}/exec", Deploy, FromPipeline},
	{"GET", "/api/v1/environments/{pipeline}/{environment}/exec/{id}", Deploy, FromPipeline},
	{"POST", "/api/v1/environments/{pipeline}/{environment}/gone", Deploy, FromPipeline},
	{"POST", "/api/v1/environments/{pipeline}/{environment}/remove", ManageEnvironments, FromPipeline},
	{"POST", "/api/v1/environments/{pipeline}/{environment}/promote", Promote, FromPipeline},
	{"POST", "/api/v1/environments/{pipeline}/{environment}/freeze", ManageEnvironments, FromPipeline},
	{"POST", "/api/v1/environments/{pipeline}/{environment}/thaw", ManageEnvironments, FromPipeline},
	{"POST", "/api/v1/environments/{pipeline}/{environment}/start", ManageEnvironments, FromPipeline},
	{"POST", "/api/v1/environments/{pipeline}/{environment}/unpin", ManageEnvironments, FromPipeline},
	{"GET", "/api/v1/environments/{pipeline}/{environment}/policy", ReadProject, FromPipeline},
	{"POST", "/api/v1/environments/{pipeline}/{environment}/policy", WriteSecrets, FromPipeline},

	{"GET", "/api/v1/accounts", ManageUsers, NoProject},
	{"PUT", "/api/v1/accounts/{name}", ManageUsers, NoProject},
	{"DELETE", "/api/v1/accounts/{name}", ManageUsers, NoProject},
	{"POST", "/api/v1/accounts/{name}/link", ManageUsers, NoProject},
	{"GET", "/api/v1/groups", ManageUsers, NoProject},
	{"PUT", "/api/v1/groups/{name}", ManageUsers, NoProject},
	{"DELETE", "/api/v1/groups/{name}", ManageUsers, NoProject},
	{"GET", "/api/v1/workers", ManageWorkers, NoProject},
	{"POST", "/api/v1/workers/tokens", ManageWorkers, NoProject},
	{"POST", "/api/v1/workers/{worker}/drain", ManageWorkers, NoProject},
	{"POST", "/api/v1/workers/{worker}/labels", ManageWorkers, NoProject},
	{"DELETE", "/api/v1/workers/{worker}", ManageWorkers, NoProject},
	{"GET", "/api/v1/audit", ReadAudit, NoProject},
	{"POST", "/api/v1/backup", ManageServer, NoProject},
	{"POST", "/api/v1/secret-key/rotate", ManageServer, NoProject},

	// A one-time token is in the body of the first; the others are refused to whoever does not hold the lease.
	{"POST", "/api/v1/worker/register", Public, NoProject},
	{"POST", "/api/v1/worker/hello", AsWorker, NoProject},
	{"POST", "/api/v1/worker/lease", AsWorker, NoProject},
	{"POST", "/api/v1/worker/leases/{run}/{step}/{attempt}/renew", AsWorker, NoProject},
	{"POST", "/api/v1/worker/leases/{run}/{step}/{attempt}/log", AsWorker, NoProject},
	{"GET", "/api/v1/worker/leases/{run}/{step}/{attempt}/shell", AsWorker, NoProject},
	{"POST", "/api/v1/worker/leases/{run}/{step}/{attempt}/finish", AsWorker, NoProject},
	{"POST", "/api/v1/worker/leases/{run}/{step}/{attempt}/artifacts/missing", AsWorker, NoProject},
	{"POST", "/api/v1/worker/leases/{run}/{step}/{attempt}/artifacts/lacking", AsWorker, NoProject},
	{"POST", "/api/v1/worker/leases/{run}/{step}/{attempt}/artifacts/packs", AsWorker, NoProject},
	{"PUT", "/api/v1/worker/leases/{run}/{step}/{attempt}/artifacts/uploads/{pack}", AsWorker, NoProject},
	{"GET", "/api/v1/worker/leases/{run}/{step}/{attempt}/artifacts/packs/{digest}", AsWorker, NoProject},
	{"PUT", "/api/v1/worker/leases/{run}/{step}/{attempt}/artifacts/manifests/{digest}", AsWorker, NoProject},
	{"GET", "/api/v1/worker/leases/{run}/{step}/{attempt}/artifacts/manifests/{digest}", AsWorker, NoProject},
	{"POST", "/api/v1/worker/leases/{run}/{step}/{attempt}/cache/find", AsWorker, NoProject},
	{"POST", "/api/v1/worker/leases/{run}/{step}/{attempt}/cache/keep", AsWorker, NoProject},
	{"POST", "/api/v1/worker/leases/{run}/{step}/{attempt}/tests", AsWorker, NoProject},
	{"POST", "/api/v1/worker/keep", AsWorker, NoProject},
	{"POST", "/api/v1/worker/environments/{pipeline}/{environment}/report", AsWorker, NoProject},
	{"GET", "/api/v1/worker/environments/{pipeline}/{environment}/errands/{id}", AsWorker, NoProject},
	{"POST", "/api/v1/worker/environments/{pipeline}/{environment}/errands/{id}/begin", AsWorker, NoProject},
	{"POST", "/api/v1/worker/environments/{pipeline}/{environment}/errands/{id}/end", AsWorker, NoProject},
	{"GET", "/api/v1/worker/environments/{pipeline}/{environment}/artifacts/packs/{digest}", AsWorker, NoProject},
	{"GET", "/api/v1/worker/environments/{pipeline}/{environment}/artifacts/manifests/{digest}", AsWorker, NoProject},

	// Pages. Their forms post to the page they stand on.
	{"GET", "/static/{file...}", Public, NoProject},
	{"GET", "/login", Public, NoProject},
	{"POST", "/login", Public, NoProject},
	{"POST", "/logout", SignedIn, NoProject},
	{"GET", "/password", SignedIn, NoProject},
	{"POST", "/password", SignedIn, NoProject},
	{"GET", "/{$}", SignedIn, NoProject},
	{"GET", "/approvals", SignedIn, NoProject},
	{"GET", "/environments", SignedIn, NoProject},
	{"GET", "/environments/events", SignedIn, NoProject},
	{"GET", "/projects", SignedIn, NoProject},
	{"GET", "/workers", ManageWorkers, NoProject},
	{"POST", "/workers/{worker}/drain", ManageWorkers, NoProject},
	{"POST", "/workers/{worker}/resume", ManageWorkers, NoProject},
	{"POST", "/workers/{worker}/remove", ManageWorkers, NoProject},
	{"GET", "/projects/{project}", ReadProject, FromProject},
	{"GET", "/projects/{project}/run", StartRun, FromProject},
	{"POST", "/projects/{project}/run", StartRun, FromProject},
	{"POST", "/projects/{project}/deliveries/{id}/replay", ManageProject, FromProject},
	{"GET", "/runs/{pipeline}/{number}", ReadProject, FromPipeline},
	{"GET", "/runs/{pipeline}/{number}/events", ReadProject, FromPipeline},
	{"POST", "/runs/{pipeline}/{number}/cancel", CancelRun, FromPipeline},
	{"POST", "/runs/{pipeline}/{number}/rerun", StartRun, FromPipeline},
	{"GET", "/runs/{pipeline}/{number}/steps/{step}/log", ReadProject, FromPipeline},
	{"GET", "/runs/{pipeline}/{number}/steps/{step}/log/events", ReadProject, FromPipeline},
	{"GET", "/approvals/{pipeline}/{number}/{step}", ReadProject, FromPipeline},
	{"POST", "/approvals/{pipeline}/{number}/{step}", Approve, FromPipeline},
	{"GET", "/environments/{pipeline}/{environment}", ReadProject, FromPipeline},
	{"GET", "/environments/{pipeline}/{environment}/events", ReadProject, FromPipeline},
	{"GET", "/environments/{pipeline}/{environment}/deployments/{id}", ReadProject, FromPipeline},
	{"POST", "/environments/{pipeline}/{environment}/deploy", Deploy, FromPipeline},
	{"POST", "/environments/{pipeline}/{environment}/rollback", Rollback, FromPipeline},
	{"POST", "/environments/{pipeline}/{environment}/gone", Deploy, FromPipeline},
	{"POST", "/environments/{pipeline}/{environment}/promote", Promote, FromPipeline},
	{"POST", "/projects/{project}/freeze", ManageEnvironments, FromProject},
	{"POST", "/projects/{project}/thaw", ManageEnvironments, FromProject},
	{"POST", "/environments/{pipeline}/{environment}/freeze", ManageEnvironments, FromPipeline},
	{"POST", "/environments/{pipeline}/{environment}/thaw", ManageEnvironments, FromPipeline},
	{"POST", "/environments/{pipeline}/{environment}/start", ManageEnvironments, FromPipeline},
	{"POST", "/environments/{pipeline}/{environment}/unpin", ManageEnvironments, FromPipeline},
}
