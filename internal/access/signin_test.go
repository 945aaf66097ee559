package access_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/store"
)

// browser asks who it is signed in as.
func (h *house) browser(cookie string) (access.Caller, error) {
	h.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: access.SessionCookie, Value: cookie})
	return h.guard.Admit(r, routeNamed(h.T, "GET /api/v1/me"))
}

// withPassword makes an account that has chosen a password, and answers its session.
func (h *house) withPassword(p access.Person, password string) access.Session {
	h.Helper()
	session, err := h.guard.SignInByLink(h.Context(), h.link(p))
	if err != nil {
		h.Fatal(err)
	}
	caller, err := h.browser(session.Secret)
	if err != nil {
		h.Fatal(err)
	}
	if err := h.guard.SetPassword(h.Context(), caller, "", password); err != nil {
		h.Fatal(err)
	}
	return session
}

func TestAOneTimeLinkWorksOnceAndNotForEver(t *testing.T) {
	h := newHouse(t)
	used, late := h.link(access.Person{Name: "ada"}), h.link(access.Person{Name: "bob"})
	_, err := h.guard.SignInByLink(t.Context(), used)
	wantCode(t, "the first use", err, "")
	_, err = h.guard.SignInByLink(t.Context(), used)
	wantCode(t, "the second use", err, towpath.CodeUnauthorized)
	_, _, err = h.guard.TokenByLink(t.Context(), used, "laptop")
	wantCode(t, "the second use, for a token", err, towpath.CodeUnauthorized)
	h.now = h.now.Add(access.LinkLife)
	_, err = h.guard.SignInByLink(t.Context(), late)
	wantCode(t, "a late use", err, towpath.CodeUnauthorized)
}

func TestANewLinkMakesTheOneBeforeItWorthless(t *testing.T) {
	h := newHouse(t)
	first := h.link(access.Person{Name: "ada"})
	h.update(func(tx *store.Tx) error {
		a, err := tx.AccountByName("ada")
		if err != nil {
			return err
		}
		_, err = access.NewLink(tx, a, h.now)
		return err
	})
	_, err := h.guard.SignInByLink(t.Context(), first)
	wantCode(t, "the first link", err, towpath.CodeUnauthorized)
}

func TestAnAdministratorIsInvitedUntilTheyHaveComeIn(t *testing.T) {
	h := newHouse(t)
	first, err := h.guard.FirstLink(t.Context())
	if first == "" || err != nil {
		t.Fatalf("no link at the first start: %v", err)
	}
	second, err := h.guard.FirstLink(t.Context())
	if second == "" || second == first || err != nil {
		t.Fatalf("no new link at the second start: %v", err)
	}
	if caller := h.caller(h.exchange(second)); !caller.Administrator {
		t.Errorf("%s is no administrator", caller)
	}
	third, err := h.guard.FirstLink(t.Context())
	if third != "" || err != nil {
		t.Errorf("another link after they came in: %q, %v", third, err)
	}
}

func TestSigningInMakesASessionThatNobodyKnewBefore(t *testing.T) {
	h := newHouse(t)
	before := h.withPassword(access.Person{Name: "ada"}, "correct horse")
	planted := "tws_planted-by-somebody-else"
	_, err := h.browser(planted)
	wantCode(t, "a planted session", err, towpath.CodeUnauthorized)
	after, err := h.guard.SignIn(t.Context(), "ada", "correct horse", "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	if after.Secret == before.Secret {
		t.Error("signing in kept the session of before")
	}
	_, err = h.browser(planted)
	wantCode(t, "the planted session, after signing in", err, towpath.CodeUnauthorized)
	cookie := after.Cookie(true)
	if !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode {
		t.Errorf("the cookie is %s", cookie)
	}
}

