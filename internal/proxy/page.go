package proxy

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// page is what a client sees when the proxy itself has to answer. It says nothing of what stands behind:
// no names, addresses or versions, only a number that is in the proxy's log as well.
type page struct {
	status int
	code   string
	title  string
	text   string
}

func pageUnknownHost() page {
	return page{http.StatusNotFound, "not_found", "Not found", "There is nothing at this address."}
}

func pageUnavailable() page {
	return page{
		http.StatusServiceUnavailable, "unavailable", "Unavailable",
		"The service cannot answer at the moment. Please try again shortly.",
	}
}

func pageUnreachable() page {
	return page{
		http.StatusBadGateway, "bad_gateway", "No answer",
		"The service did not answer this request. Please try again shortly.",
	}
}

const pageHTML = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>%[1]s</title>
<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto 0;
padding:0 1rem}small{opacity:.6}</style>
<h1>%[1]s</h1><p>%[2]s</p><p><small>Request %[3]s</small></p></html>
`

// write answers with the page, as JSON for who accepts that and not HTML.
func (p page) write(w http.ResponseWriter, r *http.Request, id string) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Request-Id", id)
	if p.status == http.StatusServiceUnavailable {
		header.Set("Retry-After", "1")
	}
	if wantsJSON(r) {
		header.Set("Content-Type", "application/json")
		w.WriteHeader(p.status)
		_ = json.NewEncoder(w).Encode(map[string]string{"code": p.code, "message": p.text, "request": id})
		return
	}
	header.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(p.status)
	fmt.Fprintf(w, pageHTML, p.title, p.text, id)
}

func wantsJSON(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "json") && !strings.Contains(accept, "text/html")
}

func requestID() string { return strings.ToLower(rand.Text()[:16]) }
