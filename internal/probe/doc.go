// Package probe tries instances as the health of their environment's definition says, whatever target they run in, and
// remembers how the last tries ended: one that failed in a row of good ones says little.
package probe
