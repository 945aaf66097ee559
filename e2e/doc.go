// Package e2e tries the shipped binary: real git, real processes, real SQLite, real traffic, and real kills. Its stories
// are what the README promises; each stands alone, in a folder and on ports of its own, and fails if it leaves a
// process behind. Linux only, for it looks into /proc.
package e2e
