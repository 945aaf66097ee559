package access

import (
	"context"
	"errors"
	"fmt"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// Ring seals by a newest key, and opens by older ones as well.
type Ring interface {
	Sealer
	IsCurrent(sealed []byte) bool
	Rotate() error
	Forget() (dropped int, err error)
}

// Rotation is what became of the keys that values rest under.
type Rotation struct {
	Resealed  int // values that rest under the newest key now
	Forgotten int // older keys that are gone
}

// RotateKey makes a new key and seals every value again with it. One that was interrupted is finished by Reseal, or by
// the next. With forget, the older keys go once nothing rests under them: a backup that was made before opens with a copy of
// the key file only.
func (s *Secrets) RotateKey(ctx context.Context, db *store.Store, ring Ring, forget bool) (done Rotation, err error) {
	if err := ring.Rotate(); err != nil {
		return done, err
	}
	if done.Resealed, err = s.Reseal(ctx, db, ring); err != nil {
		return done, err
	}
	if forget {
		done.Forgotten, err = ring.Forget()
	}
	return done, err
}

// Reseal seals what rests under an older key again with the newest, a project in a commit, and answers how many values that
// were. A value that no key opens is an error, after all others: it is left as it is.
func (s *Secrets) Reseal(ctx context.Context, db *store.Store, ring Ring) (resealed int, err error) {
	var projects []towpath.Project
	err = db.View(ctx, func(tx *store.Tx) error {
		projects, err = tx.Projects()
		return err
	})
	var unread []error
	for _, p := range projects {
		if err != nil {
			break
		}
		err = db.Update(ctx, func(tx *store.Tx) error {
			n, closed, err := s.resealProject(tx, ring, p)
			if err == nil {
				resealed, unread = resealed+n, append(unread, closed...)
			}
			return err
		})
	}
	return resealed, errors.Join(append(unread, err)...)
}

func (s *Secrets) resealProject(tx *store.Tx, ring Ring, p towpath.Project) (resealed int, unread []error, err error) {
	reseal := func(row, name string, sealed []byte, put func([]byte) error) error {
		if ring.IsCurrent(sealed) {
			return nil
		}
		value, err := ring.Open(row, sealed)
		if err != nil {
			unread = append(unread, fmt.Errorf("%s of %s: %w", name, p.Name, err))
			return nil
		}
		again, err := ring.Seal(row, value)
		if err == nil {
			resealed++
			err = put(again)
		}
		return err
	}
	secrets, err := tx.Secrets(p.ID)
	for _, k := range secrets {
		err = errors.Join(err, reseal(secretRow(p.ID, k.Name), "secret "+k.Name, k.Sealed, func(again []byte) error {
			k.Sealed = again
			return tx.PutSecret(k)
		}))
	}
	if err != nil {
		return 0, nil, err
	}
	credentials, err := tx.Credentials(p.ID)
	for _, k := range credentials {
		err = errors.Join(err, reseal(credentialRow(p.ID, k.Name), "credential "+k.Name, k.Sealed, func(again []byte) error {
			k.Sealed = again
			return tx.PutCredential(k)
		}))
	}
	return resealed, unread, err
}
