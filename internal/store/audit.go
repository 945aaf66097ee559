package store

import "time"

// AuditRecord is one privileged act. Its hash covers it and the record before it (package access).
type AuditRecord struct {
	Seq    int // counts from 1, without gaps
	At     time.Time
	Actor  string
	Action string
	Object string
	Detail string
	Hash   string // hexadecimal
}

// LastAudit answers the record that was added last; the zero value where there is none.
func (tx *Tx) LastAudit() (AuditRecord, error) {
	return one(tx, nil, scanAudit, selectAudit+" ORDER BY seq DESC LIMIT 1")
}

// AddAudit adds a record. Its number has to be the next.
func (tx *Tx) AddAudit(a AuditRecord) error {
	return tx.must(ErrConflict, `
		INSERT INTO audit (seq, at, actor, action, object, detail, hash) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`, a.Seq, micros(a.At), a.Actor, a.Action, a.Object, a.Detail, a.Hash)
}

// AuditAfter answers records in the order in which they were added, from the one behind seq on.
func (tx *Tx) AuditAfter(seq, limit int) ([]AuditRecord, error) {
	var c conditions
	c.add("seq > ?", seq)
	return all(tx, scanAudit, selectAudit+c.where()+" ORDER BY seq LIMIT ?", c.limited(limit)...)
}

// AuditBefore answers records, newest first, from the one before seq on; 0 begins with the newest.
func (tx *Tx) AuditBefore(seq, limit int) ([]AuditRecord, error) {
	var c conditions
	if seq > 0 {
		c.add("seq < ?", seq)
	}
	return all(tx, scanAudit, selectAudit+c.where()+" ORDER BY seq DESC LIMIT ?", c.limited(limit)...)
}

const selectAudit = "SELECT seq, at, actor, action, object, detail, hash FROM audit"

func scanAudit(r row) (AuditRecord, error) {
	var a AuditRecord
	var at int64
	err := r.Scan(&a.Seq, &at, &a.Actor, &a.Action, &a.Object, &a.Detail, &a.Hash)
	a.At = moment(at)
	return a, err
}
