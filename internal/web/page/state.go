package page

import "github.com/towpath-cd/towpath/client"

// State is how something stands, as people see it: a mark and a word, so that the colour carries no meaning alone.
type State struct {
	Mark string
	Word string
	Kind string // good, bad, busy, waits or quiet: the class in the style sheet
}

// The kinds of states.
const (
	good  = "good"
	bad   = "bad"
	busy  = "busy"
	waits = "waits"
	quiet = "quiet"
)

var marks = map[string]string{good: "✓", bad: "✗", busy: "●", waits: "◌", quiet: "–"}

var kinds = map[string]string{
	"passed": good, "run": good, "change": good, "live": good, "approved": good, "passing": good,
	"failed": bad, "halted": bad, "rejected": bad, "refused": bad, "failing": bad, "expired": bad, "gone": bad, "ailing": bad,
	"running": busy, "deploying": busy, "returning": busy,
	"pending": waits, "queued": waits, "waiting": waits, "unattended": waits, "placed": waits, "unknown": waits,
}

// StateOf answers the state that a word of the wire names.
func StateOf(word string) State {
	kind, known := kinds[word]
	if !known {
		kind = quiet
	}
	return State{Mark: marks[kind], Word: word, Kind: kind}
}

// environmentState says in one word how an environment stands; what is worst wins.
func environmentState(e client.Environment) State {
	switch {
	case e.Halted != "":
		return StateOf("halted")
	case e.Deployment != nil && e.Deployment.State == "returning":
		return StateOf("returning")
	case e.Deployment != nil:
		return StateOf("deploying")
	case e.Keeper == "" && !e.Unattended.IsZero():
		return StateOf("unattended")
	case e.Live == nil:
		return StateOf("empty")
	case e.Health != nil && e.Health.State == "ailing":
		return StateOf("ailing")
	}
	return StateOf("live")
}

// instanceState is that of an instance which runs: whether it passes its probe.
func instanceState(i client.Instance) State {
	if i.State != "running" {
		return StateOf(i.State)
	}
	return StateOf(i.Health)
}