func TestASessionEndsBySigningOutByTimeAndWithItsAccount(t *testing.T) {
	h := newHouse(t)
	session := func(name string) string { return h.withPassword(access.Person{Name: name}, "correct horse").Secret }
	out, late, disabled := session("ada"), session("bob"), session("eve")
	caller, err := h.browser(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.guard.SignOut(t.Context(), caller); err != nil {
		t.Fatal(err)
	}
	_, err = h.browser(out)
	wantCode(t, "after signing out", err, towpath.CodeUnauthorized)
	h.update(func(tx *store.Tx) error {
		a, err := tx.AccountByName("eve")
		if err != nil {
			return err
		}
		a.Disabled = true
		return tx.SaveAccount(a)
	})
	_, err = h.browser(disabled)
	wantCode(t, "of a disabled account", err, towpath.CodeUnauthorized)
	_, err = h.guard.SignIn(t.Context(), "eve", "correct horse", "192.0.2.1")
	wantCode(t, "signing in to a disabled account", err, towpath.CodeUnauthorized)
	h.now = h.now.Add(access.SessionLife)
	_, err = h.browser(late)
	wantCode(t, "after its time", err, towpath.CodeUnauthorized)
}

func TestANewPasswordNeedsThePresentOneAndEndsOtherSessions(t *testing.T) {
	h := newHouse(t)
	first := h.withPassword(access.Person{Name: "ada"}, "correct horse")
	second, err := h.guard.SignIn(t.Context(), "ada", "correct horse", "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	caller, err := h.browser(second.Secret)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, "without the present one", h.guard.SetPassword(t.Context(), caller, "", "battery staple"), towpath.CodeUnauthorized)
	wantCode(t, "a short one", h.guard.SetPassword(t.Context(), caller, "correct horse", "short"), towpath.CodeInvalid)
	wantCode(t, "a good one", h.guard.SetPassword(t.Context(), caller, "correct horse", "battery staple"), "")
	_, err = h.browser(first.Secret)
	wantCode(t, "the other session", err, towpath.CodeUnauthorized)
	_, err = h.browser(second.Secret)
	wantCode(t, "this session", err, "")
	_, err = h.guard.SignIn(t.Context(), "ada", "correct horse", "192.0.2.1")
	wantCode(t, "the old password", err, towpath.CodeUnauthorized)
}

func TestATokenChangesNoPassword(t *testing.T) {
	h := newHouse(t)
	caller := h.caller(h.token("ada", access.RoleMaintainer))
	wantCode(t, "by a token", h.guard.SetPassword(t.Context(), caller, "", "battery staple"), towpath.CodeForbidden)
}

func TestGuessingPasswordsIsRefusedAfterAWhileAlsoAllAtOnce(t *testing.T) {
	h := newHouse(t)
	h.withPassword(access.Person{Name: "ada"}, "correct horse")
	var refused, wrong atomic.Int32
	var wait sync.WaitGroup
	for range 14 {
		wait.Go(func() {
			_, err := h.guard.SignIn(t.Context(), "ada", "a guess", "192.0.2.1")
			switch towpath.CodeOf(err) {
			case towpath.CodeUnauthorized:
				wrong.Add(1)
			case towpath.CodeUnavailable:
				refused.Add(1)
			default:
				t.Errorf("a guess: %v", err)
			}
		})
	}
	wait.Wait()
	if wrong.Load() != 10 || refused.Load() != 4 {
		t.Errorf("%d guesses were looked at, and %d refused", wrong.Load(), refused.Load())
	}
	_, err := h.guard.SignIn(t.Context(), "ada", "correct horse", "192.0.2.2")
	wantCode(t, "the right password meanwhile", err, towpath.CodeUnavailable)
	h.now = h.now.Add(time.Hour)
	_, err = h.guard.SignIn(t.Context(), "ada", "correct horse", "192.0.2.2")
	wantCode(t, "the right password later", err, "")
}

func TestAnAccountThatDoesNotExistIsRefusedLikeAWrongPassword(t *testing.T) {
	h := newHouse(t)
	h.withPassword(access.Person{Name: "ada"}, "correct horse")
	_, wrong := h.guard.SignIn(t.Context(), "ada", "a guess", "192.0.2.1")
	_, nobody := h.guard.SignIn(t.Context(), "nobody", "a guess", "192.0.2.1")
	if wrong == nil || nobody == nil || wrong.Error() != nobody.Error() {
		t.Errorf("%v and %v", wrong, nobody)
	}
}
