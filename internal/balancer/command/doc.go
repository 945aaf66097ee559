// Package command is the balancer that is moved by scripts of its owner: one that prints who its members are, one that gives
// them their shares, and perhaps one that waits until they are idle (docs/balancers.md, docs/decisions/0119).
package command
