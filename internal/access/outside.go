package access

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/secret"
	"github.com/towpath-cd/towpath/internal/store"
)

// Given is secrets that were granted to a use.
type Given struct {
	Values  map[string]string // by name
	Outside map[string]string // names of those whose values are elsewhere, with the command of the settings that has each
}

// names of those whose values are elsewhere, in their order.
func (g Given) outside() []string { return slices.Sorted(maps.Keys(g.Outside)) }

// with answers all values.
func (g Given) with(fetched map[string]string) map[string]string {
	all := maps.Clone(g.Values)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, fetched)
	return all
}

// Outside are secrets whose values are read by these commands.
func (s *Secrets) Outside(commands *secret.Commands) *Secrets {
	return &Secrets{sealer: s.sealer, commands: commands}
}

// PutOutside writes a secret of a project, by its ID, whose value a command of the server's settings has.
func (s *Secrets) PutOutside(tx *store.Tx, project, name, command string, grant SecretGrant, now time.Time) error {
	if _, err := s.command(tx, project, command); err != nil {
		return err
	}
	return s.put(tx, store.Secret{
		Project: project, Name: name, Source: command, Environments: grant.Environments, Branches: grant.Branches, SetAt: now,
	}, command)
}

// Command answers the command that has a secret's value, as it is written in the settings; empty where they do not have it.
func (s *Secrets) Command(tx *store.Tx, k store.Secret) string {
	found, err := s.command(tx, k.Project, k.Source)
	if err != nil {
		return ""
	}
	return found.String()
}

func (s *Secrets) command(tx *store.Tx, project, name string) (secret.Command, error) {
	p, _, err := tx.Project(project)
	if err != nil {
		return secret.Command{}, err
	}
	found, is := s.commands.For(name, p.Name)
	if !is {
		return found, towpath.Errorf(towpath.CodeForbidden, "the server's settings have no command %s for the secrets of %s", name, p.Name).
			WithHint("whoever runs the server names it below secret_commands")
	}
	return found, nil
}

// Fetch waits for the values that are elsewhere, all at a time, and answers all of them.
func (s *Secrets) Fetch(ctx context.Context, g Given) (map[string]string, error) {
	values := make([]string, len(g.Outside))
	group, ctx := errgroup.WithContext(ctx)
	for i, name := range g.outside() {
		group.Go(func() (err error) {
			if values[i], err = s.commands.Fetch(ctx, g.Outside[name]); err != nil {
				err = fmt.Errorf("secret %s: %w", name, err)
			}
			return err
		})
	}
	err := group.Wait()
	fetched := map[string]string{}
	for i, name := range g.outside() {
		fetched[name] = values[i]
	}
	return g.with(fetched), err
}

// Have answers all values, where those that are elsewhere were told in that time. Where not, they are asked for, and done is
// called with each answer; the error says what is missing.
func (s *Secrets) Have(g Given, within time.Duration, done func()) (map[string]string, error) {
	fetched := map[string]string{}
	var missing error
	for _, name := range g.outside() {
		value, found, err := s.commands.Have(g.Outside[name], within, done)
		switch {
		case found:
			fetched[name] = value
		case err != nil:
			missing = fmt.Errorf("secret %s: %w", name, err)
		case missing == nil:
			missing = towpath.Errorf(towpath.CodeUnavailable, "secret %s is asked for (command %s)", name, g.Outside[name])
		}
	}
	if missing != nil {
		return nil, missing
	}
	return g.with(fetched), nil
}
