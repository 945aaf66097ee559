// Package remote has orders carried out on machines, by scripts for POSIX sh that are sent there: over SSH, or on the machine
// that we are on. Nothing of ours is installed there.
//
// A script gets what it is to know in variables (TW_…), which hold data and never commands, but for the scripts of the
// pipeline file. What it answers is a line of words with tabs between them, and what went wrong is among these. One that
// changes anything holds a lock of flock(1), compares the epoch in a file beside what it changes, and has a watchdog beside
// it, which ends it at its deadline whether its keeper is still there or not (script.go).
package remote
