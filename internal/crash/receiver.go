package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// refusedAlerts is which of the alerts the receiver does not take: every so many.
const refusedAlerts = 5

// receiver takes alerts, most of the time.
type receiver struct {
	server   *http.Server
	listener net.Listener

	mutex sync.Mutex
	calls int
	taken map[string]int // by the alert's key
	kinds map[string]int
}

func newReceiver() (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for alerts: %w", err)
	}
	r := &receiver{listener: listener, taken: map[string]int{}, kinds: map[string]int{}}
	r.server = &http.Server{Handler: http.HandlerFunc(r.take), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(listener) }()
	return r, nil
}

func (r *receiver) address() string { return "http://" + r.listener.Addr().String() }

func (r *receiver) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	if err := r.server.Shutdown(ctx); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (r *receiver) take(w http.ResponseWriter, request *http.Request) {
	var alert struct{ Kind string }
	if err := json.NewDecoder(request.Body).Decode(&alert); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.calls++; r.calls%refusedAlerts == 0 {
		http.Error(w, "too busy", http.StatusServiceUnavailable)
		return
	}
	r.taken[request.Header.Get("Towpath-Delivery")]++
	r.kinds[alert.Kind]++
}

// doubled answers how many different alerts came, and how many came more than once.
func (r *receiver) doubled() (alerts, twice int) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, times := range r.taken {
		if times > 1 {
			twice++
		}
	}
	return len(r.taken), twice
}

func (r *receiver) isTaken(key string) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.taken[key] > 0
}
