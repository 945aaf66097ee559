package cli

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

// shownTo answers the credential that the server was shown last.
func shownTo(w *world) *string {
	var shown string
	w.mux.HandleFunc("GET /api/v1/projects", func(answer http.ResponseWriter, r *http.Request) {
		shown = r.Header.Get("Authorization")
		answer.Write([]byte("[]"))
	})
	return &shown
}

// asUser runs a verb as a user would: without --server, unless it is in args.
func asUser(t *testing.T, input string, args ...string) answer {
	t.Helper()
	var out, err bytes.Buffer
	code := Execute(t.Context(), args, &Console{In: strings.NewReader(input), Out: &out, Err: &err})
	return answer{code, out.String(), err.String()}
}

func TestALoginIsForOneServerAndOneUser(t *testing.T) {
	folder := home(t)
	w, other := shopWorldWithoutProjects(t), newWorld(t)
	shown, shownToOther := shownTo(w), shownTo(other)

	got := asUser(t, "", "login", w.url+"/login?code=twl_once")
	if got != (answer{ExitDone, "signed in to " + w.url + " as ana\n", ""}) {
		t.Fatalf("got %+v", got)
	}
	w.wasAsked(`POST /api/v1/login {"code":"twl_once","token_name":"` + tokenName() + `"}`)
	if asUser(t, "", "project", "list"); *shown != "Bearer twp_fresh" {
		t.Errorf("the server was shown %q", *shown)
	}
	if asUser(t, "", "project", "list", "--server", other.url); *shownToOther != "" {
		t.Errorf("another server was shown %q", *shownToOther)
	}
	onlyOwnerReads(t, filepath.Join(folder, "towpath", "credentials.json"))

	if got := asUser(t, "", "logout"); got != (answer{ExitDone, "signed out of " + w.url + "\n", ""}) {
		t.Errorf("got %+v", got)
	}
	w.wasAsked("POST /api/v1/logout")
	if *shown = "nothing"; asUser(t, "", "project", "list", "--server", w.url).code != ExitDone || *shown != "" {
		t.Errorf("after the logout the server was shown %q", *shown)
	}
}

func shopWorldWithoutProjects(t *testing.T) *world {
	w := newWorld(t)
	shopPeople(w)
	return w
}

// onlyOwnerReads finds the file below the config folder that the system has for this home.
func onlyOwnerReads(t *testing.T, path string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return // the folder's own list of rights keeps others out
	}
	if runtime.GOOS == "darwin" {
		path, _ = credentialsPath()
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the login is kept as %v (%v)", info, err)
	}
}

func TestALoginTakesALinkACodeOrATokenFromStandardInput(t *testing.T) {
	for name, input := range map[string]string{
		"link": "http://SERVER/login?code=twl_once\n", "code": "twl_once\n", "token": "twp_fresh\n",
	} {
		t.Run(name, func(t *testing.T) {
			home(t)
			w := shopWorldWithoutProjects(t)
			shown := shownTo(w)
			got := asUser(t, strings.ReplaceAll(input, "http://SERVER", w.url), "login", strings.TrimPrefix(w.url, "http://"))
			if asUser(t, "", "project", "list"); got.code != ExitDone || *shown != "Bearer twp_fresh" {
				t.Errorf("got %+v, and the server was shown %q", got, *shown)
			}
		})
	}
}

func TestALoginThatTheServerRefusesLeavesTheOldOne(t *testing.T) {
	home(t)
	w, wrong := shopWorldWithoutProjects(t), newWorld(t)
	shown := shownTo(w)
	wrong.refuses("POST /api/v1/login", http.StatusUnauthorized, client.Error{Code: "unauthorized", Message: "the link is not valid"})
	asUser(t, "", "login", w.url, "--token", "twp_given")
	if got := asUser(t, "", "login", wrong.url+"/login?code=twl_used"); got != (answer{ExitFailed, "", "the link is not valid\n"}) {
		t.Errorf("got %+v", got)
	}
	if asUser(t, "", "project", "list"); *shown != "Bearer twp_given" {
		t.Errorf("the server was shown %q", *shown)
	}
	if got := asUser(t, " \n", "login", wrong.url); got.code != ExitUsage {
		t.Errorf("nothing to sign in with: got %+v", got)
	}
}

func TestALogoutThatTheServerDoesNotHearStillForgets(t *testing.T) {
	home(t)
	w := shopWorldWithoutProjects(t)
	asUser(t, "", "login", w.url, "--token", "twp_given")
	known, err := loadCredentials()
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://127.0.0.1:1"
	known.Current, known.Servers[gone] = gone, known.Servers[w.url]
	if err := known.save(); err != nil {
		t.Fatal(err)
	}
	got := asUser(t, "", "logout")
	if got.code != ExitFailed || !strings.HasPrefix(got.err, "the login is forgotten here, but may still be valid: no answer") {
		t.Errorf("got %+v", got)
	}
	if again := asUser(t, "", "logout", "--server", gone); again != (answer{ExitFailed, "", "nobody is signed in to " + gone + "\n"}) {
		t.Errorf("got %+v", again)
	}
}

func TestFlagsComeBeforeTheEnvironmentAndThatBeforeTheLogin(t *testing.T) {
	home(t)
	byLogin, byEnvironment, byFlag := shopWorldWithoutProjects(t), newWorld(t), newWorld(t)
	login, environment, flag := shownTo(byLogin), shownTo(byEnvironment), shownTo(byFlag)
	asUser(t, "", "login", byLogin.url, "--token", "twp_login")
	asUser(t, "", "project", "list")
	t.Setenv("TOWPATH_SERVER", byEnvironment.url)
	t.Setenv("TOWPATH_TOKEN", "twp_environment")
	asUser(t, "", "project", "list")
	asUser(t, "", "project", "list", "--server", byFlag.url, "--token", "twp_flag")
	if *login != "Bearer twp_login" || *environment != "Bearer twp_environment" || *flag != "Bearer twp_flag" {
		t.Errorf("shown were %q, %q and %q", *login, *environment, *flag)
	}
}

