package simulate

import "time"

// began is when every story begins.
var began = time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)

// clock is a machine's: it goes a little wrong, and may jump. What lasts is measured by steady, which never jumps.
type clock struct {
	world  *world
	drift  float64 // of a second, a second
	offset time.Duration
}

// steady is how long the machine has run.
func (c *clock) steady() time.Duration {
	return c.world.now + time.Duration(c.drift*float64(c.world.now))
}

// wall is what the machine thinks that the time is.
func (c *clock) wall() time.Time { return began.Add(c.steady() + c.offset) }

// process is something that may die, and with it what it was about to do; or freeze, and go on with it later.
type process struct {
	name   string
	life   int // counts its starts
	up     bool
	frozen time.Duration // until then nothing of it happens
	*clock
}

func (p *process) start() {
	p.life++
	p.up, p.frozen = true, 0
}

func (p *process) die() { p.up = false }
