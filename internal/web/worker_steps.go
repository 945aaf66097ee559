package web

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/git"
	"github.com/towpath-cd/towpath/internal/queue"
	"github.com/towpath-cd/towpath/internal/steplog"
	"github.com/towpath-cd/towpath/internal/store"
)

// leaseWait is how long a worker's call for a step waits. Between two calls the worker is seen.
const leaseWait = 20 * time.Second

// maxAppend is the most that is taken of a log in one call, in bytes.
const maxAppend = 8 << 20

// leases is the path of every call about an attempt.
const leases = "/api/v1/worker/leases/{run}/{step}/{attempt}/"

func (s *Server) registerWorkers() {
	api(s, "POST /api/v1/worker/register", s.registerWorker)
	api(s, "POST /api/v1/worker/hello", s.hello)
	api(s, "POST /api/v1/worker/lease", s.lease)
	api(s, "POST "+leases+"renew", s.renew)
	api(s, "POST "+leases+"finish", s.finish)
	s.handle("POST "+leases+"log", s.appendLog)
	s.registerArtifacts()
	s.registerCache()
	s.registerTests()
	s.registerKeepers()
}

// lease hands out a step, or answers null after a while.
func (s *Server) lease(c call[client.LeaseCall]) (*client.StepLease, error) {
	worker := s.seeWorker(c.Caller)
	if err := s.noteVersion(c.Request, worker, c.Body.Version); err != nil {
		return nil, err
	}
	if worker.Draining {
		return nil, s.waitIdle(c.Request)
	}
	ctx, cancel := s.live(c.Request)
	defer cancel()
	work, err := s.Flow.LeaseStep(ctx, flow.StepCall{Worker: worker.Worker, ID: c.Body.Call}, leaseWait)
	if err != nil || work == nil {
		return nil, ignoreStop(s, err)
	}
	if c.Context().Err() != nil {
		s.Flow.NotGiven()
		return nil, c.Context().Err()
	}
	lease, limits := leaseOf(work), s.Artifacts.Limits()
	lease.ArtifactLimit, lease.ArtifactFiles = limits.Bytes, limits.Entries
	return lease, nil
}

// waitIdle holds a worker that gets no steps for as long as it would wait for one.
func (s *Server) waitIdle(r *http.Request) error {
	ctx, cancel := s.live(r)
	defer cancel()
	select {
	case <-ctx.Done():
	case <-time.After(leaseWait):
	}
	return nil
}

// ignoreStop makes "nothing" of a wait that ended because the server stops.
func ignoreStop(s *Server, err error) error {
	if s.stopping.Err() != nil {
		return nil
	}
	return err
}

// seeWorker answers the worker that calls, and notes that it was heard of.
func (s *Server) seeWorker(caller access.Caller) store.KnownWorker {
	s.Flow.Saw(caller.Worker)
	return caller.KnownWorker()
}

// hello takes what a worker says of itself when it starts, and tells it which server it speaks to.
func (s *Server) hello(c call[client.Hello]) (client.Welcome, error) {
	known := s.seeWorker(c.Caller)
	w, b := known.Worker, c.Body
	w.OS, w.Arch, w.Labels, w.Slots, w.Version = b.OS, b.Arch, b.Labels, b.Slots, b.Version
	if err := checkLabels(w.Labels); err != nil {
		return client.Welcome{}, err
	}
	err := s.Store.Update(c.Context(), func(tx *store.Tx) error { return tx.DescribeWorker(w) })
	return client.Welcome{Version: s.Version}, err
}

// noteVersion keeps the version of a worker that says nothing else of itself, as those of the release before this one.
func (s *Server) noteVersion(r *http.Request, known store.KnownWorker, version string) error {
	if version == "" || version == known.Version {
		return nil
	}
	w := known.Worker
	w.Version, w.Labels = version, known.Told
	return s.Store.Update(r.Context(), func(tx *store.Tx) error { return tx.DescribeWorker(w) })
}

