package flow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/secret"
	"github.com/towpath-cd/towpath/internal/store"
)

// TopicErrand is rung when something becomes of a command.
func TopicErrand(id string) string { return "errand/" + id }

// commands are those of errands as they are run, which may hold secrets: they are kept nowhere but here.
type commands struct {
	mutex sync.Mutex
	of    map[string][]string // by errand's ID
}

func (c *commands) put(id string, command []string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.of == nil {
		c.of = make(map[string][]string)
	}
	c.of[id] = command
}

func (c *commands) get(id string) []string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.of[id]
}

func (c *commands) drop(id string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	delete(c.of, id)
}

// ErrandWish is a command that a person asks for, and where it is to run: on a host, or in an instance; where both are empty,
// in the first healthy instance.
type ErrandWish struct {
	Command        []string
	Host, Instance string
	Within         time.Duration
	Terminal       bool
}

// OpenErrand lets the environment's keeper run a command in the live release. Who may deploy that release may run commands
// in it.
func (c *Conductor) OpenErrand(ctx context.Context, key string, w ErrandWish, by Act) (made towpath.Errand, err error) {
	id := "x" + strings.ToLower(strings.ReplaceAll(c.newID(), "-", ""))
	err = c.update(ctx, func(a *act) error {
		e, _, err := a.tx.Environment(key)
		if err != nil {
			return err
		}
		seen, _, err := a.tx.Observation(key)
		if err != nil {
			return err
		}
		made, err = towpath.NewErrand(e, seen, towpath.Errand{
			ID: id, Command: w.Command, By: by.By, Reason: by.Reason, Within: w.Within, Terminal: w.Terminal, RequestedAt: a.at,
		}, w.Host, w.Instance)
		if err != nil {
			return err
		}
		if err := a.mayRun(e, made); err != nil {
			return err
		}
		c.commands.put(id, w.Command)
		if made.Command, err = a.masked(e, w.Command); err != nil {
			return err
		}
		a.ring(TopicKeepers, TopicEnvironment(key))
		if err := a.tx.SaveErrand(made); err != nil {
			return err
		}
		return a.auditErrand(made, "exec", "")
	})
	if err != nil {
		c.commands.drop(id)
	}
	return made, err
}

// mayRun holds a command against what protects its environment, and against how many there are.
func (a *act) mayRun(e towpath.Environment, wanted towpath.Errand) error {
	release, err := a.tx.Release(e.Pipeline, wanted.Release)
	if err != nil {
		return err
	}
	run, _, err := a.tx.Run(release.Run)
	if err != nil {
		return err
	}
	if err := a.admits(e, release, run); err != nil {
		return err
	}
	open, err := a.tx.OpenErrands()
	if err != nil {
		return err
	}
	open = slices.DeleteFunc(open, func(o towpath.Errand) bool { return o.Environment != e.Key })
	if len(open) >= towpath.MostErrands {
		return towpath.Errorf(towpath.CodeConflict, "%d commands run in %s already, the oldest by %s", len(open), e.Key, open[0].By)
	}
	return nil
}

// masked is a command without the environment's secrets.
func (a *act) masked(e towpath.Environment, command []string) ([]string, error) {
	given, err := a.secrets.ForEnvironment(a.tx, e)
	if err != nil {
		return nil, err
	}
	values := given.Values
	if all, err := a.secrets.Have(given, everSo, func() {}); err == nil {
		values = all
	}
	var secrets []string
	for _, value := range values {
		secrets = append(secrets, value)
	}
	masker, masked := secret.NewMasker(secrets...), make([]string, len(command))
	for n, word := range command {
		masked[n] = masker.Mask(word)
	}
	return masked, nil
}

// auditErrand records who runs what and where, and how it ended.
func (a *act) auditErrand(e towpath.Errand, action, end string) error {
	detail := fmt.Sprintf("in %s: %s", e.Instance, strings.Join(e.Command, " "))
	if end != "" {
		detail += ": " + end
	} else if e.Reason != "" {
		detail += " (" + e.Reason + ")"
	}
	return access.Record(a.tx, access.Act{Actor: e.By, Action: action, Object: e.Environment, Detail: detail, At: a.at})
}

