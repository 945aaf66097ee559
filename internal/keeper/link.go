package keeper

import (
	"errors"
	"sync"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// errAlone means that nothing new may be begun, because the server does not answer or the lease is over.
var errAlone = errors.New("the server cannot be reached")

// link is what is known of the way to the server, and of the leases that hang on it.
type link struct {
	mutex     sync.Mutex
	isUp      bool
	expiresAt time.Time // by the clock of this machine
}

// renewed takes an answer of the server, and says whether more may be done now than before: it is the first after a
// silence, or the leases were about to end.
func (l *link) renewed(answer client.KeepAnswer) bool {
	now := time.Now()
	server := answer.Now
	if server.IsZero() {
		server = now
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	wasUp, wasShort := l.isUp, l.expiresAt.Sub(now) < orderTime
	l.isUp = true
	if !answer.Expires.IsZero() {
		l.expiresAt = now.Add(answer.Expires.Sub(server))
	}
	return !wasUp || wasShort && l.expiresAt.Sub(now) >= orderTime
}

// lost notes that a call was not answered.
func (l *link) lost() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.isUp = false
}

// isHeard says that the last call was answered.
func (l *link) isHeard() bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.isUp
}

// isOver says that the server was asked in vain, and that no lease lasts any more.
func (l *link) isOver() bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return !l.isUp && !time.Now().Before(l.expiresAt)
}

// end is when the leases end that the server gave last, by the clock of this machine.
func (l *link) end() time.Time {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.expiresAt
}

// mayBegin says whether something new may be begun.
func (l *link) mayBegin() error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if !l.isUp || !time.Now().Before(l.expiresAt) {
		return errAlone
	}
	return nil
}