func leaseOf(w *flow.Work) *client.StepLease {
	d, change := w.Step.Script, w.Run.Change
	lease := &client.StepLease{
		LeaseRef: client.LeaseRef{Run: w.Lease.Run, Step: w.Lease.Step, Attempt: w.Lease.Attempt},
		Kind:     string(w.Step.Kind), Project: w.Project.Name, Pipeline: w.Run.Pipeline, RunNumber: w.Run.Number,
		Repository: w.Project.URL, Access: accessOf(w.Access), Revision: change.Revision, Ref: change.FetchRef(), Branch: change.Branch,
		Author: change.Author, AuthorEmail: change.AuthorEmail, Message: change.Message, Trusted: change.Trusted,
		Checkout: client.Checkout(d.Checkout), Script: d.Run, Shell: d.Shell, Env: d.Env, Outputs: w.Outputs, Clean: d.Clean,
		Environment: w.Place, URL: w.URL, Uses: artifactsOf(w.Uses), Keeps: d.Artifacts, Platform: d.Platform,
		Reports: reportsOf(d), Caches: cachesOf(d), CacheScope: string(change.CacheScopes().Writes),
		Timeout: d.Timeout.Seconds(), Expires: w.Lease.Expires, RenewEvery: queue.RenewEvery.Seconds(), LogLimit: w.Lease.LogLimit,
		Fork: change.IsFromFork(), Trigger: string(change.Trigger), Tag: change.Tag(), Inputs: change.Inputs,
	}
	lease.Secrets, lease.SecretFiles = secretsOf(w)
	lease.Inside, lease.Services, lease.Network = containerOf(d.Inside, w.Secrets), servicesOf(w), d.Network
	debugIn(lease, w.Run.Shell)
	if request := change.Request; request != nil {
		lease.PullRequest, lease.BaseBranch, lease.HeadBranch = request.Number, request.Base, request.Head
	}
	return lease
}

// accessOf is what the worker shows the repository; nil where that is nothing.
func accessOf(a git.Access) *client.RepositoryAccess {
	if a.User == "" && a.Password == "" && len(a.Key) == 0 && a.KnownHosts == "" {
		return nil
	}
	return &client.RepositoryAccess{User: a.User, Password: a.Password, Key: string(a.Key), KnownHosts: a.KnownHosts}
}

func (s *Server) renew(c call[none]) (client.Renewal, error) {
	lease, err := leaseIn(c.Request, c.Caller)
	if err != nil {
		return client.Renewal{}, err
	}
	expires, stop, err := s.Flow.RenewStep(c.Context(), lease)
	return client.Renewal{Expires: expires, Stop: stop != "", Reason: stop}, s.judged(c.Request, c.Caller, lease, err)
}

// leaseIn reads which attempt a call is about. Whether the worker holds it is for the store to say.
func leaseIn(r *http.Request, caller access.Caller) (towpath.Lease, error) {
	attempt, err := strconv.Atoi(r.PathValue("attempt"))
	if err != nil || attempt < 1 {
		return towpath.Lease{}, towpath.Errorf(towpath.CodeInvalid, "%q is not the number of an attempt", r.PathValue("attempt"))
	}
	return towpath.Lease{
		Run: r.PathValue("run"), Step: r.PathValue("step"), Attempt: attempt, Worker: caller.Worker,
	}, nil
}

// heldLease answers the lease that a call is about, where the worker holds it.
func (s *Server) heldLease(r *http.Request, caller access.Caller) (held towpath.Lease, err error) {
	lease, err := leaseIn(r, caller)
	if err != nil {
		return lease, err
	}
	err = s.Store.View(r.Context(), func(tx *store.Tx) error {
		held, err = tx.HeldLease(lease.Run, lease.Step, lease.Attempt)
		if err == nil && held.Worker != lease.Worker {
			return towpath.Errorf(towpath.CodeStale, "attempt %d of %q is not leased to this worker", lease.Attempt, lease.Step)
		}
		return err
	})
	return held, s.judged(r, caller, lease, err)
}

