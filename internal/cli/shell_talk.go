package cli

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/term"

	"github.com/towpath-cd/towpath/client"
)

const (
	// shellPatience is how long a shell waits for its person.
	shellPatience = time.Minute
	// sizeEvery is how often the terminal is asked for its size.
	sizeEvery = 250 * time.Millisecond
)

// talk carries what is typed and printed, over as many connections as that takes, and answers how what runs there ended.
// Heard takes what is neither printed nor the end.
func (c *Console) talk(ctx context.Context, dial dialer, typed <-chan client.ShellMessage, heard func(client.ShellMessage) error) (client.ShellEnd, error) {
	retry := c.newRetry()
	retry.patience.most, retry.answered = min(retry.patience.most, shellPatience), true
	var unsent []client.ShellMessage
	for {
		stream, err := dial(ctx)
		if err == nil {
			retry.succeeded()
			t := &shellTalk{console: c, stream: stream, typed: typed, unsent: unsent, heard: heard}
			var end *client.ShellEnd
			if end, err = t.run(ctx); end != nil {
				return *end, nil
			}
			unsent = t.unsent
		}
		if err := retry.again(ctx, err); err != nil {
			return client.ShellEnd{}, err
		}
	}
}

// dialer connects a person to what runs for them.
type dialer func(context.Context) (*client.ShellStream, error)

// shellTalk is one connection.
type shellTalk struct {
	console *Console
	stream  *client.ShellStream
	typed   <-chan client.ShellMessage
	unsent  []client.ShellMessage // of before, or when the connection broke
	size    client.ShellSize
	heard   func(client.ShellMessage) error
}

// run answers how what runs there ended; nil where only the connection did.
func (t *shellTalk) run(ctx context.Context) (*client.ShellEnd, error) {
	ctx, cancel := context.WithCancel(ctx)
	sent := make(chan struct{})
	go func() { defer close(sent); t.send(ctx) }()
	defer func() { cancel(); t.stream.Cut(); <-sent }()
	for {
		m, err := t.stream.Read(ctx)
		switch {
		case err != nil:
			return nil, &client.Error{Code: "unavailable", Message: "the connection broke: " + err.Error(), Err: err}
		case m.Ended != nil:
			return m.Ended, nil
		}
		if err := t.heard(m); err != nil {
			return nil, fmt.Errorf("show what is printed: %w", err)
		}
	}
}

// send sends what is typed, and the terminal's size whenever it is another.
func (t *shellTalk) send(ctx context.Context) {
	sizes := time.NewTicker(sizeEvery)
	defer sizes.Stop()
	t.addSize()
	for {
		for len(t.unsent) > 0 {
			if t.stream.Write(ctx, t.unsent[0]) != nil {
				return
			}
			t.unsent = t.unsent[1:]
		}
		select {
		case m := <-t.typed:
			t.unsent = append(t.unsent, m)
		case <-sizes.C:
			t.addSize()
		case <-ctx.Done():
			return
		}
	}
}

func (t *shellTalk) addSize() {
	file, is := terminalOf(t.console.Out)
	if !is {
		return
	}
	columns, rows, err := term.GetSize(int(file.Fd()))
	size := client.ShellSize{Rows: uint16(rows), Columns: uint16(columns)} //nolint:gosec // terminals count by 16 bits
	if err == nil && size != t.size {
		t.size = size
		t.unsent = append(t.unsent, client.ShellMessage{Size: &size})
	}
}
