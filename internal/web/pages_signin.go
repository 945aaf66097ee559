package web

import (
	"net"
	"net/http"
	"strings"

	"github.com/a-h/templ"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/web/page"
)

func (s *Server) loginPage(c call[none]) (templ.Component, error) {
	return page.LoginPage(page.Login{
		Frame: s.frame(c.Caller, "", "Sign in"),
		Code:  c.URL.Query().Get("code"), Next: c.URL.Query().Get("next"),
	}), nil
}

// signIn takes a name with its password, or the code of a one-time link. After the latter the person chooses a password.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request, caller access.Caller) {
	if err := readForm(w, r); err != nil {
		s.fail(w, r, err)
		return
	}
	session, next, err := s.sessionFor(r)
	switch {
	case towpath.CodeOf(err) == towpath.CodeInternal && err != nil:
		s.fail(w, r, err)
	case err != nil:
		e := describe(err)
		s.show(w, r, statuses[e.Code], page.LoginPage(page.Login{
			Frame: s.frame(caller, "", "Sign in"), Next: r.PostForm.Get("next"), Problem: e.Message, Hint: e.Hint,
		}))
	default:
		http.SetCookie(w, session.Cookie(s.isSecure()))
		http.Redirect(w, r, next, http.StatusSeeOther)
	}
}

func (s *Server) sessionFor(r *http.Request) (session access.Session, next string, err error) {
	if code := r.PostForm.Get("code"); code != "" {
		session, err = s.Guard.SignInByLink(r.Context(), code)
		return session, "/password", err
	}
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	session, err = s.Guard.SignIn(r.Context(), r.PostForm.Get("name"), r.PostForm.Get("password"), address)
	return session, localPath(r.PostForm.Get("next")), err
}

// localPath answers a path of this server; whatever else was asked for leads to the first page.
func localPath(asked string) string {
	if !strings.HasPrefix(asked, "/") || strings.HasPrefix(asked, "//") || strings.ContainsAny(asked, "\\\r\n\t") {
		return "/"
	}
	return asked
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request, caller access.Caller) {
	if err := s.rightsChanged(s.Guard.SignOut(r.Context(), caller)); err != nil {
		s.fail(w, r, err)
		return
	}
	http.SetCookie(w, access.NoCookie())
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

func (s *Server) passwordPage(c call[none]) (templ.Component, error) {
	return page.PasswordPage(page.Password{Frame: s.frame(c.Caller, "/password", "Password")}), nil
}

func (s *Server) changePassword(w http.ResponseWriter, r *http.Request, caller access.Caller) {
	err := readForm(w, r)
	if err == nil {
		err = s.newPassword(r, caller)
	}
	if err == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	e := describe(err)
	if e.Code == towpath.CodeInternal {
		s.fail(w, r, err)
		return
	}
	s.show(w, r, statuses[e.Code], page.PasswordPage(page.Password{
		Frame: s.frame(caller, "/password", "Password"), Problem: e.Message, Hint: e.Hint,
	}))
}

func (s *Server) newPassword(r *http.Request, caller access.Caller) error {
	password := r.PostForm.Get("password")
	if password != r.PostForm.Get("again") {
		return towpath.Errorf(towpath.CodeInvalid, "the two new passwords are not the same")
	}
	return s.rightsChanged(s.Guard.SetPassword(r.Context(), caller, r.PostForm.Get("present"), password))
}
