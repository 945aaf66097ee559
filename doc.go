// Package towpath holds the nouns of Towpath, a continuous-delivery server, and the two pure functions that carry it.
// It imports the standard library only: no clock, no I/O, no randomness. A change flows through seven legs:
//
//  1. change: a webhook arrives, or polling sees a new revision ([Change]; package trigger)
//  2. run: the pipeline file at that revision becomes a frozen graph of steps ([Pipeline], [Run]; package pipeline)
//  3. step: a ready step is leased to a worker, which runs it and reports ([Step], [Lease]; packages queue, worker)
//  4. artifact: what a build keeps, by content digest ([Artifact]; package artifact)
//  5. approval: people are asked, and their decision is bound to what they were shown ([Approval]; package approval)
//  6. deployment: a release becomes the goal of an environment, whose keeper makes it so ([Release], [Environment];
//     packages deploy, keeper, target)
//  7. traffic: the balancer moves requests from the old release to the new ([Observation]; packages balancer, proxy)
//
// [Run.Next] and [Environment.Next] take an event and answer the next state with the effects that follow from it.
// Whoever holds an event loads the aggregate, applies Next, and saves state and effects in one transaction; only then
// are the effects carried out (package flow). So a crash between any two instructions costs nothing.
package towpath
