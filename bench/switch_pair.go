package main

import (
	"context"
	"strconv"
)

// pair is the instance that serves and the one that does so next, of a side that is moved by bare orders.
type pair struct {
	*stage
	name     string                           // of their logs
	place    func(release int) (env []string) // where one listens; nil is wherever it likes
	releases int
	old, now placed
}

// placed is an instance that answers at an address.
type placed struct {
	*process
	address string
}

// prepare starts an instance of a new release beside the one that serves.
func (p *pair) prepare(context.Context) (string, error) {
	p.releases++
	release := strconv.Itoa(p.releases)
	env := []string{"TOWPATH_RELEASE=" + release}
	if p.place != nil {
		env = append(env, p.place(p.releases)...)
	}
	started, err := p.start(p.name+release, env, p.self, "application")
	if err != nil {
		return "", err
	}
	address, err := started.firstLine()
	p.old, p.now = p.now, placed{started, address}
	return release, err
}

func (p *pair) killOld() error { return p.old.kill() }

// first has the first instance serve, before there is any load.
func first(ctx context.Context, s side, address string) error {
	release, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	if err := s.move(ctx); err != nil {
		return err
	}
	return until(ctx, "the first answer", func() (bool, error) {
		a := &asker{address: address, host: s.host()}
		defer a.close()
		answer, err := a.ask("/release")
		return string(answer) == release, err
	})
}
