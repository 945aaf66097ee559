// Package demo takes a small web shop from a push to live traffic on this machine, and back, while requests are sent
// to it without a break, and has a bad release and two kills be recovered from; then it tells how many requests failed,
// how long a switch and a rollback took, and from what it recovered.
//
// It is a user of the binary like any other: it starts "towpath server", "towpath worker" and "towpath proxy" as
// processes of their own in a throw-away folder, and speaks to the server through package client, as people whom it
// has made accounts for. Only what outlives the worker it has to end itself (stop.go).
package demo
