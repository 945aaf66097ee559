package towpath

import "time"

// DeliveryOutcome is what became of a delivery.
type DeliveryOutcome string

// The outcomes of a delivery; all but the first are final.
const (
	DeliveryPending DeliveryOutcome = "pending" // stored; nobody has read it yet
	DeliveryChange  DeliveryOutcome = "change"  // it told of changes, which have outcomes of their own
	DeliveryKnown   DeliveryOutcome = "known"   // what it tells of was known already, such as by polling
	DeliveryIgnored DeliveryOutcome = "ignored" // it tells of nothing that makes runs: a ping, a deleted branch
	DeliveryRefused DeliveryOutcome = "refused" // its signature is not valid; of its body nothing was kept
	DeliveryFailed  DeliveryOutcome = "failed"  // it cannot be read; the reason says why
)

// DeliveryOutcomes lists every outcome.
var DeliveryOutcomes = []DeliveryOutcome{
	DeliveryPending, DeliveryChange, DeliveryKnown, DeliveryIgnored, DeliveryRefused, DeliveryFailed,
}

// Delivery is one call of a project's webhook, as it arrived.
type Delivery struct {
	ID        int    // rises with every delivery that is stored
	Project   string // project's ID
	Key       string // the forge's own ID of it; where a forge gives none, the digest of its body
	Event     string // what the forge calls the event, such as "push"
	ArrivedAt time.Time
	Size      int // of the body, in bytes
	Outcome   DeliveryOutcome
	Reason    string // for people
	Replays   int    // how often a person had it read again
	SettledAt time.Time
}