// errandsFor answers the commands that wait for a worker, in environments that it keeps, without those that it has in hand.
func errandsFor(tx *store.Tx, w towpath.Worker, kept []Kept) ([]towpath.Errand, error) {
	open, err := tx.OpenErrands()
	if err != nil {
		return nil, err
	}
	var found []towpath.Errand
	for _, e := range open {
		isInHand := func(k Kept) bool { return slices.Contains(k.Errands, e.ID) }
		if e.State != towpath.ErrandWaiting || slices.ContainsFunc(kept, isInHand) {
			continue
		}
		environment, _, err := tx.Environment(e.Environment)
		if err != nil {
			return nil, err
		}
		if environment.Keeper.Worker == w.ID {
			found = append(found, e)
		}
	}
	return found, nil
}

// BeginErrand has a keeper run a command, and answers it as it is to be run. CodeStale says that another keeps the environment.
func (c *Conductor) BeginErrand(ctx context.Context, key, id string, epoch towpath.Epoch) (begun towpath.Errand, err error) {
	err = c.update(ctx, func(a *act) error {
		environment, errand, err := a.errand(key, id)
		if err != nil {
			return err
		}
		if begun, err = errand.Begin(environment, epoch, a.at); err != nil {
			return err
		}
		command := c.commands.get(id)
		if command == nil {
			return a.endErrand(begun, -1, "it was never begun: the server was started again meanwhile")
		}
		if err := a.tx.SaveErrand(begun); err != nil {
			return err
		}
		a.ring(TopicErrand(id), TopicEnvironment(key))
		begun.Command = command
		return nil
	})
	if err == nil && c.commands.get(id) == nil {
		err = towpath.Errorf(towpath.CodeConflict, "the command is not known any more")
	}
	return begun, err
}

func (a *act) errand(key, id string) (towpath.Environment, towpath.Errand, error) {
	e, err := a.tx.Errand(id)
	if err == nil && e.Environment != key {
		err = towpath.Errorf(towpath.CodeNotFound, "%s has no command %q", key, id)
	}
	if err != nil {
		return towpath.Environment{}, e, err
	}
	environment, _, err := a.tx.Environment(key)
	return environment, e, err
}

// EndErrand notes how a command ended, as the keeper that ran it says. It may be told again.
func (c *Conductor) EndErrand(ctx context.Context, key, id string, epoch towpath.Epoch, code int, outcome string) error {
	return c.update(ctx, func(a *act) error {
		_, e, err := a.errand(key, id)
		switch {
		case err != nil || e.State == towpath.ErrandEnded:
			return err
		case e.Epoch != epoch:
			return towpath.Errorf(towpath.CodeStale, "epoch %s does not run this command", epoch)
		}
		return a.endErrand(e, code, outcome)
	})
}

func (a *act) endErrand(e towpath.Errand, code int, outcome string) error {
	e = e.End(code, outcome, a.at)
	a.commands.drop(e.ID)
	a.ring(TopicErrand(e.ID), TopicEnvironment(e.Environment))
	if err := a.tx.SaveErrand(e); err != nil {
		return err
	}
	took := ""
	if !e.BeganAt.IsZero() {
		took = fmt.Sprintf(" after %s", e.EndedAt.Sub(e.BeganAt).Round(time.Second))
	}
	return a.auditErrand(e, "exec.end", e.Outcome+took)
}

// loseErrands ends the commands of which nobody will tell.
func (a *act) loseErrands() error {
	lost, err := lostErrands(a.tx, a.at)
	for e, why := range lost {
		if err == nil {
			var errand towpath.Errand
			if errand, err = a.tx.Errand(e); err == nil {
				err = a.endErrand(errand, -1, why)
			}
		}
	}
	return err
}

// lostErrands answers why nobody will tell of commands, by their IDs.
func lostErrands(tx *store.Tx, now time.Time) (map[string]string, error) {
	open, err := tx.OpenErrands()
	lost := make(map[string]string)
	for _, e := range open {
		environment, _, err := tx.Environment(e.Environment)
		if err != nil {
			return nil, err
		}
		if why := e.Lost(environment, now); why != "" {
			lost[e.ID] = why
		}
	}
	return lost, err
}
