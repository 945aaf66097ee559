// Package deploy is leg 6 without its hands: it says what has to be done in an environment so that its goal serves,
// and why. It is pure: no I/O, no clock, no randomness. The keeper performs what it says.
//
// [Facts] are what drivers observe and what is recorded. [NewPlan] turns them into [Operation]s, each with its reason.
// A strategy is an ordered list of rules, one file each ([blueGreen], [canary], [rolling], [allAtOnce], [takeDown]): a rule looks at the
// situation as it is and names the next operations, or leaves the word to the rule after it. Nothing remembers where a
// deployment stood, so a keeper that was killed anywhere goes on by planning again. A plan to its end is the same rules
// on a predicted world ([Facts] after each operation), and [NewForecast] is that plan in words.
//
// [Driver] is what every target and every balancer looks like from here.
package deploy
