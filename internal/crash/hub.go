package crash

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// hub is the forge of the story: it keeps webhooks and statuses as Gitea's API has them, and delivers when it is told to.
// Every so many statuses it is too busy.
type hub struct {
	server   *http.Server
	listener net.Listener

	mutex    sync.Mutex
	url      string // of the webhook
	secret   string
	calls    int
	statuses map[string][]string // by "revision context", in the order in which they came
}

// refusedStatuses is which of the statuses the hub does not take: every so many.
const refusedStatuses = 4

func newHub() (*hub, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen as a forge: %w", err)
	}
	h := &hub{listener: listener, statuses: map[string][]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/repos/{owner}/{name}", h.repository)
	mux.HandleFunc("GET /api/v1/repos/{owner}/{name}/{list}", h.nothing)
	mux.HandleFunc("POST /api/v1/repos/{owner}/{name}/hooks", h.hook)
	mux.HandleFunc("POST /api/v1/repos/{owner}/{name}/statuses/{revision}", h.status)
	h.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = h.server.Serve(listener) }()
	return h, nil
}

func (h *hub) address() string { return "http://" + h.listener.Addr().String() }

func (h *hub) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	if err := h.server.Shutdown(ctx); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (h *hub) repository(w http.ResponseWriter, r *http.Request) {
	says(w, http.StatusOK, map[string]any{"full_name": r.PathValue("owner") + "/" + r.PathValue("name"), "default_branch": "main"})
}

// nothing is what there is of webhooks and protected branches before Towpath comes.
func (h *hub) nothing(w http.ResponseWriter, _ *http.Request) { says(w, http.StatusOK, []any{}) }

func (h *hub) hook(w http.ResponseWriter, r *http.Request) {
	var said struct{ Config map[string]string }
	if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.PathValue("name") == teamPipeline { // the others' repositories are never pushed to
		h.trusts(said.Config["url"], said.Config["secret"])
	}
	says(w, http.StatusCreated, map[string]any{"id": 1})
}

func (h *hub) status(w http.ResponseWriter, r *http.Request) {
	var said struct{ Context, State string }
	if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.calls++; h.calls%refusedStatuses == 0 {
		http.Error(w, "{}", http.StatusServiceUnavailable)
		return
	}
	of := r.PathValue("revision") + " " + said.Context
	h.statuses[of] = append(h.statuses[of], said.State)
	says(w, http.StatusCreated, map[string]any{"id": h.calls})
}

func says(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

// trusts has deliveries made to a URL and signed with a secret from now on.
func (h *hub) trusts(url, secret string) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.url, h.secret = url, secret
}

// shown answers the statuses of a commit in their order.
func (h *hub) shown(revision, what string) []string {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return h.statuses[revision+" "+what]
}

// delivers makes a delivery once, and answers the status that it had; an error where there was no answer.
func (h *hub) delivers(ctx context.Context, id, event string, body []byte, isSigned bool) (status int, err error) {
	h.mutex.Lock()
	url, secret := h.url, h.secret
	h.mutex.Unlock()
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Gitea-Event", event)
	request.Header.Set("X-Gitea-Delivery", id)
	if isSigned {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		request.Header.Set("X-Gitea-Signature", hex.EncodeToString(mac.Sum(nil)))
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}
