package trigger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/forge"
	"github.com/towpath-cd/towpath/internal/store"
)

// MaxDelivery is the size of the largest body that a webhook may bring, in bytes: GitHub sends no larger one.
const MaxDelivery = 25 << 20

// longestKey is how many bytes of a forge's own ID of a delivery are taken as they are.
const longestKey = 128

// refusalsEvery is how often a project's refused deliveries are written down: whoever knows no secret shall not fill the
// disk. What came meanwhile is counted.
const refusalsEvery = time.Second

// Inbox takes the deliveries of webhooks in, and reads them. It is safe for concurrent use.
type Inbox struct {
	store  *store.Store
	kinds  map[towpath.ForgeKind]forge.Hooks
	clock  func() time.Time
	newID  func() string
	pack   *zstd.Encoder
	unpack *zstd.Decoder

	mutex    sync.Mutex
	refusals map[string]refusals // by project's ID
}

// refusals is what was refused lately and is not written down yet.
type refusals struct {
	noted   time.Time
	unnoted int
}

// InboxOptions are what an inbox is made of.
type InboxOptions struct {
	Store *store.Store
	Kinds map[towpath.ForgeKind]forge.Hooks
	Clock func() time.Time
	NewID func() string // unique for ever
}

// NewInbox makes an inbox.
func NewInbox(o InboxOptions) *Inbox {
	pack, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		panic("trigger: " + err.Error()) // only of an option that does not fit
	}
	unpack, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(2*MaxDelivery), zstd.WithDecoderConcurrency(1))
	if err != nil {
		panic("trigger: " + err.Error())
	}
	return &Inbox{
		store: o.Store, kinds: o.Kinds, clock: o.Clock, newID: o.NewID,
		pack: pack, unpack: unpack, refusals: map[string]refusals{},
	}
}

// Take stores a delivery of a project, if it was signed with one of the secrets. When it returns, the delivery is on the
// disk; isNew says that it was not there before. Nothing is parsed before the signature is right. CodeUnauthorized says that
// it is not, which is written down as well.
func (i *Inbox) Take(ctx context.Context, p towpath.Project, header http.Header, body []byte, secrets []string) (isNew bool, err error) {
	hooks, is := i.kinds[p.Forge.Kind]
	if !is {
		return false, fmt.Errorf("take a delivery of %s: nobody knows the webhooks of %q", p.Name, p.Forge.Kind)
	}
	id, event := hooks.Identify(header)
	d := store.StoredDelivery{Delivery: towpath.Delivery{
		Project: p.ID, Key: keyOf(id, body), Event: clip(event), ArrivedAt: i.clock(), Size: len(body), Outcome: towpath.DeliveryPending,
	}}
	if why := verify(hooks, header, body, secrets); why != nil {
		return false, i.refuse(ctx, d, why)
	}
	d.Header, d.Body = telling(header), i.pack.EncodeAll(body, nil)
	err = i.store.Update(ctx, func(tx *store.Tx) error {
		isNew, err = tx.StoreDelivery(d)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("store a delivery: %w", err)
	}
	return isNew, nil
}

var errNoSecret = errors.New("the project's webhook has no secret yet, so nothing can be signed with it")

func verify(hooks forge.Hooks, header http.Header, body []byte, secrets []string) error {
	if len(secrets) == 0 {
		return errNoSecret
	}
	return hooks.Verify(header, body, secrets)
}

// refuse writes down that a delivery was refused, at most once in a while, and answers the refusal. Whether it could be
// written down changes nothing about that.
func (i *Inbox) refuse(ctx context.Context, d store.StoredDelivery, why error) error {
	if unnoted, due := i.isToNote(d.Project, d.ArrivedAt); due {
		d.Key, d.Outcome, d.Reason, d.SettledAt = "refused:"+i.newID(), towpath.DeliveryRefused, why.Error(), d.ArrivedAt
		if unnoted > 0 {
			d.Reason += fmt.Sprintf("; %d more were refused before it", unnoted)
		}
		err := i.store.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.StoreDelivery(d)
			return err
		})
		if err != nil && !errors.Is(err, store.ErrUnwritable) {
			return fmt.Errorf("write a refused delivery down: %w", err)
		}
	}
	return Unsigned()
}

// Unsigned is what whoever knows no secret is told: not even whether there is such a project.
func Unsigned() error {
	return towpath.Errorf(towpath.CodeUnauthorized, "there is no such webhook, or the delivery was not signed with its secret").
		WithHint("towpath project webhook PROJECT says what to paste where")
}

// isToNote says whether a refusal is written down, and how many came since the last that was.
func (i *Inbox) isToNote(project string, now time.Time) (unnoted int, due bool) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	r := i.refusals[project]
	if since := now.Sub(r.noted); since < refusalsEvery && since > -refusalsEvery {
		r.unnoted++
		i.refusals[project] = r
		return 0, false
	}
	i.refusals[project] = refusals{noted: now}
	return r.unnoted, true
}

// keyOf names a delivery: a repeated one has the same name.
func keyOf(id string, body []byte) string {
	switch {
	case id == "":
		return "body:" + digest(body)
	case len(id) > longestKey:
		return "id:" + digest([]byte(id))
	}
	return "id:" + id
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// clip shortens what somebody outside calls an event.
func clip(event string) string { return strings.ToValidUTF8(event[:min(len(event), 64)], "") }

// telling are the headers that say what a body is. Those that hold a secret or a signature are not among them.
func telling(header http.Header) http.Header {
	kept := http.Header{}
	for name, values := range header {
		if name == "Content-Type" || strings.Contains(name, "-Event") {
			kept[name] = values
		}
	}
	return kept
}

// Body answers what a delivery brought.
func (i *Inbox) Body(d store.StoredDelivery) ([]byte, error) {
	body, err := i.unpack.DecodeAll(d.Body, nil)
	if err != nil {
		return nil, fmt.Errorf("unpack delivery %d: %w", d.ID, err)
	}
	return body, nil
}
