package store

import (
	"time"

	"github.com/towpath-cd/towpath"
)

// StoredDelivery is a delivery with what its forge sent.
type StoredDelivery struct {
	towpath.Delivery
	Header map[string][]string // those that say what the body is
	Body   []byte              // as it is stored: compressed by whoever stores it
}

// StoreDelivery keeps a delivery, and says whether it is new: one of the same project and key is the same.
func (tx *Tx) StoreDelivery(d StoredDelivery) (isNew bool, err error) {
	header, err := encode(d.Header)
	if err != nil {
		return false, err
	}
	if d.Body == nil {
		d.Body = []byte{}
	}
	n, err := tx.exec(`
		INSERT INTO deliveries (project, key, event, header, body, size, outcome, reason, replays, arrived_at, settled_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?) ON CONFLICT DO NOTHING`,
		d.Project, d.Key, d.Event, header, d.Body, d.Size, string(d.Outcome), d.Reason, micros(d.ArrivedAt), micros(d.SettledAt))
	return n > 0, err
}

// PendingDeliveries answers deliveries that nobody has read, in the order in which they arrived.
func (tx *Tx) PendingDeliveries(limit int) ([]StoredDelivery, error) {
	var c conditions
	return all(tx, scanStoredDelivery,
		"SELECT "+deliveryColumns+", header, body FROM deliveries WHERE outcome = 'pending' ORDER BY id LIMIT ?", c.limited(limit)...)
}

// SettleDelivery notes what became of a pending delivery. CodeStale says that it was settled before.
func (tx *Tx) SettleDelivery(d towpath.Delivery) error {
	return tx.must(towpath.Errorf(towpath.CodeStale, "delivery %d is settled already", d.ID), `
		UPDATE deliveries SET outcome = ?, reason = ?, settled_at = ? WHERE id = ? AND project = ? AND outcome = 'pending'`,
		string(d.Outcome), d.Reason, micros(d.SettledAt), d.ID, d.Project)
}

// ReplayDelivery has a delivery read again.
func (tx *Tx) ReplayDelivery(project string, id int) error {
	return tx.must(missing("delivery", id), `
		UPDATE deliveries SET outcome = 'pending', reason = '', settled_at = 0, replays = replays + 1
		WHERE project = ? AND id = ? AND outcome NOT IN ('pending', 'refused')`, project, id)
}

// DeliveryFilter says which deliveries are wanted. What is left empty does not matter.
type DeliveryFilter struct {
	Project string // ID
	Before  int    // ID of the last delivery of the page before
	Limit   int    // 0 is a thousand
}

// Deliveries answers deliveries, newest first.
func (tx *Tx) Deliveries(f DeliveryFilter) ([]towpath.Delivery, error) {
	var c conditions
	c.equal("project", f.Project)
	if f.Before > 0 {
		c.add("id < ?", f.Before)
	}
	return all(tx, scanDelivery, "SELECT "+deliveryColumns+" FROM deliveries"+c.where()+" ORDER BY id DESC LIMIT ?", c.limited(f.Limit)...)
}

// Delivery answers one delivery of a project with what was sent.
func (tx *Tx) Delivery(project string, id int) (StoredDelivery, error) {
	return one(tx, missing("delivery", id), scanStoredDelivery,
		"SELECT "+deliveryColumns+", header, body FROM deliveries WHERE project = ? AND id = ?", project, id)
}

// ForgetDeliveries forgets settled deliveries that arrived before that time, at most limit of them, and answers how many.
func (tx *Tx) ForgetDeliveries(before time.Time, limit int) (int, error) {
	return tx.exec(`
		DELETE FROM deliveries WHERE id IN (
			SELECT id FROM deliveries WHERE arrived_at < ? AND outcome <> 'pending' ORDER BY arrived_at LIMIT ?)`, micros(before), limit)
}

const deliveryColumns = "id, project, key, event, size, outcome, reason, replays, arrived_at, settled_at"

// deliveryFields are where the columns go.
func deliveryFields(d *towpath.Delivery, arrived, settled *int64) []any {
	return []any{&d.ID, &d.Project, &d.Key, &d.Event, &d.Size, &d.Outcome, &d.Reason, &d.Replays, arrived, settled}
}

func scanDelivery(r row) (d towpath.Delivery, err error) {
	var arrived, settled int64
	err = r.Scan(deliveryFields(&d, &arrived, &settled)...)
	d.ArrivedAt, d.SettledAt = moment(arrived), moment(settled)
	return d, err
}

func scanStoredDelivery(r row) (d StoredDelivery, err error) {
	var arrived, settled int64
	var header string
	if err := r.Scan(append(deliveryFields(&d.Delivery, &arrived, &settled), &header, &d.Body)...); err != nil {
		return d, err
	}
	d.ArrivedAt, d.SettledAt = moment(arrived), moment(settled)
	d.Header, err = decode[map[string][]string](header)
	return d, err
}
