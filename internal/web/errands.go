package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

const (
	// errandTime is how long a command may take where nobody says, and errandMost how long at most.
	errandTime = time.Hour
	errandMost = 24 * time.Hour
	// mostCommand is how long a command may be with its arguments, in bytes.
	mostCommand = 128 << 10
)

func errandOf(e towpath.Errand) client.Errand {
	return client.Errand{
		ID: e.ID, Environment: e.Environment, Release: e.Release, Instance: e.Instance, Slot: e.Slot, Command: e.Command, By: e.By,
		Reason: e.Reason, State: string(e.State), ExitCode: e.ExitCode, Outcome: e.Outcome,
		RequestedAt: e.RequestedAt, BeganAt: e.BeganAt, EndedAt: e.EndedAt,
	}
}

// errands answers the commands that people ran in an environment.
func (s *Server) errands(c call[none]) ([]client.Errand, error) {
	limit := listed
	if err := numberIn(c.Request, "limit", listedMost, &limit); err != nil {
		return nil, err
	}
	return s.errandsOf(c.Request, limit)
}

func (s *Server) errandsOf(r *http.Request, limit int) ([]client.Errand, error) {
	found := []client.Errand{}
	err := s.Store.View(r.Context(), func(tx *store.Tx) error {
		if _, _, err := tx.Environment(keyIn(r)); err != nil {
			return err
		}
		errands, err := tx.Errands(keyIn(r), limit)
		for _, e := range errands {
			found = append(found, errandOf(e))
		}
		return err
	})
	return found, err
}

// openErrand lets the environment's keeper run a command for the caller.
func (s *Server) openErrand(c call[client.Exec]) (client.Errand, error) {
	within := time.Duration(cmp.Or(c.Body.Within, errandTime.Seconds()) * float64(time.Second))
	length := 0
	for _, word := range c.Body.Command {
		length += len(word)
	}
	switch {
	case within < time.Second || within > errandMost:
		return client.Errand{}, towpath.Errorf(towpath.CodeInvalid, "a command takes 1 second to %s, not %s", errandMost, within)
	case length > mostCommand:
		return client.Errand{}, towpath.Errorf(towpath.CodeInvalid, "the command is over %d KiB", mostCommand>>10).
			WithHint("pipe in what is so large: it is the command's standard input")
	case slices.ContainsFunc(c.Body.Command, func(word string) bool { return slices.Contains([]byte(word), 0) }):
		return client.Errand{}, towpath.Errorf(towpath.CodeInvalid, "an argument of a command holds no zero byte")
	}
	made, err := s.Flow.OpenErrand(c.Context(), keyIn(c.Request), flow.ErrandWish{
		Command: c.Body.Command, Host: c.Body.Host, Instance: c.Body.Instance, Within: within, Terminal: c.Body.Terminal,
	}, flow.Act{By: c.Name, Reason: c.Body.Reason})
	return errandOf(made), err
}

// attachErrand connects a person to their command.
func (s *Server) attachErrand(w http.ResponseWriter, r *http.Request, caller access.Caller) {
	e, err := s.readErrand(r)
	switch {
	case err != nil:
	case e.By != caller.Name:
		err = towpath.Errorf(towpath.CodeForbidden, "this command is %s's", e.By)
	case e.State == towpath.ErrandEnded && !s.shells.isOpen(relayOf(e)):
		err = towpath.Errorf(towpath.CodeConflict, "the command has ended: %s", e.Outcome)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.joinRelay(w, r, relayOf(e), thePerson, lastOutput, func(ctx context.Context) { s.awaitErrand(ctx, e.ID) })
}

// serveErrand connects the worker that runs a command.
func (s *Server) serveErrand(w http.ResponseWriter, r *http.Request, caller access.Caller) {
	err := s.mayReport(r, caller)
	var e towpath.Errand
	if err == nil {
		e, err = s.readErrand(r)
	}
	if err == nil && e.State != towpath.ErrandRunning {
		err = towpath.Errorf(towpath.CodeConflict, "the command is %s", e.State)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.joinRelay(w, r, relayOf(e), theWorker, lastOutput, func(ctx context.Context) { s.awaitErrand(ctx, e.ID) })
}

func (s *Server) readErrand(r *http.Request) (e towpath.Errand, err error) {
	err = s.Store.View(r.Context(), func(tx *store.Tx) (err error) {
		e, err = tx.Errand(r.PathValue("id"))
		if err == nil && e.Environment != keyIn(r) {
			err = towpath.Errorf(towpath.CodeNotFound, "%s has no command %q", keyIn(r), e.ID)
		}
		return err
	})
	return e, err
}

func relayOf(e towpath.Errand) string { return "errand/" + e.ID }

// awaitErrand waits until a command has ended.
func (s *Server) awaitErrand(ctx context.Context, id string) {
	s.awaitThe(ctx, flow.TopicErrand(id), func(tx *store.Tx) (bool, error) {
		e, err := tx.Errand(id)
		return e.State == towpath.ErrandEnded, err
	})
}

func (s *Server) beginErrand(c call[client.ErrandBegin]) (client.ErrandOrder, error) {
	if err := s.mayReport(c.Request, c.Caller); err != nil {
		return client.ErrandOrder{}, err
	}
	e, err := s.Flow.BeginErrand(c.Context(), keyIn(c.Request), c.PathValue("id"), c.Body.Epoch)
	return client.ErrandOrder{
		Instance: e.Instance, Release: e.Release, Command: e.Command, By: e.By, Within: e.Within.Seconds(), Terminal: e.Terminal,
	}, err
}

func (s *Server) endErrand(c call[client.ErrandEnd]) (none, error) {
	if err := s.mayReport(c.Request, c.Caller); err != nil {
		return none{}, err
	}
	return none{}, s.Flow.EndErrand(c.Context(), keyIn(c.Request), c.PathValue("id"), c.Body.Epoch, c.Body.ExitCode, c.Body.Outcome)
}
