package worker

import "time"

const (
	// besideRate is how many bytes a second a step may print for long while others run beside it, and besideBurst how many it
	// may print at once: who prints more waits, and takes no processor meanwhile, neither its own nor the one that reads.
	besideRate  = 8 << 20
	besideBurst = 4 << 20
)

// pace slows down what prints without end. A step that is alone on its worker prints as fast as it can. It is for one
// goroutine.
type pace struct {
	isBeside func() bool // whether other steps run now
	now      func() time.Time
	wait     func(time.Duration)

	debt int64 // bytes that were printed and not earned yet
	at   time.Time
}

func newPace(isBeside func() bool) *pace {
	return &pace{isBeside: isBeside, now: time.Now, wait: func(d time.Duration) { <-time.After(d) }}
}

// spend waits until so many bytes more may have been printed.
func (p *pace) spend(bytes int) {
	now := p.now()
	p.debt = max(0, p.debt-int64(now.Sub(p.at).Seconds()*besideRate)) + int64(bytes)
	p.at = now
	if p.debt <= besideBurst {
		return
	}
	if !p.isBeside() {
		p.debt = 0
		return
	}
	p.wait(time.Duration(p.debt-besideBurst) * time.Second / besideRate)
}
