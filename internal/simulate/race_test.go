//go:build race

package simulate

// isRacy says that the race detector is on: a story takes ten times as long then.
const isRacy = true
