package access

import (
	"context"
	"errors"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// RegistrationLife is how long a one-time token for a new worker is valid.
const RegistrationLife = time.Hour

// NewRegistration makes a one-time token by which a worker registers. by is who asked for it.
func (g *Guard) NewRegistration(ctx context.Context, by string) (token string, expires time.Time, err error) {
	token, expires = newCredential(registrationPrefix), g.now().Add(RegistrationLife)
	err = g.store.Update(ctx, func(tx *store.Tx) error {
		return errors.Join(tx.AddRegistration(fingerprint(token), by, expires),
			Record(tx, Act{Actor: by, Action: "worker.invite", At: g.now()}))
	})
	return token, expires, err
}

// RegisterWorker takes a one-time token and answers the worker's key, which is told once. A worker that is known by its
// ID gets a new key, and its old one is worth nothing any more.
func (g *Guard) RegisterWorker(ctx context.Context, token string, w towpath.Worker) (key string, err error) {
	if w.ID == "" || !names.MatchString(w.Name) {
		return "", towpath.Errorf(towpath.CodeInvalid, "%q cannot be a worker's name", w.Name).
			WithHint("use a to z, 0 to 9, dots, dashes and underscores, up to 63 of them")
	}
	key = newCredential(workerPrefix)
	return key, g.store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.UseRegistration(fingerprint(token), g.now()); err != nil {
			return err
		}
		if err := tx.RegisterWorker(w, fingerprint(key)); err != nil {
			return err
		}
		return Record(tx, Act{
			Actor: "worker " + w.Name, Action: "worker.register", Object: w.Name, Detail: w.Platform(), At: g.now(),
		})
	})
}
