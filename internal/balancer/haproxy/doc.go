// Package haproxy is the balancer that moves traffic by the runtime sockets of one HAProxy or of several.
//
// An environment is a backend, all of whose servers but those marked backup are ours. An instance has a server of the
// backend's template, whose address it is given, or, where none is vacant, one that is added under its own name. Nothing
// is kept here that HAProxy could be asked: a server's instance is who answers at its address (docs/balancers.md, decision
// 0105). HAProxy has nothing that refuses an order of an earlier keeper, so every order is absolute, and is read back.
package haproxy
