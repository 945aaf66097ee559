// Package simulate runs the whole house in one process on a clock of its own, with everything going wrong that can, and
// checks the promises of the design after each event. A seed says all that happens: the same seed is the same story,
// byte for byte.
//
// What is judged is the code that is shipped: [towpath.Run.Next] and [towpath.Environment.Next], the conductor (package
// flow) with the queue and the store on SQLite, and the planner (package deploy). What surrounds it is a world of this
// package's own, which calls none of that for its own purposes: a repository, workers, people, keepers, machines with
// instances, a balancer, clients, a receiver of alerts, and clocks.
//
// To read it: world.go (events and time), scenario.go (what a seed draws), server.go and mortal.go (the judged server,
// which may die at each of its commits), wire.go (messages), then those that live in the world, one a file:
// repository.go, worker.go, people.go, keeper.go with performer.go, perform.go and give.go, machine.go, target.go,
// balancer.go, client.go and receiver.go. invariant.go lists what is promised, with the sentence and where it stands;
// the judge's files are judge*.go, and wiring.go is where the tests put a bug in between.
package simulate
