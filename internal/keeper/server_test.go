//go:build unix

package keeper_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/artifact"
)

const (
	worker    = "worker-1"
	leaseTime = 15 * time.Second
	pollTime  = time.Second
)

// server speaks the keeper's part of the API, and lets the real reducer decide what becomes of an environment.
type server struct {
	t     testing.TB
	http  *httptest.Server
	store *artifact.Store

	mutex       sync.Mutex
	environment towpath.Environment
	releases    map[int]towpath.Release
	secrets     map[string]string
	observed    towpath.Observation
	doings      []string
	journal     []towpath.JournalEntry
	deployments map[string]towpath.Deployment
	rung        chan struct{}
	isDeaf      bool // answers nothing but 503
	unheard     int  // calls that were answered so
	lease       time.Duration
	holder      string          // who keeps it
	barred      map[string]bool // holders that it was taken from
}

func newServer(t testing.TB, d towpath.EnvironmentDefinition) *server {
	t.Helper()
	store, err := artifact.OpenStore(t.TempDir(), artifact.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	s := &server{
		t: t, store: store, environment: towpath.NewEnvironment("p1", "shop", d, time.Now()),
		releases: make(map[int]towpath.Release), deployments: make(map[string]towpath.Deployment),
		secrets: map[string]string{"PASSWORD": "open sesame", "PROXY_KEY": "for the driver only"}, rung: make(chan struct{}),
		lease: leaseTime, barred: make(map[string]bool),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/worker/keep", s.keep)
	mux.HandleFunc("POST /api/v1/worker/environments/shop/production/report", s.report)
	mux.HandleFunc("GET /api/v1/worker/environments/shop/production/artifacts/manifests/{digest}", s.manifest)
	mux.HandleFunc("GET /api/v1/worker/environments/shop/production/artifacts/packs/{digest}", s.pack)
	s.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.deaf() {
			refuse(w, http.StatusServiceUnavailable, "unavailable")
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.http.Close)
	return s
}

func (s *server) deaf() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.isDeaf {
		s.unheard++
	}
	return s.isDeaf
}

func (s *server) setDeaf(is bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.isDeaf = is
	s.ring()
}

// happens applies an event. The caller holds the mutex.
func (s *server) happens(event towpath.EnvironmentEvent) error {
	if err := s.environment.Refuses(event); err != nil {
		return err
	}
	next, effects := s.environment.Next(event)
	s.environment = next
	for _, e := range effects {
		switch e := e.(type) {
		case towpath.RecordDeployment:
			s.deployments[e.Deployment.ID] = e.Deployment
		case towpath.WakeKeeper:
			s.ring()
		}
	}
	return nil
}

func (s *server) ring() {
	close(s.rung)
	s.rung = make(chan struct{})
}

func (s *server) keep(w http.ResponseWriter, r *http.Request) {
	var request client.KeepRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		refuse(w, http.StatusBadRequest, "invalid")
		return
	}
	timeout := time.After(pollTime)
	for {
		found, rung := s.keepNow(request)
		if len(request.Leaving)+len(found.Orders)+len(found.Lost) > 0 {
			answer(w, found)
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-timeout:
			answer(w, found)
			return
		case <-rung:
		}
	}
}

func (s *server) keepNow(request client.KeepRequest) (client.KeepAnswer, chan struct{}) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	now := time.Now()
	key := s.environment.Key
	found := client.KeepAnswer{Expires: now.Add(s.lease), Now: now}
	if s.barred[request.Holder] || s.environment.IsRemoved() {
		found.Lost = append(found.Lost, key)
		return found, s.rung
	}
	s.holder = request.Holder
	if len(request.Leaving) > 0 {
		_ = s.happens(towpath.KeeperLeft{Worker: worker, At: now})
		return found, s.rung
	}
	known := client.Keeping{Serial: -1}
	if len(request.Kept) > 0 {
		known = request.Kept[0]
	}
	before := s.environment.Epoch
	err := s.happens(towpath.KeeperLeased{
		Worker: worker, Holder: request.Holder + "/" + key, Observed: known.Observed, Tied: true,
		Expires: found.Expires, At: now,
	})
	if err != nil {
		s.t.Errorf("lease refused: %v", err)
		found.Lost = append(found.Lost, key)
		return found, s.rung
	}
	if known.Serial != s.environment.Serial || before != s.environment.Epoch {
		found.Orders = append(found.Orders, s.order())
	}
	return found, s.rung
}

