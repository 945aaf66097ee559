package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/towpath-cd/towpath"
)

const (
	// socketName is where a keeper takes the wishes of people on its machine. Its folder is its owner's only.
	socketName = "direct.sock"
	// pathLimit is what fits into the address of a socket everywhere (unix(7), unix(4)).
	pathLimit = 100
	// wishLimit is how long somebody who calls may take to say what they wish.
	wishLimit = 5 * time.Second
	// sightLimit is how long a keeper that has just started may take to see what runs.
	sightLimit = 10 * time.Second
	// sightPace is how often that is looked after.
	sightPace = 20 * time.Millisecond
	// dialLimit is how long a keeper that has just taken its lock may take to listen.
	dialLimit = 5 * time.Second
)

// call is what somebody on this machine asks for: first to see what would be done, then, on the same connection, to do it.
type call struct {
	Wish Wish `json:"wish"`
	Go   bool `json:"go"` // false: show it only
}

// said is one line that they are answered with.
type said struct {
	Preview  *Preview       `json:"preview,omitempty"`
	Progress *Progress      `json:"progress,omitempty"`
	Error    *towpath.Error `json:"error,omitempty"`
}

// socketIn answers the address of the socket in a folder: through a link with a short name where the path is too long.
func socketIn(folder string) (address string, release func(), err error) {
	address = filepath.Join(folder, socketName)
	if len(address) <= pathLimit {
		return address, func() {}, nil
	}
	short, err := os.MkdirTemp("", "tp")
	if err != nil {
		return "", nil, err
	}
	release = func() { _ = os.RemoveAll(short) }
	if folder, err = filepath.Abs(folder); err == nil {
		err = os.Symlink(folder, filepath.Join(short, "k"))
	}
	if err != nil {
		release()
		return "", nil, err
	}
	return filepath.Join(short, "k", socketName), release, nil
}

// listen takes wishes until it is ended. A keeper that cannot listen keeps all the same.
func (k *Keeper) listen() (end func()) {
	listener, err := k.openSocket()
	if err != nil {
		k.options.Logger.Warn("nobody can go back on this machine without the server", "error", err)
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return // it was closed
			}
			go k.serve(ctx, connection)
		}
	}()
	return func() {
		cancel()
		_ = listener.Close()
		<-done
	}
}