func TestTheOwnersTokenIsShownToThisMachineOnly(t *testing.T) {
	folder := home(t)
	t.Setenv("TOWPATH_DATA", folder)
	write(t, filepath.Join(folder, "owner.token"), "two_owner\n")
	w := newWorld(t)
	shown := shownTo(w)
	if asUser(t, "", "project", "list", "--server", w.url); *shown != "Bearer two_owner" {
		t.Errorf("the server on this machine was shown %q", *shown)
	}
	for _, elsewhere := range []string{"http://towpath.example.com", "http://localhost.example.com", "http://10.0.0.1:8470", "https://127.0.0.1.example.com"} {
		if token := (&Console{}).tokenFor(elsewhere, credentials{}); token != "" {
			t.Errorf("%s would be shown %q", elsewhere, token)
		}
	}
}

func TestABrokenLoginFileSaysWhatToDo(t *testing.T) {
	home(t)
	path, err := credentialsPath()
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, "{")
	got := asUser(t, "", "runs")
	if got.code != ExitFailed || !strings.Contains(got.err, "does not hold a login") || !strings.Contains(got.err, "hint: remove it, and sign in again") {
		t.Errorf("got %+v", got)
	}
}

func TestAServerThatIsNotThereIsNamedWithWhatToDo(t *testing.T) {
	home(t)
	t.Setenv("TOWPATH_SERVER", "http://127.0.0.1:1")
	for _, verb := range [][]string{{"runs"}, {"status"}, {"deploy", "production", "42"}, {"log", "unit"}, {"approve"}} {
		got := asUser(t, "", verb...)
		if got.code != ExitFailed || !strings.HasPrefix(got.err, "no answer from http://127.0.0.1:1: ") || !strings.Contains(got.err, "\nhint: is the server running?") {
			t.Errorf("%v: got %+v", verb, got)
		}
	}
	if got := asUser(t, "", "runs", "--server", "ftp://shop"); got != (answer{ExitFailed, "", "\"ftp://shop\" is not a server's address\nhint: write it like http://localhost:8470\n"}) {
		t.Errorf("got %+v", got)
	}
}

func TestAFolderIsWatchedByItsPathWhereTheServerIsOnThisMachine(t *testing.T) {
	home(t)
	folder := t.TempDir()
	w := shopWorld(t)
	t.Chdir(folder)
	if got := w.call("project", "add", "."); got.code != ExitDone {
		t.Fatalf("got %+v", got)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	w.wasAsked(`POST /api/v1/projects {"url":"` + here + `"}`)
	if _, err := repository(".", "https://towpath.example.com"); !isUsage(err) {
		t.Errorf("a folder was sent to another machine: %v", err)
	}
}

func TestNamesThatCouldMeanSeveralThingsAreAskedAbout(t *testing.T) {
	home(t)
	w := newWorld(t)
	blog := shopProject(false)
	blog.Name, blog.Pipelines = "blog", []string{"blog"}
	w.answers("GET /api/v1/projects", []client.Project{shopProject(false), blog})
	other := shopProduction()
	other.Key = "blog/production"
	w.answers("GET /api/v1/environments", []client.Environment{shopProduction(), other})
	w.answers("GET /api/v1/approvals", []client.Approval{shopApproval("waiting"), {Pipeline: "blog", Run: 4, Step: "go live"}})
	for call, want := range map[string]string{
		"run":             "which project?\nhint: one of shop, blog\n",
		"status 128":      "run 128 of which pipeline?\nhint: write shop#128 or blog#128\n",
		"status shop#x":   "\"shop#x\" is not a run\nhint: write it like shop#128\n",
		"plan production": "production of which pipeline?\nhint: write shop/production or blog/production\n",
		"approve":         "which one?\nhint: one of shop#128 release, blog#4 \"go live\"\n",
	} {
		if got := w.call(strings.Fields(call)...); got != (answer{ExitUsage, "", want}) {
			t.Errorf("%s: got %+v", call, got)
		}
	}
}

func TestAnEmptyServerSaysWhatComesFirst(t *testing.T) {
	home(t)
	w := newWorld(t)
	for _, list := range []string{"projects", "runs", "environments", "approvals", "workers", "tokens", "groups", "audit"} {
		w.answers("GET /api/v1/"+list, []int{})
	}
	for call, want := range map[string]string{
		"project list": "no projects; towpath project add URL watches a repository\n",
		"runs":         "no runs\n",
		"status":       "no runs yet; towpath project add URL watches a repository\n",
		"environments": "no environments\n",
		"audit":        "nothing was done yet\n",
	} {
		if got := w.call(strings.Fields(call)...); got != (answer{ExitDone, want, ""}) {
			t.Errorf("%s: got %+v", call, got)
		}
		if got := w.call(append(strings.Fields(call), "--json")...); call != "status" && got.out != "[]\n" {
			t.Errorf("%s --json: got %+v", call, got)
		}
	}
	for call, want := range map[string]string{
		"run":           "there are no projects yet\nhint: towpath project add URL\n",
		"log unit":      "there are no runs yet\nhint: push a commit, or start one: towpath run PROJECT\n",
		"rollback prod": "there are no environments yet\nhint: one is made by the first run that deploys to it\n",
		"approve":       "nothing waits for a decision\n",
		"cancel":        "nothing is running\n",
	} {
		if got := w.call(strings.Fields(call)...); got != (answer{ExitFailed, "", want}) {
			t.Errorf("%s: got %+v", call, got)
		}
	}
}
