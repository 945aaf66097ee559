package store

// Setting answers a setting of the server; empty where it was never set.
func (tx *Tx) Setting(name string) (string, error) {
	return one(tx, nil, text, "SELECT value FROM settings WHERE name = ?", name)
}

// PutSetting sets a setting of the server.
func (tx *Tx) PutSetting(name, value string) error {
	_, err := tx.exec(`
		INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
		name, value)
	return err
}
