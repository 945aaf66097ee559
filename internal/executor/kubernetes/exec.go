package kubernetes

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/go-logr/logr"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream"
)

// streams are what a command in a container is connected to; all but one may be nil.
type streams struct {
	in       io.Reader
	out, err io.Writer
	sizes    remotecommand.TerminalSizeQueue // of the terminal that the command has; nil: it has none
}

// exec runs a command in a container of a pod, until it ends or ctx does. The error is a CodeExitError where it ended with
// another status than 0.
func (a api) exec(ctx context.Context, pod, container string, s streams, command ...string) error {
	query := url.Values{"container": {container}, "command": command}
	for name, wanted := range map[string]bool{"stdin": s.in != nil, "stdout": s.out != nil, "stderr": s.err != nil, "tty": s.sizes != nil} {
		if wanted {
			query.Set(name, "true")
		}
	}
	u := a.url(pods, query, pod, "exec")
	socket, err := remotecommand.NewWebSocketExecutor(a.config, http.MethodGet, u.String())
	if err != nil {
		return err
	}
	spdy, err := remotecommand.NewSPDYExecutor(a.config, http.MethodPost, u)
	if err != nil {
		return err
	}
	// Clusters before 1.30, and some proxies before others, know SPDY only.
	either, err := remotecommand.NewFallbackExecutor(socket, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return err
	}
	ctx = klog.NewContext(ctx, logr.Discard()) // a stream that is cut is told to nobody but us
	return either.StreamWithContext(ctx, remotecommand.StreamOptions{
		Stdin: s.in, Stdout: s.out, Stderr: s.err, Tty: s.sizes != nil, TerminalSizeQueue: s.sizes,
	})
}
