// Package caddy is the balancer that moves traffic by a Caddy, through its admin API.
//
// The environment is one reverse_proxy handler of the configuration, found by its "@id"; its upstreams are the instances
// that have a share. Beside it, in the same list of handlers, the driver keeps a subroute that matches no request: what is
// written there is the epoch of the last keeper and who the members are, and there the upstreams without a share are
// parked, so that Caddy goes on counting what they have in flight. Each order replaces the list in one request that holds
// only if nobody has changed it since it was read (If-Match), so that an order of a stale epoch is refused.
//
// A change loads the configuration anew. Requests in flight end where they began, but Caddy closes idle connections and
// WebSockets then.
package caddy
