package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"strings"

	"github.com/a-h/templ"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/web/page"
)

//go:embed static/*.css static/*.js static/*.svg
var static embed.FS

// maxForm is the size of the largest form that is read, in bytes.
const maxForm = 64 << 10

// registerPages names every page, form and stream of a page, in the order of the table of routes.
func (s *Server) registerPages() {
	s.handle("GET /static/{file...}", s.staticFiles())
	s.page("GET /login", s.loginPage)
	s.handle("POST /login", s.signIn)
	s.handle("POST /logout", s.signOut)
	s.page("GET /password", s.passwordPage)
	s.handle("POST /password", s.changePassword)

	s.page("GET /{$}", s.runListPage)
	s.page("GET /approvals", s.approvalListPage)
	s.page("GET /environments", s.boardPage)
	s.handle("GET /environments/events", s.followBoard)
	s.page("GET /workers", s.workerListPage)
	s.form("POST /workers/{worker}/drain", s.drainByForm)
	s.form("POST /workers/{worker}/resume", s.resumeByForm)
	s.form("POST /workers/{worker}/remove", s.removeWorkerByForm)
	s.page("GET /projects", s.projectListPage)
	s.page("GET /projects/{project}", s.projectPage)
	s.page("GET /projects/{project}/run", s.startPage)
	s.handle("POST /projects/{project}/run", s.startByForm)
	s.form("POST /projects/{project}/deliveries/{id}/replay", s.replayByForm)
	s.form("POST /projects/{project}/freeze", s.freezeProjectByForm)
	s.form("POST /projects/{project}/thaw", s.thawProjectByForm)

	const run = " /runs/{pipeline}/{number}"
	s.page("GET"+run, s.runPage)
	s.handle("GET"+run+"/events", s.followRun)
	s.form("POST"+run+"/cancel", s.cancelByForm)
	s.form("POST"+run+"/rerun", s.rerunByForm)
	s.page("GET"+run+"/steps/{step}/log", s.logPage)
	s.handle("GET"+run+"/steps/{step}/log/events", s.followLog)

	s.page("GET /approvals/{pipeline}/{number}/{step}", s.approvalPage)
	s.form("POST /approvals/{pipeline}/{number}/{step}", s.decideByForm)

	const environment = " /environments/{pipeline}/{environment}"
	s.page("GET"+environment, s.environmentPage)
	s.handle("GET"+environment+"/events", s.followEnvironment)
	s.page("GET"+environment+"/deployments/{id}", s.historyPage)
	s.form("POST"+environment+"/deploy", s.deployByForm)
	s.form("POST"+environment+"/rollback", s.rollbackByForm)
	s.form("POST"+environment+"/promote", s.promoteByForm)
	s.form("POST"+environment+"/freeze", s.freezeByForm)
	s.form("POST"+environment+"/thaw", s.thawByForm)
	s.form("POST"+environment+"/start", s.startByHand)
	s.form("POST"+environment+"/unpin", s.unpinByForm)
	s.form("POST"+environment+"/gone", s.goneByForm)
}

// page registers a handler that answers a page.
func (s *Server) page(pattern string, handler func(call[none]) (templ.Component, error)) {
	s.handle(pattern, func(w http.ResponseWriter, r *http.Request, caller access.Caller) {
		shown, err := handler(call[none]{Request: r, Caller: caller})
		if err != nil {
			s.fail(w, r, err)
			return
		}
		s.show(w, r, http.StatusOK, shown)
	})
}

// form registers a handler that does what a form asks for, and answers the path of the page to look at afterwards.
func (s *Server) form(pattern string, handler func(call[none]) (path string, err error)) {
	s.handle(pattern, func(w http.ResponseWriter, r *http.Request, caller access.Caller) {
		if err := readForm(w, r); err != nil {
			s.fail(w, r, err)
			return
		}
		path, err := handler(call[none]{Request: r, Caller: caller})
		if err != nil {
			s.fail(w, r, err)
			return
		}
		http.Redirect(w, r, path, http.StatusSeeOther)
	})
}

func readForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return towpath.Errorf(towpath.CodeInvalid, "the form cannot be read: %s", err)
	}
	return nil
}

// show renders a page whole before the first byte is sent, so that a fault in it is an error and not half a page.
func (s *Server) show(w http.ResponseWriter, r *http.Request, status int, shown templ.Component) {
	var content bytes.Buffer
	if err := shown.Render(r.Context(), &content); err != nil {
		s.Log.Error("a page cannot be shown", "path", r.URL.Path, "error", err)
		http.Error(w, "something went wrong on the server", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(content.Bytes()) // the reader is gone if this fails
}

// frame is what a page shows around its content.
func (s *Server) frame(c access.Caller, here, title string) page.Frame {
	return page.Frame{
		Title: title, Name: c.Name, Here: here, Now: s.Clock(), Workers: access.Authorize(c.Identity, access.ManageWorkers, towpath.Project{}) == nil,
	}
}

// titles are the headings of error pages.
var titles = map[towpath.Code]string{
	towpath.CodeInvalid:      "That does not work",
	towpath.CodeUnauthorized: "Not signed in",
	towpath.CodeForbidden:    "Not allowed",
	towpath.CodeNotFound:     "Not found",
	towpath.CodeConflict:     "Not now",
	towpath.CodeStale:        "No longer",
	towpath.CodeUnavailable:  "Not available",
	towpath.CodeInternal:     "A fault of the server",
}

// failPage answers an error as a page in the look of the others.
func (s *Server) failPage(w http.ResponseWriter, r *http.Request, e *towpath.Error) {
	s.show(w, r, statuses[e.Code], page.Error(page.Failure{
		Frame: s.frame(access.Caller{}, "", titles[e.Code]), Message: e.Message, Hint: e.Hint,
		IsNobody: e.Code == towpath.CodeUnauthorized,
	}))
}

// staticFiles serves what the pages load. A browser asks whether a file is still the same before it uses its copy.
func (s *Server) staticFiles() func(http.ResponseWriter, *http.Request, access.Caller) {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic("web: the static files are part of the program: " + err.Error())
	}
	return func(w http.ResponseWriter, r *http.Request, _ access.Caller) {
		name := r.PathValue("file")
		content, err := fs.ReadFile(files, name)
		if err != nil {
			s.fail(w, r, towpath.Errorf(towpath.CodeNotFound, "there is no file %s", name))
			return
		}
		sum := sha256.Sum256(content)
		w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeFileFS(w, r, files, name)
	}
}

// isSecure says that people reach the server by HTTPS.
func (s *Server) isSecure() bool { return strings.HasPrefix(s.URL, "https://") }
