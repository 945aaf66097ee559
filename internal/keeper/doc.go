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
// Without its server a keeper begins nothing, with three exceptions: a person on its machine goes back ([GoBack]); its
// lease is over, and the release under way does not stand its traffic; its machine was started anew, and nothing serves.
// Then the environment's record is the keeper's own for a while: the reducer of the root package decides here as it does
// at the server, under an epoch above all that were seen, and is on the disk before anything is done. When the server
// answers again it hears what was done, and its order counts again.
//
// On the keeper's disk, below the worker's data folder:
//
//	keeper/key                     seals the secrets in orders; made once, readable by its owner only
//	keeper/lock                    held by whoever gives orders from this folder
//	keeper/direct.sock             takes the wishes of people who go back without the server
//	keeper/<environment>/order     the last order, before anything is done because of it, and what was done without the server
//	keeper/<environment>/journal   operations begun and ended, one JSON object a line
//	keeper/trees/                  files of the releases that orders name
//
// Files of this package: keeper.go and link.go (the manager and its word with the server), performer.go (the round),
// look.go (observation), carry.go (operations), tries.go (what becomes of errors), report.go, order.go, journal.go and
// trees.go. Without the server: alone.go (its own record, and telling it), lonely.go (what it decides by itself), direct.go
// (going back by hand) and control.go (the socket).
package keeper
