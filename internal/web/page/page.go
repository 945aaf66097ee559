// Package page is how the server's pages look: templates, and the values that they show. It knows the words of the wire
// (package client) and nothing of how they are found. Everything that moves is a component of its own, so that an event
// stream can send it again.
package page

import (
	"net/url"
	"strconv"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// Frame is what every page shows around its own content.
type Frame struct {
	Title string
	Name  string // of who is signed in; empty is nobody
	Here  string // path of the section in the navigation
	Now   time.Time

	Workers bool // they may see the workers
}

// runURL is where a run is shown.
func runURL(pipeline string, number int) string {
	return "/runs/" + url.PathEscape(pipeline) + "/" + strconv.Itoa(number)
}

// logURL is where the log of a step is shown.
func logURL(r client.Run, step string) string {
	return runURL(r.Pipeline, r.Number) + "/steps/" + url.PathEscape(step) + "/log"
}

// attemptURL is where the log of one attempt is read.
func attemptURL(r client.Run, step string, attempt int) string {
	return logURL(r, step) + "?attempt=" + strconv.Itoa(attempt)
}

// rawLogURL is where the bytes of the same log are.
func rawLogURL(r client.Run, step string, attempt int) string {
	return "/api/v1/pipelines/" + url.PathEscape(r.Pipeline) + "/runs/" + strconv.Itoa(r.Number) +
		"/steps/" + url.PathEscape(step) + "/log?attempt=" + strconv.Itoa(attempt)
}

// approvalURL is where a decision is asked for.
func approvalURL(pipeline string, number int, step string) string {
	return "/approvals/" + url.PathEscape(pipeline) + "/" + strconv.Itoa(number) + "/" + url.PathEscape(step)
}

// environmentURL is where an environment is shown.
func environmentURL(pipeline, name string) string {
	return "/environments/" + url.PathEscape(pipeline) + "/" + url.PathEscape(name)
}
