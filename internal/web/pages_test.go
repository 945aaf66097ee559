package web_test

import (
	"bufio"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/store"
)

// reply is what a browser gets.
type reply struct {
	*http.Response
	text string
}

// asks for a page, or sends a form where there are fields, as a person with a token; "" is nobody.
func (h *house) asks(token, path string, fields ...string) reply {
	h.Helper()
	method, form := http.MethodGet, url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		method = http.MethodPost
		form.Set(fields[i], fields[i+1])
	}
	r, err := http.NewRequestWithContext(h.Context(), method, h.URL+path, strings.NewReader(form.Encode()))
	must(h.T, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	must(h.T, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(h.T, err)
	return reply{response, string(text)}
}

// wants fails unless the reply has a status, and all texts.
func (r reply) wants(t *testing.T, status int, texts ...string) {
	t.Helper()
	if r.StatusCode != status {
		t.Errorf("%s answered %d, wanted %d:\n%s", r.Request.URL, r.StatusCode, status, r.text)
	}
	for _, text := range texts {
		if !strings.Contains(r.text, text) {
			t.Errorf("%s does not say %q:\n%s", r.Request.URL, text, r.text)
		}
	}
}

// session answers the cookie by which the browser is signed in from now on.
func (r reply) session() *http.Cookie {
	for _, c := range r.Cookies() {
		if c.Name == access.SessionCookie {
			return c
		}
	}
	return nil
}

func TestOpeningAOneTimeLinkSignsNobodyIn(t *testing.T) {
	h := newHouse(t)
	code := h.link(client.Account{Name: "ana"})
	for range 2 { // as the programs do that look at a mail before its reader
		opened := h.asks("", "/login?code="+code)
		opened.wants(t, http.StatusOK, `value="`+code+`"`)
		if opened.session() != nil {
			t.Fatal("opening the link made a session")
		}
	}
	clicked := h.asks("", "/login", "code", code)
	clicked.wants(t, http.StatusSeeOther)
	if clicked.session() == nil || clicked.Header.Get("Location") != "/password" {
		t.Errorf("the button led to %q, with the cookie %v", clicked.Header.Get("Location"), clicked.session())
	}
	again := h.asks("", "/login", "code", code)
	if again.session() != nil || again.StatusCode < 400 {
		t.Error("the link works twice")
	}
}

func TestTheSessionsCookieIsKeptFromScriptsAndFromPlainHTTP(t *testing.T) {
	for address, secure := range map[string]bool{"": false, "https://towpath.example.com": true} {
		h := newHouseBehind(t, address)
		h.person("ana", "viewer", "*")
		cookie := h.asks("", "/login", "name", "ana", "password", password).session()
		if cookie == nil || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Secure != secure {
			t.Errorf("reached at %q the cookie is %v", address, cookie)
		}
	}
}

func TestSigningInLeadsToWhereThePersonWantedToGoAndNeverToAnotherSite(t *testing.T) {
	h := newHouse(t)
	h.person("ana", "viewer", "*")
	first := h.asks("", "/environments?x=1")
	if want := "/login?next=%2Fenvironments%3Fx%3D1"; first.Header.Get("Location") != want {
		t.Errorf("nobody was sent to %q, wanted %q", first.Header.Get("Location"), want)
	}
	for next, want := range map[string]string{
		"/environments?x=1": "/environments?x=1", "": "/", "https://elsewhere.example": "/", "//elsewhere.example": "/",
		`/\elsewhere.example`: "/", "/\t/elsewhere.example": "/",
	} {
		in := h.asks("", "/login", "name", "ana", "password", password, "next", next)
		if got := in.Header.Get("Location"); got != want {
			t.Errorf("next=%q led to %q, wanted %q", next, got, want)
		}
	}
	h.asks("", "/login", "name", "ana", "password", "guess").wants(t, http.StatusUnauthorized, "is not valid", `name="password"`)
}

func TestAButtonIsThereForWhoMayUseItOnly(t *testing.T) {
	h := newHouse(t)
	h.group("release-managers")
	h.project("shop")
	w := h.worker("north-1")
	boss := h.person("boss", "administrator", "", "release-managers")
	viewer, deployer := h.person("vera", "viewer", "shop"), h.person("dora", "deployer", "shop")
	asked := h.person("abe", "approver", "shop", "release-managers")
	author := h.person("ana", "maintainer", "shop", "release-managers")
	h.releases(w, boss, "shop")
	h.releases(w, boss, "shop")
	h.brings(w, "shop")

	const environment, run, approval = "/environments/shop/production", "/runs/shop/3", "/approvals/shop/3/release"
	for _, c := range []struct {
		who            person
		path, form     string
		sees           bool
		statusOfASend  int
		field, content string
	}{
		{viewer, environment, environment + "/rollback", false, http.StatusForbidden, "reason", "curious"},
		{viewer, run, run + "/cancel", false, http.StatusForbidden, "x", ""},
		{viewer, approval, approval, false, http.StatusForbidden, "decision", "approve"},
		{deployer, approval, approval, false, http.StatusForbidden, "decision", "approve"},
		{author, approval, approval, false, http.StatusGone, "decision", "approve"}, // the intent is missing as well
		{asked, approval, approval, true, http.StatusGone, "decision", "approve"},
		{deployer, run, run + "/cancel", true, http.StatusSeeOther, "x", ""},
		{viewer, run, run + "/rerun", false, http.StatusForbidden, "what", "all"},
		{deployer, run, run + "/rerun", true, http.StatusSeeOther, "what", "all"},
		{deployer, environment, environment + "/freeze", false, http.StatusForbidden, "reason", ""},
		{deployer, "/projects/shop", "/projects/shop/freeze", false, http.StatusForbidden, "reason", ""},
		{author, "/projects/shop", "/projects/shop/freeze", true, http.StatusSeeOther, "reason", "a fair"},
		{author, "/projects/shop", "/projects/shop/thaw", true, http.StatusSeeOther, "x", ""},
		{deployer, environment, environment + "/rollback", true, http.StatusSeeOther, "reason", "slow"},
	} {
		shown := h.asks(c.who.token, c.path)
		shown.wants(t, http.StatusOK)
		if got := strings.Contains(shown.text, `method="post" action="`+c.form+`"`); got != c.sees {
			t.Errorf("%s sees a form to %s on %s: %t, wanted %t", c.who.name, c.form, c.path, got, c.sees)
		}
		h.asks(c.who.token, c.form, c.field, c.content).wants(t, c.statusOfASend)
	}
	h.asks(viewer.token, environment).wants(t, http.StatusOK, "release 1 is on its way, by dora")
}

func TestALogShowsTextAndColoursAndNothingElse(t *testing.T) {
	h := newHouse(t)
	h.project("shop")
	vera, w := h.person("vera", "viewer", "shop"), h.worker("north-1")
	h.run("shop")
	built := w.takes("site")
	built.prints("<script>alert(1)</script>\n" +
		"\x1b]8;;javascript:alert(2)\x07click me\x1b]8;;\x07 \x1b[31mred\n" +
		"\x1b]1338;url=http://elsewhere.example/x.png;alt=picture\x07after\n" +
		"10 %\r 90 %\r100 %\n" + "\xff\xfe bytes\n" + strings.Repeat("long ", 60_000) + "\n")
	built.ends("passed", "")
	shown := h.asks(vera.token, "/runs/shop/1/steps/site/log")
	shown.wants(t, http.StatusOK, "&lt;script&gt;alert(1)", "click me", `<span class="term-fg31">red</span>`, "after", "100 %", "\uFFFD bytes", "the line goes on")
	for _, bad := range []string{"<script>", "javascript:", "elsewhere.example", "10 %\r"} {
		if strings.Contains(strings.ReplaceAll(shown.text, `<script src="/static/`, ""), bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	h.asks(vera.token, "/runs/shop/1/steps/site/log?from=4").wants(t, http.StatusOK, "lines 5 to 6 of 6")
	h.asks(vera.token, "/runs/shop/1/steps/site/log?from=x").wants(t, http.StatusUnprocessableEntity, "is not the number of a line")
}

func TestWhatIsNotThereIsSaidInTheLookOfTheOtherPages(t *testing.T) {
	h := newHouse(t)
	h.project("shop")
	vera := h.person("vera", "viewer", "shop")
	for _, path := range []string{"/nothing", "/static/nothing.js", "/runs/shop/7", "/environments/shop/moon", "/runs/other/1"} {
		h.asks(vera.token, path).wants(t, http.StatusNotFound, "<h1>Not found</h1>", "there is no", `href="/static/style.css"`)
	}
	h.asks(vera.token, "/api/v1/nothing").wants(t, http.StatusNotFound, `"code":"not_found"`)
	h.asks(vera.token, "/environments", "x", "y").wants(t, http.StatusMethodNotAllowed)
}

func TestAnEnvironmentIsShownAlsoWhenItsKeeperWasRemoved(t *testing.T) {
	h := newHouse(t)
	h.group("release-managers")
	h.project("shop")
	cleo, w := h.person("cleo", "maintainer", "shop", "release-managers"), h.worker("north-1")
	h.releases(w, cleo, "shop")
	h.asks(cleo.token, "/environments/shop/production").wants(t, http.StatusOK, "release 1", "north-1")
	must(t, h.store.Update(t.Context(), func(tx *store.Tx) error {
		workers, err := tx.Workers()
		if err != nil {
			return err
		}
		return tx.DeleteWorker(workers[0].ID)
	}))
	reply := h.asks(cleo.token, "/environments/shop/production")
	reply.wants(t, http.StatusOK, "release 1")
	if strings.Contains(reply.text, "north-1") {
		t.Errorf("a worker that is gone is shown as its keeper:\n%s", reply.text)
	}
}

func TestADeploymentIsShownWithWhatWasPlannedAndDone(t *testing.T) {
	h := newHouse(t)
	h.group("release-managers")
	h.project("shop")
	cleo, w := h.person("cleo", "maintainer", "shop", "release-managers"), h.worker("north-1")
	h.releases(w, cleo, "shop")
	asked, err := cleo.Deploy(t.Context(), "shop/production", client.Deploy{Release: 1, Reason: "once more"})
	must(t, err)
	order := w.orders("shop/production")
	began := time.Now().Add(-2 * time.Second)
	_, err = w.ReportKept(t.Context(), "shop/production", client.KeeperReport{
		Epoch: order.Environment.Epoch, Event: "reached", Deployment: asked.ID,
		Journal: []towpath.JournalEntry{{Deployment: asked.ID, Operation: "start r1-2: <it is not there>", Began: began, Ended: began.Add(1400 * time.Millisecond)}},
	})
	must(t, err)
	told, err := cleo.History(t.Context(), "shop/production", asked.ID)
	must(t, err)
	if told.State != "live" || told.Reason != "once more" || !strings.Contains(told.Plan, "goal: release 1") || len(told.Journal) != 1 {
		t.Errorf("told is %+v", told)
	}
	path := "/environments/shop/production/deployments/" + asked.ID
	h.asks(cleo.token, "/environments/shop/production").wants(t, http.StatusOK, path)
	h.asks(cleo.token, path).wants(t, http.StatusOK, "once more", "start r1-2: &lt;it is not there&gt;", "1.4 s", "goal: release 1")
	h.asks(cleo.token, "/environments/shop/staging/deployments/"+asked.ID).wants(t, http.StatusNotFound)

	b := h.browser()
	b.signsIn(cleo)
	b.opens(path)
	b.canBeUsed("deployment")
	b.hasNoComplaints()
}

// streamOf answers where a page asks for what changes.
func (r reply) streamOf(t *testing.T) string {
	t.Helper()
	_, after, _ := strings.Cut(r.text, `sse-connect="`)
	address, _, found := strings.Cut(after, `"`)
	if !found {
		t.Fatalf("the page follows nothing:\n%s", r.text)
	}
	return html.UnescapeString(address)
}

func TestAPageIsSentNothingThatItShowsAlready(t *testing.T) {
	h := newHouse(t)
	h.group("release-managers")
	h.project("shop")
	cleo, w := h.person("cleo", "maintainer", "shop", "release-managers"), h.worker("north-1")
	h.releases(w, cleo, "shop")
	page := h.asks(cleo.token, "/environments/shop/production")
	address := page.streamOf(t)

	first := func(lastEvent string) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+address, nil)
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+cleo.token)
		r.Header.Set("Last-Event-ID", lastEvent)
		response, err := http.DefaultTransport.RoundTrip(r)
		must(t, err)
		defer response.Body.Close()
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			if line := lines.Text(); line == ": alive" || strings.HasPrefix(line, "event: ") {
				return line
			}
		}
		t.Fatal("the stream ended")
		return ""
	}
	if got := first(""); got != ": alive" {
		t.Errorf("a page that shows all is sent %q", got)
	}
	if got := first("again"); got != "event: state" {
		t.Errorf("a page that comes again is sent %q first", got)
	}
	_, err := h.client(cleo.token).Freeze(t.Context(), "shop/production", "a fair", time.Time{})
	must(t, err)
	if got := first(""); got != "event: state" {
		t.Errorf("after a freeze it is sent %q first", got)
	}
}

