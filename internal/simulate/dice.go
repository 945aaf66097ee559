package simulate

import (
	"math/rand/v2"
	"time"
)

// dice decide all that a seed leaves open. Drawn in the same order they say the same.
type dice struct{ *rand.Rand }

func newDice(seed uint64) dice {
	return dice{rand.New(rand.NewPCG(seed, 0x70a7b))} //nolint:gosec // a story's dice, no secret's
}

// chance is true so often: 0 is never, 1 is always.
func (d dice) chance(often float64) bool { return often > 0 && d.Float64() < often }

// between answers a time from low up to high.
func (d dice) between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(d.Int64N(int64(high-low)))
}

// pick answers one of the choices.
func pick[T any](d dice, choices ...T) T { return choices[d.IntN(len(choices))] }
