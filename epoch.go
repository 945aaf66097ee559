package towpath

import "fmt"

// Epoch numbers the keepers of an environment, one after another. Targets keep the highest they have seen and refuse a
// lower one, and an equal one of another holder: so a keeper that was frozen and wakes up can change nothing.
type Epoch struct {
	Number uint64
	Holder string // worker's ID and a number of its own for each time it takes the environment
}

// Before says whether an order under e is to be refused by a target that has seen other.
func (e Epoch) Before(other Epoch) bool {
	return e.Number < other.Number || e.Number == other.Number && e.Holder != other.Holder
}

// String is for people: "7 (worker-2)".
func (e Epoch) String() string { return fmt.Sprintf("%d (%s)", e.Number, e.Holder) }
