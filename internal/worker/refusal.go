package worker

import (
	"errors"
	"net/http"
	"slices"

	"github.com/towpath-cd/towpath/client"
)

// codeOf is the server's code of an error, or empty.
func codeOf(err error) string {
	if e, ok := errors.AsType[*client.Error](err); ok {
		return e.Code
	}
	return ""
}

// isStale says that the attempt is no longer this worker's: nothing that it did counts any more.
func isStale(err error) bool { return slices.Contains([]string{"stale", "not_found"}, codeOf(err)) }

// isRemoved says that the server refuses this worker whatever it asks.
func isRemoved(err error) bool {
	return slices.Contains([]string{"unauthorized", "forbidden"}, codeOf(err))
}

// isPassing says that the same call may succeed later.
func isPassing(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	return ok && (e.Temporary() || e.Status >= http.StatusInternalServerError)
}
