// Package proxy is the balancer that moves traffic by Towpath's own proxy on this machine.
//
// An environment is a route of the proxy, named by its key; its instances are the route's backends. Every order is
// absolute and carries the keeper's epoch, which the proxy keeps for each route and compares. Starting the proxy is
// nobody's business here: where none answers, an order did not happen, and may when it is tried again.
package proxy
