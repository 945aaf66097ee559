package page

import (
	"strconv"
	"time"
)

// Canary is the step at which a deployment is held.
type Canary struct {
	Step  int // counted from 1; 0 where none is held
	Steps int
	Share int // of new requests, in percent
	Next  int // the share after it, in percent

	Since time.Time
	Until time.Time // zero where a person says
}

// promoteWord is what the button says: what comes of it.
func (v Environment) promoteWord() string {
	release := "release " + strconv.Itoa(v.Environment.Deployment.Release)
	switch {
	case v.Canary.Step == 0:
		return "move the traffic to " + release
	case v.Canary.Until.IsZero():
		return "give " + release + " " + v.Canary.next()
	}
	return "give " + release + " " + v.Canary.next() + " now"
}

// next is what comes after the step.
func (c Canary) next() string {
	if c.Next == 100 {
		return "all new requests"
	}
	return strconv.Itoa(c.Next) + "% of new requests"
}
