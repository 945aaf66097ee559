package proxy

// ballastSize is how much garbage a proxy may make between two collections, beside as much as is in use, in bytes. What
// is in use at a proxy is little: without it a busy one collects twenty times a second.
const ballastSize = 32 << 20

// newBallast answers memory that is never touched, so that the kernel never gives it a page: it counts only where the
// garbage collector decides when to run next (doc/gc-guide of Go, "GOGC"). Unlike a higher GOGC it does not multiply what
// thousands of connections need.
func newBallast() []byte { return make([]byte, ballastSize) }
