// Package keeper is legs 6 and 7 on the worker: it keeps environments, each so that its goal serves.
//
// [Run] is one loop that holds the leases and takes orders, and above it one [performer] an environment, which goes
// round: observe, plan, perform up to the next barrier, and again. Nothing remembers where a deployment stood. The
// server is told what was seen and what was done, and answers with what holds now; both ways of an order, the answer to
// a report and the manager's long poll, end in the same place, where the newer one wins.
//
// Between the arrival of a new goal and the operation that answers it stand one observation and one plan. A wait is
// cut when the goal changes: what was begun is planned again, which is always allowed.
//
// On the keeper's disk, below the worker's data folder:
//
//	keeper/key                     seals the secrets in orders; made once, readable by its owner only
//	keeper/<environment>/order     the last order, before anything is done because of it
//	keeper/<environment>/journal   operations begun and ended, one JSON object a line
//	keeper/trees/                  files of the releases that orders name
//
// Files of this package: keeper.go and link.go (the manager and its word with the server), performer.go (the round),
// look.go (observation), carry.go (operations), tries.go (what becomes of errors), report.go, order.go, journal.go and
// trees.go.
package keeper
