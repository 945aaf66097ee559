package pipeline

import (
	"slices"

	"github.com/towpath-cd/towpath"
)

// What scripts may say that they can.
const (
	canWeights  = "weights"
	canSessions = "sessions"
	canFencing  = "fencing"
)

func commandShape() *shape {
	return mapping(
		field{key: "observe", doc: "script that prints who the members are, as JSON", required: true, shape: text(nil)},
		field{key: "shift", doc: "script that gives the members their shares", required: true, shape: text(nil)},
		field{key: "drain", doc: "script that waits until nothing is in flight", shape: text(nil)},
		field{key: "can", doc: "what the scripts are able to do: weights between none and all, sessions that are counted, fencing of stale epochs", shape: list(words(canWeights, canSessions, canFencing))},
	)
}

func commandBalancer(v *value) *towpath.CommandBalancer {
	can := v.get("can").texts()
	return &towpath.CommandBalancer{
		Observe: v.get("observe").string(), Shift: v.get("shift").string(), Drain: v.get("drain").string(),
		Weights: slices.Contains(can, canWeights), Sessions: slices.Contains(can, canSessions), Fencing: slices.Contains(can, canFencing),
	}
}

// command writes them as a file has them.
func (w *writer) command(c *towpath.CommandBalancer) {
	w.put(4, "observe", c.Observe)
	w.put(4, "shift", c.Shift)
	w.put(4, "drain", c.Drain)
	var can []string
	for _, ability := range []struct {
		word string
		is   bool
	}{{canWeights, c.Weights}, {canSessions, c.Sessions}, {canFencing, c.Fencing}} {
		if ability.is {
			can = append(can, ability.word)
		}
	}
	w.put(4, "can", can)
}