// openSocket replaces the socket that a killed keeper left; the lock says that there is no living one.
func (k *Keeper) openSocket() (net.Listener, error) {
	path := filepath.Join(k.folder, socketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	address, release, err := socketIn(k.folder)
	if err != nil {
		return nil, err
	}
	defer release()
	listener, err := net.Listen("unix", address)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// serve answers one caller, who may leave at any time.
func (k *Keeper) serve(ctx context.Context, connection net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	context.AfterFunc(ctx, func() { _ = connection.Close() })
	_ = connection.SetReadDeadline(time.Now().Add(wishLimit))
	in, out := json.NewDecoder(connection), json.NewEncoder(connection)
	for {
		var asked call
		if in.Decode(&asked) != nil {
			return
		}
		_ = connection.SetReadDeadline(time.Time{}) // a person may think about what they are shown
		if err := k.answer(ctx, asked, out); err != nil {
			_ = out.Encode(said{Error: plain(err)})
			return
		}
	}
}

func (k *Keeper) answer(ctx context.Context, asked call, out *json.Encoder) error {
	p, err := k.seen(ctx, asked.Wish.Environment)
	if err != nil {
		return err
	}
	preview, err := p.preview(asked.Wish)
	if err != nil {
		return err
	}
	if !asked.Go {
		return out.Encode(said{Preview: &preview})
	}
	told, unwatch := p.watch()
	defer unwatch()
	if err := p.goBack(asked.Wish); err != nil {
		return err
	}
	k.options.Logger.Warn("going back without the server", "environment", p.key, "by", asked.Wish.By, "release", preview.To)
	k.kick()
	return pass(ctx, told, out)
}

// seen waits until an environment was looked at.
func (k *Keeper) seen(ctx context.Context, environment string) (*performer, error) {
	deadline := time.Now().Add(sightLimit)
	for {
		p, err := k.named(environment)
		if err != nil || !p.lastSeen().facts.Observed.At.IsZero() {
			return p, err
		}
		p.wakeUp()
		if time.Now().After(deadline) || !pause(ctx, sightPace) {
			return nil, towpath.Errorf(towpath.CodeUnavailable, "what runs in %s could not be seen yet", p.key).WithHint("see the worker's log")
		}
	}
}

// pass hands on what is told until it is over.
func pass(ctx context.Context, told <-chan Progress, out *json.Encoder) error {
	for {
		select {
		case <-ctx.Done():
			return errCutShort
		case progress := <-told:
			if err := out.Encode(said{Progress: &progress}); err != nil {
				return err
			}
			if progress.Ended != nil || progress.Problem != "" {
				return nil
			}
		}
	}
}

// plain is an error as it travels.
func plain(err error) *towpath.Error {
	if own, is := errors.AsType[*towpath.Error](err); is {
		return &towpath.Error{Code: own.Code, Message: own.Message, Hint: own.Hint}
	}
	return towpath.Errorf(towpath.CodeInternal, "%s", err)
}

// goBackThrough has the keeper that holds the folder go back.
func goBackThrough(ctx context.Context, folder string, w Wish, a Audience) (Ended, error) {
	connection, err := dial(ctx, folder)
	if err != nil {
		return Ended{}, err
	}
	defer connection.Close()
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
	defer stop()
	in, out := json.NewDecoder(connection), json.NewEncoder(connection)
	heard, err := ask(call{Wish: w}, in, out)
	if err != nil {
		return Ended{}, err
	}
	if heard.Preview == nil {
		return Ended{}, towpath.Errorf(towpath.CodeInternal, "the keeper does not say what it would do")
	}
	if err := a.Agree(*heard.Preview); err != nil {
		return Ended{}, err
	}
	if err := out.Encode(call{Wish: w, Go: true}); err != nil {
		return Ended{}, fmt.Errorf("go back: %w", err)
	}
	told := make(chan Progress)
	broken := make(chan error, 1)
	go func() {
		defer close(told)
		broken <- hear(ctx, in, told)
	}()
	ended, err := follow(ctx, told, a)
	if errors.Is(err, errCutShort) && ctx.Err() == nil {
		err = <-broken
	}
	return ended, err
}

// ask sends a call and answers the first line of its answer.
func ask(c call, in *json.Decoder, out *json.Encoder) (heard said, err error) {
	if err = out.Encode(c); err == nil {
		err = in.Decode(&heard)
	}
	switch {
	case err != nil:
		return heard, fmt.Errorf("ask the keeper: %w", err)
	case heard.Error != nil:
		return heard, heard.Error
	}
	return heard, nil
}

// hear answers why no more is told.
func hear(ctx context.Context, in *json.Decoder, told chan<- Progress) error {
	for {
		var heard said
		if err := in.Decode(&heard); err != nil {
			return errCutShort
		}
		if heard.Error != nil {
			return heard.Error
		}
		if heard.Progress == nil {
			continue
		}
		select {
		case told <- *heard.Progress:
		case <-ctx.Done():
			return errCutShort
		}
	}
}

// dial reaches the keeper that holds the folder; one that was just started listens soon.
func dial(ctx context.Context, folder string) (net.Conn, error) {
	address, release, err := socketIn(folder)
	if err != nil {
		return nil, fmt.Errorf("reach the keeper: %w", err)
	}
	defer release()
	deadline := time.Now().Add(dialLimit)
	for {
		connection, err := new(net.Dialer).DialContext(ctx, "unix", address)
		if err == nil {
			return connection, nil
		}
		if time.Now().After(deadline) || !pause(ctx, sightPace) {
			return nil, towpath.Errorf(towpath.CodeUnavailable, "the worker that works in %s does not answer: %s", filepath.Dir(folder), err).
				WithHint("end it, and give the same order again: then it is carried out without it")
		}
	}
}
