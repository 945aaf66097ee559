package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
)

// largestAlert bounds what is read of a delivery, in bytes.
const largestAlert = 1 << 20

// received is an alert that arrived.
type received struct {
	Kind    towpath.AlertKind `json:"kind"`
	Subject string            `json:"subject"`
	Text    string            `json:"text"`
	key     string            // by which a delivery that comes twice is known
	at      time.Time
}

// receiver is where the server posts its alerts.
type receiver struct {
	url    string
	server *http.Server

	mutex  sync.Mutex
	alerts []received
}

func newReceiver() (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the receiver of alerts: %w", err)
	}
	r := &receiver{url: "http://" + listener.Addr().String()}
	r.server = &http.Server{Handler: http.HandlerFunc(r.take), ReadHeaderTimeout: 10 * time.Second}
	go r.server.Serve(listener) //nolint:errcheck // it ends with close, which answers for it
	return r, nil
}

func (r *receiver) close() error {
	if r == nil {
		return nil
	}
	return r.server.Close()
}

func (r *receiver) take(w http.ResponseWriter, request *http.Request) {
	alert := received{key: request.Header.Get("Towpath-Delivery"), at: time.Now()}
	if err := json.NewDecoder(http.MaxBytesReader(w, request.Body, largestAlert)).Decode(&alert); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.alerts = append(r.alerts, alert)
}

// of answers the alerts of a kind, in the order in which they came.
func (r *receiver) of(kind towpath.AlertKind) []received {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return slices.DeleteFunc(slices.Clone(r.alerts), func(a received) bool { return a.Kind != kind })
}

// await waits for the first alert of a kind.
func (r *receiver) await(ctx context.Context, kind towpath.AlertKind, atMost time.Duration) (received, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, atMost, errors.New("no alert arrived"))
	defer cancel()
	err := until(ctx, func(context.Context) bool { return len(r.of(kind)) > 0 })
	if err != nil {
		return received{}, fmt.Errorf("wait %s for an alert of kind %q: %w", atMost, kind, err)
	}
	return r.of(kind)[0], nil
}
