package store

import "time"

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

// DeleteSessions ends every session.
func (tx *Tx) DeleteSessions() error {
	_, err := tx.exec("DELETE FROM sessions")
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

// DeleteOtherSessions ends every session of an account but one.
func (tx *Tx) DeleteOtherSessions(account, hash string) error {
	_, err := tx.exec("DELETE FROM sessions WHERE account = ? AND hash <> ?", account, hash)
	return err
}

// HasSession says whether an account has any session, also one that has expired but was not forgotten yet.
func (tx *Tx) HasSession(account string) (bool, error) {
	n, err := one(tx, nil, number, "SELECT COUNT(*) FROM sessions WHERE account = ?", account)
	return n > 0, err
}
