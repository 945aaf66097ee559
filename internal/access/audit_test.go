package access_test

import (
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/store"
)

// withAudit records five acts.
func withAudit(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	for i := range 5 {
		h.update(func(tx *store.Tx) error {
			return access.Record(tx, access.Act{Actor: "ada", Action: "deploy", Object: fmt.Sprintf("shop/%d", i), At: h.now})
		})
	}
	return h
}

func (h *house) verify() (last store.AuditRecord, err error) {
	h.Helper()
	_ = h.store.View(h.Context(), func(tx *store.Tx) error {
		last, err = access.Verify(tx)
		return nil
	})
	return last, err
}

func TestAnUntouchedAuditIsWhole(t *testing.T) {
	h := withAudit(t)
	if last, err := h.verify(); err != nil || last.Seq != 5 {
		t.Errorf("the last record is %d, %v", last.Seq, err)
	}
}

func TestTamperingWithTheAuditIsNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		change string
		broken int
	}{
		"another actor":    {"UPDATE audit SET actor = 'bob' WHERE seq = 3", 3},
		"another time":     {"UPDATE audit SET at = at + 1 WHERE seq = 2", 2},
		"moved text":       {"UPDATE audit SET actor = 'ad', action = 'adeploy' WHERE seq = 4", 4},
		"taken out":        {"DELETE FROM audit WHERE seq = 3", 3},
		"taken out, moved": {"DELETE FROM audit WHERE seq = 3; UPDATE audit SET seq = seq - 1 WHERE seq > 3", 3},
		"swapped":          {"UPDATE audit SET object = CASE seq WHEN 2 THEN 'shop/2' ELSE 'shop/1' END WHERE seq IN (2, 3)", 2},
		"first taken out":  {"DELETE FROM audit WHERE seq = 1", 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := withAudit(t)
			db, err := sql.Open("sqlite", h.path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.ExecContext(t.Context(), c.change); err != nil {
				t.Fatal(err)
			}
			_, err = h.verify()
			broken, ok := errors.AsType[*access.BrokenChain](err)
			if !ok || broken.Seq != c.broken {
				t.Errorf("the audit says %v", err)
			}
		})
	}
}

func TestAnActThatIsUndoneIsNotRecorded(t *testing.T) {
	h := newHouse(t)
	_ = h.store.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(access.Record(tx, access.Act{Actor: "ada", Action: "deploy", At: h.now}), errors.New("no"))
	})
	if last, err := h.verify(); last.Seq != 0 || err != nil {
		t.Errorf("the audit has %+v, %v", last, err)
	}
}
