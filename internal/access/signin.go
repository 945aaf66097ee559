package access

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// SessionCookie is the name of the cookie that a signed-in browser holds.
const SessionCookie = "towpath_session"

// How long a session and a one-time link are valid.
const (
	SessionLife = 14 * 24 * time.Hour
	LinkLife    = 24 * time.Hour
)

// Session is a browser's right to act for an account.
type Session struct {
	Account string // account's ID
	Secret  string // what the cookie holds
	Expires time.Time
}

// Cookie is the session as the browser keeps it: out of reach of scripts, and not sent by other sites' forms. secure
// says that the server is reached by HTTPS.
func (s Session) Cookie(secure bool) *http.Cookie {
	return &http.Cookie{
		Name: SessionCookie, Value: s.Secret, Path: "/", Expires: s.Expires,
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
	}
}

// NoCookie makes the browser forget its session.
func NoCookie() *http.Cookie {
	return &http.Cookie{Name: SessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// SignIn makes a session by name and password. address is the browser's, without its port. The session is always a new
// one, so that nobody can hand another person a session that they know. Whatever is wrong, the answer is the same, and
// takes as long.
func (g *Guard) SignIn(ctx context.Context, name, password, address string) (Session, error) {
	if err := g.attempts.begin(name, address, g.now()); err != nil {
		return Session{}, err
	}
	a, err := g.accountFor(ctx, name)
	if err != nil {
		return Session{}, err
	}
	hashed := a.Password
	if hashed == "" || a.Disabled {
		hashed = g.hasher.dummy()
	}
	if matches := len(password) <= MaxPassword && g.hasher.matches(password, hashed); !matches || hashed != a.Password {
		return Session{}, refused("the name or the password", "ask an administrator for a one-time link if it is lost")
	}
	g.attempts.succeed(name, address)
	return g.newSession(ctx, a.ID, nil)
}

// accountFor answers the zero account where there is none.
func (g *Guard) accountFor(ctx context.Context, name string) (store.Account, error) {
	var a store.Account
	err := g.store.View(ctx, func(tx *store.Tx) (err error) {
		a, err = tx.AccountByName(name)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return store.Account{}, nil
	}
	return a, err
}

// SignInByLink makes a session by a one-time link, and takes the account's password away, so that a new one can be set
// without it.
func (g *Guard) SignInByLink(ctx context.Context, code string) (Session, error) {
	var id string
	return g.newSession(ctx, "", func(tx *store.Tx) (string, error) {
		a, err := g.useLink(tx, code)
		if err != nil {
			return "", err
		}
		id, a.Password = a.ID, ""
		return id, tx.SaveAccount(a)
	})
}

// useLink answers the account of a link, which is worth nothing from then on.
func (g *Guard) useLink(tx *store.Tx, code string) (store.Account, error) {
	id, err := tx.UseLink(fingerprint(code), g.now())
	if err != nil {
		return store.Account{}, err
	}
	a, err := tx.Account(id)
	if err == nil && a.Disabled {
		return a, refused("the account", "it was disabled; ask an administrator")
	}
	return a, err
}

// newSession keeps a new session of the account, or of the one that first answers.
func (g *Guard) newSession(ctx context.Context, id string, first func(*store.Tx) (string, error)) (Session, error) {
	s := Session{Account: id, Secret: newCredential(sessionPrefix), Expires: g.now().Add(SessionLife)}
	err := g.store.Update(ctx, func(tx *store.Tx) (err error) {
		if first != nil {
			if s.Account, err = first(tx); err != nil {
				return err
			}
		}
		return tx.AddSession(store.Session{
			Hash: fingerprint(s.Secret), Account: s.Account, CreatedAt: g.now(), ExpiresAt: s.Expires,
		})
	})
	if err != nil {
		return Session{}, err
	}
	return s, nil
}

// session identifies a browser.
func (g *Guard) session(tx *store.Tx, secret string) (Identity, error) {
	print := fingerprint(secret)
	s, err := tx.Session(print, g.now())
	if err != nil {
		return Identity{}, unknown(err, "the session", "sign in again")
	}
	i, err := account(tx, s.Account)
	i.proof = print
	return i, err
}

// SignOut ends the session that a caller came by, or makes the token worthless that they came by.
func (g *Guard) SignOut(ctx context.Context, c Caller) error {
	return g.store.Update(ctx, func(tx *store.Tx) error {
		if c.token != "" {
			return tx.DeleteToken(c.Account, c.token)
		}
		return tx.DeleteSession(c.proof)
	})
}

// SetPassword changes the caller's own password, and ends their other sessions and links. The present one is needed
// where there is one. Only a browser's session may do it.
func (g *Guard) SetPassword(ctx context.Context, c Caller, present, password string) error {
	if c.Account == "" || c.token != "" {
		return towpath.Errorf(towpath.CodeForbidden, "a password is changed by a person who is signed in").
			WithHint("sign in on the page first")
	}
	if err := checkPassword(password); err != nil {
		return err
	}
	a, err := g.accountFor(ctx, c.Name)
	if err != nil {
		return err
	}
	if a.Password != "" && !g.hasher.matches(present, a.Password) {
		return refused("the present password", "ask an administrator for a one-time link if it is lost")
	}
	hashed := g.hasher.hash(password) // outside the update, because it is slow on purpose
	return g.store.Update(ctx, func(tx *store.Tx) error { return g.savePassword(tx, c, hashed) })
}

func (g *Guard) savePassword(tx *store.Tx, c Caller, hashed string) error {
	a, err := tx.Account(c.Account)
	if err != nil {
		return err
	}
	a.Password = hashed
	return errors.Join(
		tx.SaveAccount(a), tx.ForgetLinks(a.ID), tx.DeleteOtherSessions(a.ID, c.proof),
		Record(tx, Act{Actor: c.String(), Action: "password.set", Object: a.Name, At: g.now()}))
}
