package store

import (
	"time"

	"github.com/towpath-cd/towpath"
)

// Account is a person or a program that may sign in.
type Account struct {
	ID            string
	Name          string // unique
	Email         string // may be empty; also how a change's author is known
	Password      string // its hash, with its settings; empty is none: by link or token only
	Administrator bool
	Disabled      bool // nothing of it works any more
	CreatedAt     time.Time
}

// CreateAccount adds an account. It answers ErrExists where the name is taken.
func (tx *Tx) CreateAccount(a Account) error {
	return tx.must(taken("account", a.Name), `
		INSERT INTO accounts (id, name, email, password, administrator, disabled, created) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`,
		a.ID, a.Name, a.Email, a.Password, bit(a.Administrator), bit(a.Disabled), micros(a.CreatedAt))
}

// Account answers an account by its ID.
func (tx *Tx) Account(id string) (Account, error) {
	return one(tx, missing("account", id), scanAccount, selectAccounts+" WHERE id = ?", id)
}

// AccountByName answers an account by its name.
func (tx *Tx) AccountByName(name string) (Account, error) {
	return one(tx, missing("account", name), scanAccount, selectAccounts+" WHERE name = ?", name)
}

// Accounts answers every account, by name.
func (tx *Tx) Accounts() ([]Account, error) {
	return all(tx, scanAccount, selectAccounts+" ORDER BY name")
}

// SaveAccount stores an account; its ID, its name and when it was created stay.
func (tx *Tx) SaveAccount(a Account) error {
	return tx.must(missing("account", a.Name),
		"UPDATE accounts SET email = ?, password = ?, administrator = ?, disabled = ? WHERE id = ?",
		a.Email, a.Password, bit(a.Administrator), bit(a.Disabled), a.ID)
}

// DeleteAccount forgets an account with its sessions, tokens, memberships and roles.
func (tx *Tx) DeleteAccount(id string) error {
	if err := tx.DeleteGrantsOf(id, ""); err != nil {
		return err
	}
	return tx.must(missing("account", id), "DELETE FROM accounts WHERE id = ?", id)
}

// AddLink keeps the hash of a one-time link of an account.
func (tx *Tx) AddLink(hash, account string, expires time.Time) error {
	_, err := tx.exec("INSERT INTO links (hash, account, expires) VALUES (?, ?, ?)", hash, account, micros(expires))
	return err
}

// UseLink takes a one-time link and answers the ID of its account. CodeUnauthorized says that there is none, or that it
// has expired.
func (tx *Tx) UseLink(hash string, now time.Time) (account string, err error) {
	return one(tx, towpath.Errorf(towpath.CodeUnauthorized, "the link is used, expired or wrong").
		WithHint("ask an administrator for a new one"), text,
		"DELETE FROM links WHERE hash = ? AND expires > ? RETURNING account", hash, micros(now))
}

// ForgetLinks makes every link of an account worthless.
func (tx *Tx) ForgetLinks(account string) error {
	_, err := tx.exec("DELETE FROM links WHERE account = ?", account)
	return err
}

const selectAccounts = "SELECT id, name, email, password, administrator, disabled, created FROM accounts"

func scanAccount(r row) (Account, error) {
	var a Account
	var administrator, disabled int
	var created int64
	err := r.Scan(&a.ID, &a.Name, &a.Email, &a.Password, &administrator, &disabled, &created)
	a.Administrator, a.Disabled, a.CreatedAt = administrator != 0, disabled != 0, moment(created)
	return a, err
}
