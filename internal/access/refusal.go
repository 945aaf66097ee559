package access

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/towpath-cd/towpath/internal/store"
)

// refusalsNoted is how often it is recorded at most that a worker asked for what is not its own.
const refusalsNoted = time.Minute

// refusals are when workers were last recorded as refused.
type refusals struct {
	mu sync.Mutex
	at map[string]time.Time
}

// isDue says that the next refusal of a worker is to be recorded, and takes it as done.
func (r *refusals) isDue(worker string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, known := r.at[worker]; known && now.Sub(last) < refusalsNoted && !now.Before(last) {
		return false
	}
	if r.at == nil {
		r.at = map[string]time.Time{}
	}
	r.at[worker] = now
	return true
}

// RefusedWorker records that a worker asked for what no lease of it allows: object is what it asked for, why the reason that
// it was given. Of many refusals in a minute the first is recorded. Where nothing can be written it is refused all the same.
func (g *Guard) RefusedWorker(ctx context.Context, i Identity, object, why string) error {
	now := g.now()
	if i.Worker == "" || !g.refusals.isDue(i.Worker, now) {
		return nil
	}
	err := g.store.Update(ctx, func(tx *store.Tx) error {
		return Record(tx, Act{Actor: "worker " + i.Name, Action: "worker.refused", Object: object, Detail: why, At: now})
	})
	if errors.Is(err, store.ErrUnwritable) {
		return nil
	}
	return err
}