// Whoever looks at a project sees what holds its environments: a freeze of the project itself, and one of every environment of a name.
func TestAProjectsPagesTellWhatItIsFrozenBy(t *testing.T) {
	h := newHouse(t)
	h.project("shop")
	boss, viewer := h.person("boss", "administrator", ""), h.person("vera", "viewer", "shop")
	tells := func(path string, is bool, texts ...string) {
		t.Helper()
		shown := h.asks(viewer.token, path)
		shown.wants(t, http.StatusOK)
		for _, text := range texts {
			if strings.Contains(shown.text, text) != is {
				t.Errorf("%s tells %q: %t, wanted %t", path, text, !is, is)
			}
		}
	}
	h.asks(boss.token, "/projects/shop/freeze", "reason", "the fair", "until", "2099-12-24T18:00").wants(t, http.StatusSeeOther)
	_, err := h.client(boss.token).FreezeName(t.Context(), "production", client.NewFreeze{Reason: "the audit"})
	must(t, err)
	const whole, each = "by boss until 24 Dec 2099 18:00 UTC: the fair", "by boss: the audit"
	tells("/projects/shop", true, whole, each)
	tells("/projects", true, "frozen "+whole)
	tells("/projects/shop", false, "/projects/shop/thaw")
	h.asks(boss.token, "/projects/shop/freeze", "reason", "", "until", "tomorrow").wants(t, http.StatusUnprocessableEntity)
	h.asks(boss.token, "/projects/shop/thaw", "x", "").wants(t, http.StatusSeeOther)
	tells("/projects/shop", false, whole)
	tells("/projects", false, "frozen ")
}

func TestABackupIsForAdministratorsAndIsRecorded(t *testing.T) {
	h := newHouse(t)
	var backup strings.Builder
	_, err := h.owner.Backup(t.Context(), &backup)
	must(t, err)
	if backup.String() != "all of it" {
		t.Errorf("the backup is %q", backup.String())
	}
	audit, err := h.owner.Audit(t.Context())
	must(t, err)
	if audit[0].Action != "server.backup" {
		t.Errorf("the last act is %+v", audit[0])
	}
}
