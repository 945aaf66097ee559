package access

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/towpath-cd/towpath/internal/store"
)

// Act is something privileged that was done.
type Act struct {
	Actor  string // Identity.String, or "towpath" for what the server does by itself
	Action string // "deploy", "user.create", …
	Object string // what it was done to: "shop/production"
	Detail string // for people; never a secret
	At     time.Time
}

// Record adds an act to the audit, in the update that performs it: what is rolled back was not done. Each record's hash
// covers the one before it, so that no record can be changed, taken out or put in between without its being seen.
func Record(tx *store.Tx, a Act) error {
	last, err := tx.LastAudit()
	if err != nil {
		return fmt.Errorf("record %s of %s: %w", a.Action, a.Object, err)
	}
	r := store.AuditRecord{
		Seq: last.Seq + 1, At: a.At, Actor: a.Actor, Action: a.Action, Object: a.Object, Detail: a.Detail,
	}
	if r.Hash, err = chain(last.Hash, r); err != nil {
		return err
	}
	return tx.AddAudit(r)
}

// chain is the hash of a record: SHA-256 of the hash before it (as it is stored, hexadecimal) and of the record as a
// JSON array of its number, its time in microseconds, and its four texts.
func chain(before string, r store.AuditRecord) (string, error) {
	text, err := json.Marshal([]any{r.Seq, r.At.UnixMicro(), r.Actor, r.Action, r.Object, r.Detail})
	if err != nil {
		return "", fmt.Errorf("encode an audit record: %w", err)
	}
	sum := sha256.Sum256(append([]byte(before), text...))
	return hex.EncodeToString(sum[:]), nil
}

// BrokenChain says where the audit was tampered with.
type BrokenChain struct {
	Seq int // number of the first record that does not follow from the one before it
}

func (e *BrokenChain) Error() string {
	return fmt.Sprintf("the audit was changed: record %d does not follow from the one before it", e.Seq)
}

// Verify follows the whole chain and answers the last record, whose number and hash can be kept elsewhere to notice
// that records were cut off the end. The error is a *BrokenChain where a record does not follow.
func Verify(tx *store.Tx) (store.AuditRecord, error) {
	var last store.AuditRecord
	for {
		records, err := tx.AuditAfter(last.Seq, 1000)
		if err != nil || len(records) == 0 {
			return last, err
		}
		for _, r := range records {
			hash, err := chain(last.Hash, r)
			if err != nil {
				return last, err
			}
			if r.Seq != last.Seq+1 || r.Hash != hash {
				return last, &BrokenChain{Seq: last.Seq + 1}
			}
			last = r
		}
	}
}
