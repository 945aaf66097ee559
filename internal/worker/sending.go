package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/failpoint"
	"github.com/towpath-cd/towpath/internal/steplog"
)

const (
	// sendMost is how many bytes of a log one call carries while the script prints, and sendRest afterwards.
	sendMost = 1 << 20
	sendRest = 4 << 20
	// sendSoon is how many bytes do not wait for more.
	sendSoon = 64 << 10
	// sendPace is how soon after one call the next one follows, so that a chatty script costs few of them.
	sendPace = 50 * time.Millisecond
	// floodPace is how soon after the beginning of one call that of the next one follows while the script prints more
	// than anyone reads: the machine is the script's, and what it printed is safe in the spool.
	floodPace = 100 * time.Millisecond
	// sendLimit bounds one call that carries a log, an artifact's names or a report.
	sendLimit = time.Minute
	// brokenMost is how often what a call carries is halved at most.
	brokenMost = 7
	// conflictTries is how often a server that holds something else is asked where to go on.
	conflictTries = 5
)

// errNoProgress is a server that takes nothing, and says nothing against it.
var errNoProgress = errors.New("the server takes nothing of the log")

// sending is how far a step's log is sent.
type sending struct {
	*worker
	lease     client.LeaseRef
	output    *output
	offset    int64 // from where to go on
	lostPlace bool  // the server has to be asked for the offset
	conflicts int   // in a row
	broken    int   // calls in a row that were not answered
	buffer    []byte
}

// send brings a log to the server as it is written, until its end is there. It goes on where the server says that it
// stands, and waits for a server that cannot be reached. The error is final, or that of ctx.
func (s *sending) send(ctx context.Context) error {
	pause := callBackoff()
	for {
		began := time.Now()
		ended, err := s.once(ctx)
		switch {
		case ended:
			return nil
		case err == nil:
			pause.reset()
			s.conflicts, s.broken = 0, max(0, s.broken-1)
			s.gather(ctx, began)
			continue
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !s.mayGoOn(err):
			return fmt.Errorf("send the log: %w", err)
		}
		s.broken = min(s.broken+1, brokenMost)
		if stopped := pause.wait(ctx); stopped != nil {
			return stopped
		}
	}
}

// mayGoOn says whether an error passes. After a conflict the server is asked for the place to go on from.
func (s *sending) mayGoOn(err error) bool {
	if codeOf(err) != "conflict" && !errors.Is(err, errNoProgress) {
		return isPassing(err)
	}
	s.conflicts++
	s.lostPlace = true
	return s.conflicts <= conflictTries
}

// once sends what is there, after waiting for something to be there, and says whether it was the end.
func (s *sending) once(ctx context.Context) (ended bool, err error) {
	if s.lostPlace {
		return false, s.append(ctx, steplog.Chunk{})
	}
	chunk, err := s.chunk(ctx)
	if err != nil || len(chunk.Data) == 0 {
		return err == nil, err
	}
	return false, s.append(ctx, chunk)
}

// chunk waits for bytes that are not sent yet; a chunk without any is the end.
func (s *sending) chunk(ctx context.Context) (steplog.Chunk, error) {
	for {
		changed := s.output.spool.Changed()
		chunk, more, err := s.output.spool.Next(s.offset, s.most(), s.buffer)
		if err != nil || !more || len(chunk.Data) > 0 {
			return chunk, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return chunk, context.Cause(ctx)
		}
	}
}

// most is how many bytes the next call may carry: half as many for each that broke, because a connection that breaks after
// so many bytes would never bring more to the server.
func (s *sending) most() int {
	select {
	case <-s.output.ended:
		return sendRest >> s.broken
	default:
		return sendMost >> s.broken
	}
}

func (s *sending) append(ctx context.Context, chunk steplog.Chunk) error {
	ctx, cancel := context.WithTimeout(ctx, sendLimit)
	defer cancel()
	s.buffer = nil // a call that failed may go on reading it
	place := failpoint.At("send a log")
	place.Before()
	held, err := s.Client.AppendLog(ctx, s.lease, chunk.Offset, bytes.NewReader(chunk.Data))
	place.After()
	if err != nil {
		return err
	}
	s.buffer = chunk.Data
	if held == chunk.Offset && len(chunk.Data) > 0 {
		return errNoProgress
	}
	s.lostPlace = false
	s.offset = min(held, s.output.spool.Size())
	if s.offset > s.output.spool.Acknowledged() {
		// A disk that is full may not take it. Then the next worker would send bytes again, which count once.
		_ = s.output.spool.Acknowledge(s.offset)
	}
	return nil
}

// gather lets output come together before the next call, unless the script has ended.
func (s *sending) gather(ctx context.Context, began time.Time) {
	pause := sendPace
	if s.output.spool.Size()-s.offset >= sendSoon {
		pause = floodPace - time.Since(began)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.output.ended:
	case <-ctx.Done():
	}
}
