package store

import (
	"context"
	"fmt"
)

// LimitPages makes the database behave as on a full disk once it has that many pages of 4 KiB.
func (s *Store) LimitPages(n int) error {
	return s.Update(context.Background(), func(tx *Tx) error {
		_, err := tx.db.ExecContext(tx.ctx, fmt.Sprintf("PRAGMA max_page_count = %d", n))
		return err
	})
}
