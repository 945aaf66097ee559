// Package crash tells a story in which the shipped binary is killed again and again, and judges it: what was acknowledged
// is compared with what is stored once everything has come to rest.
//
// A [World] is a machine with a server, a worker with its keepers, and a proxy, each a process of its own that is started
// again when it dies, as an init system does. A [Story] is what people and programs do there meanwhile: they push, approve,
// deploy, go back, cancel, and change accounts, while requests go on. Whoever runs them says who dies, and when: at the
// places that [Points] finds in the source, or at random.
package crash
