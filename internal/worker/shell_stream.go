package worker

import (
	"context"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/executor"
)

// shellPiece is how much of what a shell prints is sent at a time, in bytes.
const shellPiece = 32 << 10

// read takes what the shell prints, as fast as the server takes it. It ends when nothing has the terminal open any more.
func (s *debugShell) read() {
	defer close(s.printed)
	for {
		piece := make([]byte, shellPiece)
		n, err := s.session.Read(piece)
		if n > 0 {
			s.printed <- piece[:n]
		}
		if err != nil {
			return
		}
	}
}

// speak keeps a connection to the server, until the last word is said or ctx ends. What is printed meanwhile waits.
func (s *debugShell) speak(ctx context.Context) {
	defer s.drain()
	client.ShellTalk{
		Dial: func(ctx context.Context) (*client.ShellStream, error) {
			stream, err := s.Client.ServeShell(ctx, s.lease.LeaseRef)
			if err != nil {
				s.log.Debug("cannot connect a debug shell", "step", s.lease.Step, "error", err)
			}
			return stream, err
		},
		Next: s.next, Hear: s.hear, Away: func() { s.attached(false) },
	}.Run(ctx)
}

// drain lets read come to its end.
func (s *debugShell) drain() {
	go func() {
		for range s.printed {
		}
	}()
}

// next is what is to be said next; nil when ctx ends first. How the shell ended comes behind all that it printed.
func (s *debugShell) next(ctx context.Context) *client.ShellMessage {
	select {
	case piece, more := <-s.printed:
		if more {
			return &client.ShellMessage{Data: piece}
		}
	case <-ctx.Done():
		return nil
	}
	select {
	case end := <-s.ended:
		return &client.ShellMessage{Ended: &end}
	case <-ctx.Done():
		return nil
	}
}

// hear does what the person wants.
func (s *debugShell) hear(m client.ShellMessage) {
	switch {
	case m.Attached != nil:
		s.attached(*m.Attached)
	case m.Size != nil:
		_ = s.session.Resize(executor.Size(*m.Size))
	case m.Data != nil:
		s.typed()
		_, _ = s.session.Write(m.Data)
	}
}
