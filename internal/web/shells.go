package web

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

func (s *Server) registerShells() {
	s.shells = &shells{open: map[string]*relay{}}
	api(s, "POST /api/v1/pipelines/{pipeline}/runs/{number}/steps/{step}/shell", s.openShell)
	s.handle("GET /api/v1/pipelines/{pipeline}/runs/{number}/steps/{step}/shell", s.attachShell)
	s.handle("GET "+leases+"shell", s.serveShell)
}

// tooOld is the script of a lease for a shell: a worker that does not know of shells runs it, instead of the step's own.
const tooOld = "echo 'this worker is of an older release, which knows no debug shells' >&2; exit 1"

// debugIn puts the shell in the place of the script.
func debugIn(l *client.StepLease, shell *towpath.Shell) {
	if shell == nil || shell.Step != l.Step {
		return
	}
	l.Debug = &client.ShellLease{By: shell.By, Script: l.Script, Idle: shell.Idle.Seconds()}
	l.Script, l.CacheScope = tooOld, ""
}

// openShell makes a run that repeats the step, with a shell for the caller in the place of its script.
func (s *Server) openShell(c call[none]) (client.Run, error) {
	id, err := s.runID(c.Request)
	if err != nil {
		return client.Run{}, err
	}
	step := c.PathValue("step")
	run, err := s.Flow.Rerun(c.Context(), flow.Repeat{
		Run: id, Again: towpath.Again{Step: step}, By: c.Name,
		Shell: &towpath.Shell{Step: step, By: c.Name, Idle: s.ShellIdle, Limit: s.ShellLimit},
		Record: func(tx *store.Tx, made towpath.Run) error {
			return s.record(c.Caller, "shell.open", runName(made), step+" of #"+c.PathValue("number")+" at "+made.Change.Branch)(tx)
		},
	})
	return runOf(run, c.Project.Name), err
}

// attachShell connects a person to their shell.
func (s *Server) attachShell(w http.ResponseWriter, r *http.Request, caller access.Caller) {
	var run towpath.Run
	err := s.Store.View(r.Context(), func(tx *store.Tx) (err error) {
		run, err = runIn(tx, r)
		return err
	})
	if err == nil {
		err = mayAttach(run, r.PathValue("step"), caller)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.join(w, r, run, thePerson)
}

func mayAttach(run towpath.Run, step string, caller access.Caller) error {
	ended, _ := run.Step(step)
	switch {
	case run.Shell == nil || run.Shell.Step != step:
		return towpath.Errorf(towpath.CodeNotFound, "%s has no debug shell of %q", runName(run), step)
	case run.Shell.By != caller.Name:
		return towpath.Errorf(towpath.CodeForbidden, "this debug shell is %s's", run.Shell.By)
	case run.State.IsFinal():
		return towpath.Errorf(towpath.CodeConflict, "the debug shell has ended: %s", ended.Reason)
	}
	return nil
}

// serveShell connects the worker that has the shell.
func (s *Server) serveShell(w http.ResponseWriter, r *http.Request, caller access.Caller) {
	lease, err := s.heldLease(r, caller)
	var run towpath.Run
	if err == nil {
		err = s.Store.View(r.Context(), func(tx *store.Tx) (err error) {
			run, _, err = tx.Run(lease.Run)
			return err
		})
	}
	if err == nil && (run.Shell == nil || run.Shell.Step != lease.Step) {
		err = towpath.Errorf(towpath.CodeNotFound, "%q is no debug shell", lease.Step)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.join(w, r, run, theWorker)
}

// join makes the connection one end of the shell's relay, until it breaks or the run has ended.
func (s *Server) join(w http.ResponseWriter, r *http.Request, run towpath.Run, side side) {
	s.joinRelay(w, r, run.ID, side, lastWords, func(ctx context.Context) { s.awaitEnd(ctx, run.ID) })
}

// joinRelay makes the connection one end of the relay of that name, until it breaks or await returns.
func (s *Server) joinRelay(w http.ResponseWriter, r *http.Request, name string, side side, words time.Duration, await func(context.Context)) {
	conn, err := websocket.Accept(w, r, nil) // which refuses pages of other sites
	if err != nil {
		return // it is answered
	}
	stream := client.NewShellStream(conn)
	ctx, cancel := s.live(r)
	defer cancel()
	s.shells.of(name, words, await).attach(ctx, side, stream)
}

// awaitEnd waits until a run has ended.
func (s *Server) awaitEnd(ctx context.Context, id string) {
	s.awaitThe(ctx, flow.TopicRun(id), func(tx *store.Tx) (bool, error) {
		run, _, err := tx.Run(id)
		return run.State.IsFinal(), err
	})
}

// awaitThe waits for the end of what a topic is about.
func (s *Server) awaitThe(ctx context.Context, topic string, hasEnded func(*store.Tx) (bool, error)) {
	for s.stopping.Err() == nil {
		rung, ended := s.Hub.Wait(topic), false
		err := s.Store.View(ctx, func(tx *store.Tx) (err error) {
			ended, err = hasEnded(tx)
			return err
		})
		if ended || err != nil {
			return
		}
		select {
		case <-rung:
		case <-s.stopping.Done():
		}
	}
}