// appendLog takes a piece of a log at an offset, and answers what is held, from where to go on.
func (s *Server) appendLog(w http.ResponseWriter, r *http.Request, caller access.Caller) {
	end, err := s.takeLog(r, caller)
	if gap, ok := errors.AsType[*steplog.GapError](err); ok {
		end, err = gap.Expected, nil
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, client.LogOffset{Offset: end})
}

func (s *Server) takeLog(r *http.Request, caller access.Caller) (int64, error) {
	lease, err := s.heldLease(r, caller)
	if err != nil {
		return 0, err
	}
	offset, err := strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64)
	if err != nil || offset < 0 {
		return 0, towpath.Errorf(towpath.CodeInvalid, "offset has to be a number of bytes")
	}
	piece, ok := s.pieces.Get().(*bytes.Buffer)
	if !ok {
		piece = new(bytes.Buffer)
	}
	defer s.pieces.Put(piece)
	piece.Reset()
	piece.Grow(int(min(max(r.ContentLength, 0), maxAppend)) + bytes.MinRead)
	if _, err := piece.ReadFrom(http.MaxBytesReader(nil, r.Body, maxAppend)); err != nil {
		return 0, towpath.Errorf(towpath.CodeInvalid, "a piece of a log is at most %d bytes", maxAppend)
	}
	log, err := s.Logs.Create(logName(lease))
	if err != nil {
		return 0, err
	}
	log.Limit(mostOfLog(lease))
	end, err := log.Append(offset, piece.Bytes(), s.Clock())
	if errors.Is(err, steplog.ErrTooLong) {
		return end, s.refuseWorker(r, caller, towpath.Errorf(towpath.CodeInvalid,
			"the log of %q is longer than its limit (log_limit), which workers keep to by themselves", lease.Step))
	}
	if offset == 0 { // whoever waited for the log to come into being cannot have asked the log itself
		s.Hub.Ring(flow.TopicLog(lease.Run, lease.Step))
	}
	return end, err
}

// ownLogLimit is what workers keep of a log that were told nothing, in bytes.
const ownLogLimit = 256_000_000

// mostOfLog is a size that no worker of ours goes beyond.
func mostOfLog(l towpath.Lease) int64 { return cmp.Or(l.LogLimit, ownLogLimit) + client.LogSlack }

func logName(l towpath.Lease) steplog.Name {
	return steplog.Name{Run: l.Run, Step: l.Step, Attempt: l.Attempt}
}

// finish takes the last word on an attempt, once its log is there to the last byte.
func (s *Server) finish(c call[client.StepReport]) (none, error) {
	lease, err := leaseIn(c.Request, c.Caller)
	if err != nil {
		return none{}, err
	}
	report := towpath.StepReported{
		State: towpath.AttemptState(c.Body.State), Reason: c.Body.Reason, ExitCode: c.Body.ExitCode,
		Outputs: c.Body.Outputs, Artifacts: nounsOf(lease.Step, c.Body.Artifacts),
	}
	if err := s.everHeld(c.Request, c.Caller, lease); err != nil { // before its log is ended
		return none{}, err
	}
	if err := s.checkArtifacts(report.Artifacts); err != nil {
		return none{}, err
	}
	log, err := s.sealLog(lease, c.Body.LogSize)
	if err != nil {
		return none{}, err
	}
	return none{}, s.Flow.ReportStep(c.Context(), lease, report, log)
}

// sealLog ends the log of an attempt, and answers how long it is. A step that printed nothing has none.
func (s *Server) sealLog(lease towpath.Lease, size int64) (store.Log, error) {
	log, err := s.Logs.Open(logName(lease))
	if errors.Is(err, steplog.ErrNotFound) && size == 0 {
		return store.Log{}, nil
	}
	if err != nil {
		return store.Log{}, err
	}
	if log.Size() != size {
		return store.Log{}, towpath.Errorf(towpath.CodeConflict, "the log has %d of %d bytes", log.Size(), size).
			WithHint("send the rest before the report")
	}
	return store.Log{Lines: int(log.Lines()), Size: size}, log.Finish(size)
}