// order answers what a keeper needs to know. The caller holds the mutex.
func (s *server) order() client.KeeperOrder {
	o := client.KeeperOrder{Environment: s.environment, Secrets: s.secrets, Now: time.Now()}
	sent := map[int]bool{0: true}
	for _, ref := range s.environment.Needed() {
		if !sent[ref.Number] {
			o.Releases = append(o.Releases, s.releases[ref.Number])
		}
		sent[ref.Number] = true
	}
	return o
}

func (s *server) report(w http.ResponseWriter, r *http.Request) {
	var given client.KeeperReport
	if err := json.NewDecoder(r.Body).Decode(&given); err != nil {
		refuse(w, http.StatusBadRequest, "invalid")
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if given.Epoch != s.environment.Epoch {
		refuse(w, http.StatusPreconditionFailed, "stale")
		return
	}
	if given.Observation != nil {
		s.observed = *given.Observation
		s.doings = append(s.doings, given.Doing)
	}
	s.journal = append(s.journal, given.Journal...)
	event, err := given.Happened(time.Now())
	if err != nil {
		refuse(w, http.StatusBadRequest, "invalid")
		return
	}
	if event != nil {
		_ = s.happens(event) // what it is past changes nothing: the order says what holds
	}
	answer(w, s.order())
}

func (s *server) manifest(w http.ResponseWriter, r *http.Request) {
	m, err := s.tree(r)
	if err != nil {
		refuse(w, http.StatusNotFound, "not_found")
		return
	}
	_, _ = w.Write(m.Encode())
}

func (s *server) pack(w http.ResponseWriter, r *http.Request) {
	m, err := s.tree(r)
	if err != nil {
		refuse(w, http.StatusNotFound, "not_found")
		return
	}
	_ = s.store.Pack(r.Context(), w, m.Digests())
}

func (s *server) tree(r *http.Request) (artifact.Manifest, error) {
	d, err := artifact.ParseDigest(r.PathValue("digest"))
	if err != nil {
		return nil, err
	}
	return s.store.Manifest(d)
}

func answer(w http.ResponseWriter, what any) { _ = json.NewEncoder(w).Encode(what) }

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	answer(w, client.Error{Code: code, Message: "refused: " + code})
}

// release makes a release of one file, which says what its instances shall say.
func (s *server) release(says string) towpath.Release {
	s.t.Helper()
	dir := s.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "says"), []byte(says), 0o600); err != nil {
		s.t.Fatal(err)
	}
	m, err := artifact.Scan(s.t.Context(), artifact.Selection{Dir: dir})
	if err != nil {
		s.t.Fatal(err)
	}
	pack := new(bytes.Buffer)
	if err := artifact.WritePack(s.t.Context(), pack, dir, m, m.Digests()); err != nil {
		s.t.Fatal(err)
	}
	if err := s.store.PutPack(context.Background(), pack); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.store.PutManifest(m.Encode()); err != nil {
		s.t.Fatal(err)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	n := len(s.releases) + 1
	s.releases[n] = towpath.Release{
		Pipeline: "shop", Number: n, Change: n, Title: says, Revision: fmt.Sprintf("%040d", n),
		Artifacts: []towpath.Artifact{{Step: "build", Digest: m.Digest().String(), Platform: "any", Size: m.Bytes()}},
		Env:       map[string]map[string]string{"production": {"GREETING": "kind regards", "APP": os.Args[0]}},
	}
	return s.releases[n]
}

// deploy wishes for a release, and answers the deployment's ID.
func (s *server) deploy(r towpath.Release) string {
	s.t.Helper()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	id := fmt.Sprintf("d%d", len(s.deployments)+1)
	err := s.happens(towpath.DeploymentRequested{At: time.Now(), Deployment: towpath.Deployment{
		ID: id, Release: r.Ref(), Cause: towpath.CauseManual, By: "ann",
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// rollback wishes to go back, and answers the deployment's ID.
func (s *server) rollback() string {
	s.t.Helper()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	id := fmt.Sprintf("d%d", len(s.deployments)+1)
	if err := s.happens(towpath.RollbackRequested{ID: id, By: "ann", At: time.Now()}); err != nil {
		s.t.Fatal(err)
	}
	if d := s.environment.Deployment; d != nil {
		return d.ID
	}
	return id
}

func (s *server) now() (towpath.Environment, towpath.Observation) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.environment, s.observed
}

func (s *server) deployment(id string) towpath.Deployment {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.deployments[id]
}

// ends waits until a deployment is over.
func (s *server) ends(id string, state towpath.DeploymentState) towpath.Deployment {
	s.t.Helper()
	until(s.t, "deployment "+id+" ends", func() bool { return s.deployment(id).State.IsFinal() })
	d := s.deployment(id)
	if d.State != state {
		s.t.Fatalf("deployment %s is %s, not %s: %s", id, d.State, state, d.Outcome)
	}
	return d
}
