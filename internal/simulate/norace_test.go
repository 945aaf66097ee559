//go:build !race

package simulate

// isRacy says that the race detector is on.
const isRacy = false
