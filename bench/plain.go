package main

import (
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// plainProxyMain is the proxy that anyone would write in forty lines, with a transport that is tuned as ours is: it
// keeps its connections, does not compress, and lends its buffers.
func plainProxyMain(args []string) int {
	target := &url.URL{Scheme: "http", Host: args[0]}
	return serveUntilTold(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			MaxIdleConnsPerHost: 1024,
			IdleConnTimeout:     4 * time.Second,
			DisableCompression:  true,
		},
		BufferPool: &buffers{sync.Pool{New: func() any { return make([]byte, 32<<10) }}},
	})
}

type buffers struct{ pool sync.Pool }

// Get lends a buffer.
func (b *buffers) Get() []byte { return b.pool.Get().([]byte) }

// Put takes it back.
func (b *buffers) Put(buffer []byte) { b.pool.Put(buffer) } //nolint:staticcheck // a slice is what ReverseProxy hands out
