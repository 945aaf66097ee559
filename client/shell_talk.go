package client

import (
	"context"
	"time"
)

const (
	// firstRedial and lastRedial bound the wait before a connection that broke is made again.
	firstRedial, lastRedial = 50 * time.Millisecond, 2 * time.Second
)

// ShellTalk is a worker's side of what a person has under way, over as many connections as that takes. What could not be said
// before one broke is said over the next.
type ShellTalk struct {
	Dial func(context.Context) (*ShellStream, error)
	Next func(context.Context) *ShellMessage // what is to be said next; nil when ctx ends first. The last one has Ended
	Hear func(ShellMessage)                  // takes what the person says
	Away func()                              // a connection broke
}

// Run speaks until the last word is said, or ctx ends.
func (t ShellTalk) Run(ctx context.Context) {
	wait := firstRedial
	var unsaid *ShellMessage
	for ctx.Err() == nil {
		stream, err := t.Dial(ctx)
		if err == nil {
			wait = firstRedial
			isDone := false
			if unsaid, isDone = t.converse(ctx, stream, unsaid); isDone {
				return
			}
			t.Away()
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		wait = min(2*wait, lastRedial)
	}
}

// converse speaks over one connection. It answers what could not be said before it broke, and whether the last word was said.
func (t ShellTalk) converse(ctx context.Context, stream *ShellStream, unsaid *ShellMessage) (*ShellMessage, bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer stream.Cut()
	go func() {
		defer cancel()
		t.listen(ctx, stream)
	}()
	for {
		if unsaid == nil {
			unsaid = t.Next(ctx)
		}
		if unsaid == nil || stream.Write(ctx, *unsaid) != nil {
			return unsaid, false
		}
		if unsaid.Ended != nil {
			stream.Close()
			return nil, true
		}
		unsaid = nil
	}
}

func (t ShellTalk) listen(ctx context.Context, stream *ShellStream) {
	for {
		m, err := stream.Read(ctx)
		if err != nil {
			return
		}
		t.Hear(m)
	}
}
