package proxy

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// maxOrder bounds the body of an order: far above a route with all the backends it can have.
const maxOrder = 1 << 20

// api answers the control socket and the control port.
type api struct {
	controller *controller
	gone       chan struct{} // closed when this process has nothing left to do
	dismissed  chan struct{} // one slot: the successor knows all that this one did
}

// orders are what may come from anywhere the token is known.
func (a *api) orders() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/state", a.state)
	mux.HandleFunc("GET /v1/routes/{route}", a.route)
	mux.HandleFunc("PUT /v1/routes/{route}", a.putRoute)
	mux.HandleFunc("DELETE /v1/routes/{route}", a.removeRoute)
	mux.HandleFunc("PUT /v1/routes/{route}/epoch", a.claim)
	mux.HandleFunc("PUT /v1/routes/{route}/backends", a.putBackends)
	mux.HandleFunc("DELETE /v1/routes/{route}/backends/{backend}", a.removeBackend)
	mux.HandleFunc("PUT /v1/routes/{route}/weights", a.setWeights)
	mux.HandleFunc("POST /v1/routes/{route}/drain", a.drain)
	return mux
}

// local adds what only processes of this machine's same user may ask, over the socket.
func (a *api) local() *http.ServeMux {
	mux := a.orders()
	mux.HandleFunc("POST /v1/handover", a.handOver)
	mux.HandleFunc("PUT /v1/follow", a.follow)
	mux.HandleFunc("GET /v1/farewell", a.farewell)
	mux.HandleFunc("POST /v1/dismiss", a.dismiss)
	return mux
}

// guarded lets through who shows the token.
func guarded(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown := []byte(r.Header.Get("Authorization"))
		if subtle.ConstantTimeCompare(shown, []byte("Bearer "+token)) != 1 {
			refuse(w, control.Refuse(control.CodeUnauthorized, "`towpath proxy key` prints the key on the proxy's machine", "the key is wrong, or was renewed"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *api) state(w http.ResponseWriter, r *http.Request) {
	answer(w, a.controller.state(r.Context()), nil)
}

func (a *api) route(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("route")
	c := a.controller
	c.mu.Lock()
	defer c.mu.Unlock()
	record := c.book.route(name)
	if record == nil {
		refuse(w, control.Refuse(control.CodeUnknownRoute, "put it first", "no route %q", name))
		return
	}
	answer(w, c.knownState(r.Context(), *record), nil)
}

func (a *api) claim(w http.ResponseWriter, r *http.Request) {
	a.change(w, r, func(control.Order, *record) error { return nil })
}

func (a *api) putRoute(w http.ResponseWriter, r *http.Request) {
	a.change(w, r, func(order control.Order, route *record) error {
		if order.Route == nil || order.Route.Name != route.Name {
			return control.Refuse(control.CodeInvalid, "send the route that the address names", "no such route in the order")
		}
		return route.put(*order.Route)
	})
}

func (a *api) putBackends(w http.ResponseWriter, r *http.Request) {
	a.changeExisting(w, r, func(order control.Order, route *record) error {
		return route.putBackends(order.Backends, a.inUse(r, order, route))
	})
}

func (a *api) setWeights(w http.ResponseWriter, r *http.Request) {
	a.changeExisting(w, r, func(order control.Order, route *record) error {
		return route.setWeights(order.Weights)
	})
}

func (a *api) removeBackend(w http.ResponseWriter, r *http.Request) {
	a.changeExisting(w, r, func(order control.Order, route *record) error {
		if order.Force {
			_ = route.setWeights(withoutOne(route, r.PathValue("backend")))
		}
		return route.remove(r.PathValue("backend"), a.inUse(r, order, route))
	})
}

func (a *api) removeRoute(w http.ResponseWriter, r *http.Request) {
	a.change(w, r, func(order control.Order, route *record) error {
		if order.Force {
			_ = route.setWeights(nil)
		}
		return route.removeAll(a.inUse(r, order, route))
	})
}

// inUse asks what is in flight, or, when the order is forced, does not care.
func (a *api) inUse(r *http.Request, order control.Order, route *record) func(string) bool {
	if order.Force {
		return func(string) bool { return false }
	}
	return a.controller.isInUse(r.Context(), route.Name)
}

// withoutOne are the route's weights but one.
func withoutOne(route *record, id string) map[string]int {
	weights := make(map[string]int)
	for _, b := range route.Backends {
		if b.ID != id {
			weights[b.ID] = b.Weight
		}
	}
	return weights
}

func (a *api) drain(w http.ResponseWriter, r *http.Request) {
	order, err := readOrder(w, r)
	if err == nil && order.Drain == nil {
		err = control.Refuse(control.CodeInvalid, "name backends and clocks", "the order has nothing to drain")
	}
	if err != nil {
		refuse(w, err)
		return
	}
	result, err := a.controller.drain(r.Context(), r.PathValue("route"), order.Epoch, *order.Drain)
	answer(w, result, err)
}

// handOver answers when connections and orders are no longer taken and the folder is free.
func (a *api) handOver(w http.ResponseWriter, _ *http.Request) {
	a.controller.disown()
	select {
	case a.controller.handedOver <- struct{}{}:
	default:
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *api) follow(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(r.Body)
	if err == nil {
		err = a.controller.follow(content)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *api) farewell(w http.ResponseWriter, r *http.Request) {
	select {
	case <-a.gone:
		answer(w, a.controller.state(context.WithoutCancel(r.Context())), nil)
	case <-r.Context().Done():
	}
}

func (a *api) dismiss(w http.ResponseWriter, _ *http.Request) {
	select {
	case a.dismissed <- struct{}{}:
	default:
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *api) changeExisting(w http.ResponseWriter, r *http.Request, edit func(control.Order, *record) error) {
	a.change(w, r, func(order control.Order, route *record) error {
		if err := needsRoute(route); err != nil {
			return err
		}
		return edit(order, route)
	})
}

func (a *api) change(w http.ResponseWriter, r *http.Request, edit func(control.Order, *record) error) {
	order, err := readOrder(w, r)
	if err != nil {
		refuse(w, err)
		return
	}
	// A client that hangs up does not leave an order half carried out.
	ctx := context.WithoutCancel(r.Context())
	state, err := a.controller.change(ctx, r.PathValue("route"), order.Epoch, func(route *record) error {
		return edit(order, route)
	})
	answer(w, state, err)
}

func readOrder(w http.ResponseWriter, r *http.Request) (control.Order, error) {
	var order control.Order
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&order); err != nil {
		return order, control.Refuse(control.CodeInvalid, "send one JSON object", "order not understood: %v", err)
	}
	return order, nil
}

func answer(w http.ResponseWriter, result any, err error) {
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(result)
}

func refuse(w http.ResponseWriter, err error) {
	var refused *control.Error
	if !errors.As(err, &refused) {
		refused = control.Refuse(control.CodeInternal, "see the proxy's log", "%v", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(refused.Status())
	_ = json.NewEncoder(w).Encode(refused)
}
