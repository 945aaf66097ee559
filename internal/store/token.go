package store

import (
	"strings"
	"time"
)

// Token is a key by which a program acts for an account, within a scope.
type Token struct {
	Account     string // account's ID
	Name        string // what it is for; unique in its account
	Hash        string // of the token's text
	Project     string // project's ID; empty is every project of the account
	Permissions []string
	CreatedAt   time.Time
	ExpiresAt   time.Time // zero is never
	UsedAt      time.Time
}

// AddToken keeps a token. It answers ErrExists where the account has one of this name.
func (tx *Tx) AddToken(t Token) error {
	return tx.must(taken("token", t.Name), `
		INSERT INTO tokens (account, name, hash, project, permissions, created, expires, used)
		VALUES (?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING`, t.Account, t.Name, t.Hash, t.Project,
		strings.Join(t.Permissions, " "), micros(t.CreatedAt), micros(t.ExpiresAt))
}

// Token answers a token that has not expired, by its hash.
func (tx *Tx) Token(hash string, now time.Time) (Token, error) {
	return one(tx, missing("token", "like this"), scanToken,
		selectTokens+" WHERE hash = ? AND (expires = 0 OR expires > ?)", hash, micros(now))
}

// TokensOf answers the tokens of an account, oldest first.
func (tx *Tx) TokensOf(account string) ([]Token, error) {
	return all(tx, scanToken, selectTokens+" WHERE account = ? ORDER BY created, name", account)
}

// UseToken notes when a token was used.
func (tx *Tx) UseToken(hash string, at time.Time) error {
	_, err := tx.exec("UPDATE tokens SET used = ? WHERE hash = ? AND used < ?", micros(at), hash, micros(at))
	return err
}

// DeleteToken makes a token worthless.
func (tx *Tx) DeleteToken(account, name string) error {
	return tx.must(missing("token", name), "DELETE FROM tokens WHERE account = ? AND name = ?", account, name)
}

const selectTokens = "SELECT account, name, hash, project, permissions, created, expires, used FROM tokens"

func scanToken(r row) (Token, error) {
	var t Token
	var permissions string
	var created, expires, used int64
	err := r.Scan(&t.Account, &t.Name, &t.Hash, &t.Project, &permissions, &created, &expires, &used)
	t.Permissions = strings.Fields(permissions)
	t.CreatedAt, t.ExpiresAt, t.UsedAt = moment(created), moment(expires), moment(used)
	return t, err
}
