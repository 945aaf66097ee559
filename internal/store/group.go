package store

import "time"

// CreateGroup adds a group of accounts. It answers ErrExists where the name is taken.
func (tx *Tx) CreateGroup(name string, at time.Time) error {
	return tx.must(taken("group", name),
		"INSERT INTO groups (name, created) VALUES (?, ?) ON CONFLICT DO NOTHING", name, micros(at))
}

// Groups answers the names of all groups.
func (tx *Tx) Groups() ([]string, error) {
	return all(tx, text, "SELECT name FROM groups ORDER BY name")
}

// DeleteGroup forgets a group with its roles.
func (tx *Tx) DeleteGroup(name string) error {
	if err := tx.DeleteGrantsOf("", name); err != nil {
		return err
	}
	return tx.must(missing("group", name), "DELETE FROM groups WHERE name = ?", name)
}

// AddMember puts an account, by its ID, into a group. Doing so twice is no error.
func (tx *Tx) AddMember(group, account string) error {
	if _, err := one(tx, missing("group", group), text, "SELECT name FROM groups WHERE name = ?", group); err != nil {
		return err
	}
	_, err := tx.exec("INSERT INTO memberships (group_name, account) VALUES (?, ?) ON CONFLICT DO NOTHING", group, account)
	return err
}

// RemoveMember takes an account, by its ID, out of a group.
func (tx *Tx) RemoveMember(group, account string) error {
	_, err := tx.exec("DELETE FROM memberships WHERE group_name = ? AND account = ?", group, account)
	return err
}

// Members answers the accounts of a group, by name.
func (tx *Tx) Members(group string) ([]Account, error) {
	return all(tx, scanAccount, selectAccounts+
		" WHERE id IN (SELECT account FROM memberships WHERE group_name = ?) ORDER BY name", group)
}

// GroupsOf answers the groups that an account is in.
func (tx *Tx) GroupsOf(account string) ([]string, error) {
	return all(tx, text, "SELECT group_name FROM memberships WHERE account = ? ORDER BY group_name", account)
}

// AllProjects is the project of a grant that holds in every project.
const AllProjects = "*"

// Grant is a role that an account or a group has in a project.
type Grant struct {
	Project string // project's ID, or AllProjects
	Account string // account's ID; empty where it is a group's
	Group   string // group's name; empty where it is an account's
	Role    string
}

// SaveGrant gives a role in a project; the one that the account or group had there before is replaced.
func (tx *Tx) SaveGrant(g Grant) error {
	_, err := tx.exec(`
		INSERT INTO roles (project, account, group_name, role) VALUES (?, ?, ?, ?)
		ON CONFLICT (project, account, group_name) DO UPDATE SET role = excluded.role`,
		g.Project, g.Account, g.Group, g.Role)
	return err
}

// DeleteGrantsOf takes back every role that was given to an account by itself (group is empty), or to a group.
func (tx *Tx) DeleteGrantsOf(account, group string) error {
	_, err := tx.exec("DELETE FROM roles WHERE account = ? AND group_name = ?", account, group)
	return err
}

// Grants answers every role that was given, of accounts and of groups, by project.
func (tx *Tx) Grants() ([]Grant, error) {
	return all(tx, scanGrant, selectGrants+" ORDER BY project, group_name, account")
}

// GrantsOf answers the roles that an account has in any project, by itself or through a group.
func (tx *Tx) GrantsOf(account string) ([]Grant, error) {
	return all(tx, scanGrant, selectGrants+`
		WHERE account = ? OR group_name IN (SELECT group_name FROM memberships WHERE account = ?)
		ORDER BY project, group_name`, account, account)
}

const selectGrants = "SELECT project, account, group_name, role FROM roles"

func scanGrant(r row) (Grant, error) {
	var g Grant
	return g, r.Scan(&g.Project, &g.Account, &g.Group, &g.Role)
}
