package process

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

// Leash ends a group once nothing more is to be read, as whoever holds the other end has let go or died, or after a time.
// It belongs into a process of its own.
func Leash(in io.Reader, handle string, within time.Duration) error {
	released := make(chan struct{})
	go func() {
		defer close(released)
		_, _ = io.Copy(io.Discard, in) // an error is an end as well
	}()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-released:
	case <-timer.C:
	}
	return KillGroup(handle)
}

// StartLeash has a process of its own end a group when this one dies, is released, or the time is over. The command line
// calls Leash with its last two words, the group and the time. What was released has ended everything.
func StartLeash(command []string, handle string, within time.Duration) (release func() error, err error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start a leash: %w", err)
	}
	defer theirs.Close()
	args := append(append([]string{}, command...), handle, within.String())
	running, err := Start(context.Background(), Spec{Args: args, Stdin: theirs})
	if err != nil {
		_ = ours.Close() // nobody reads it
		return nil, fmt.Errorf("start a leash: %w", err)
	}
	return func() error {
		_ = ours.Close() // it is what lets go
		ended, err := running.Wait()
		if err == nil && ended.ExitCode != 0 {
			err = fmt.Errorf("%w: the leash ended with status %d", ErrLeftBehind, ended.ExitCode)
		}
		return err
	}, nil
}
