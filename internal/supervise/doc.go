// Package supervise keeps one process up: it is the small supervisor above each instance of a `process` target.
//
// A [Client] gives orders about an instance's folder; [Run] is the supervisor, a process of its own that outlives
// whoever launched it. The folder is all that the two share:
//
//	spec.json       what to run; written once, readable by its owner only, for it may hold secrets
//	epoch.json      the last order that was accepted, with the epoch of whoever gave it
//	state.json      what the supervisor saw last
//	log, log.1 …    what the instance wrote
//	supervisor.log  what the supervisor has to say
//	control.sock    where a living supervisor takes orders
//	lock            held for as long as a supervisor lives, so that there is never a second
//	epoch.lock      held while an order is compared and written
//
// An order is written, and synced, before it is carried out. What the supervisor does follows from that file and from
// what runs, never from what it remembers, so that it can be killed at any moment: the instance runs on, writing its
// log, and the next supervisor adopts it by its identity. The group that will hold a new child is written down before
// the child is started, so that a start that was cut short is undone instead of doubled (on macOS and Windows, where
// a group has no name before its first process, that moment stays open).
package supervise
