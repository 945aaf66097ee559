package store

import (
	"strings"
	"time"
)

// Session is a browser that is signed in.
type Session struct {
	Hash      string // of what the browser holds
	Account   string // account's ID
	CreatedAt time.Time
	ExpiresAt time.Time
}

// AddSession keeps a session.
func (tx *Tx) AddSession(s Session) error {
	_, err := tx.exec("INSERT INTO sessions (hash, account, created, expires) VALUES (?, ?, ?, ?)",
		s.Hash, s.Account, micros(s.CreatedAt), micros(s.ExpiresAt))
	return err
}

// Session answers a session that has not expired.
func (tx *Tx) Session(hash string, now time.Time) (Session, error) {
	return one(tx, missing("session", "like this"), scanSession,
		"SELECT hash, account, created, expires FROM sessions WHERE hash = ? AND expires > ?", hash, micros(now))
}

// DeleteSession ends a session. One that is over already is no error.
func (tx *Tx) DeleteSession(hash string) error {
	_, err := tx.exec("DELETE FROM sessions WHERE hash = ?", hash)
	return err
}

// DeleteSessionsOf ends every session of an account.
func (tx *Tx) DeleteSessionsOf(account string) error {
	_, err := tx.exec("DELETE FROM sessions WHERE account = ?", account)
	return err
}

// ForgetExpired forgets sessions, links and registrations that are over.
func (tx *Tx) ForgetExpired(now time.Time) error {
	for _, table := range []string{"sessions", "links", "registrations"} {
		if _, err := tx.exec("DELETE FROM "+table+" WHERE expires <= ?", micros(now)); err != nil {
			return err
		}
	}
	return nil
}

func scanSession(r row) (Session, error) {
	var s Session
	var created, expires int64
	err := r.Scan(&s.Hash, &s.Account, &created, &expires)
	s.CreatedAt, s.ExpiresAt = moment(created), moment(expires)
	return s, err
}

// Token is a key by which a program acts for an account, within a scope.
type Token struct {
	ID          string
	Hash        string // of the token's text
	Name        string // what it is for
	Account     string // account's ID
	Project     string // project's ID; empty is every project of the account
	Permissions []string
	CreatedAt   time.Time
	ExpiresAt   time.Time // zero is never
	UsedAt      time.Time
}

// AddToken keeps a token.
func (tx *Tx) AddToken(t Token) error {
	_, err := tx.exec(`
		INSERT INTO tokens (id, hash, name, account, project, permissions, created, expires, used)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)`, t.ID, t.Hash, t.Name, t.Account, t.Project,
		strings.Join(t.Permissions, " "), micros(t.CreatedAt), micros(t.ExpiresAt))
	return err
}

// TokenByHash answers a token that has not expired.
func (tx *Tx) TokenByHash(hash string, now time.Time) (Token, error) {
	return one(tx, missing("token", "like this"), scanToken,
		selectTokens+" WHERE hash = ? AND (expires = 0 OR expires > ?)", hash, micros(now))
}

// Token answers a token by its ID.
func (tx *Tx) Token(id string) (Token, error) {
	return one(tx, missing("token", id), scanToken, selectTokens+" WHERE id = ?", id)
}

// TokensOf answers the tokens of an account, oldest first.
func (tx *Tx) TokensOf(account string) ([]Token, error) {
	return all(tx, scanToken, selectTokens+" WHERE account = ? ORDER BY created, id", account)
}

// UseToken notes when a token was used.
func (tx *Tx) UseToken(id string, at time.Time) error {
	_, err := tx.exec("UPDATE tokens SET used = ? WHERE id = ? AND used < ?", micros(at), id, micros(at))
	return err
}

// DeleteToken makes a token worthless.
func (tx *Tx) DeleteToken(id string) error {
	return tx.must(missing("token", id), "DELETE FROM tokens WHERE id = ?", id)
}

const selectTokens = "SELECT id, hash, name, account, project, permissions, created, expires, used FROM tokens"

func scanToken(r row) (Token, error) {
	var t Token
	var permissions string
	var created, expires, used int64
	err := r.Scan(&t.ID, &t.Hash, &t.Name, &t.Account, &t.Project, &permissions, &created, &expires, &used)
	t.Permissions = strings.Fields(permissions)
	t.CreatedAt, t.ExpiresAt, t.UsedAt = moment(created), moment(expires), moment(used)
	return t, err
}
