package web

import (
	"cmp"
	"fmt"
)

// isOlder says that a release is older than another. What is no release, such as a build of somebody's own, is not
// compared.
func isOlder(version, than string) bool {
	a, okA := releaseOf(version)
	b, okB := releaseOf(than)
	return okA && okB && cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]), cmp.Compare(a[2], b[2])) < 0
}

// releaseOf reads v1.2.3, and what may follow it.
func releaseOf(version string) (parts [3]int, ok bool) {
	n, _ := fmt.Sscanf(version, "v%d.%d.%d", &parts[0], &parts[1], &parts[2])
	return parts, n == len(parts)
}
