// Command shop is a small web shop that Towpath builds, tests and deploys.
//
// It listens on ADDRESS (127.0.0.1) and PORT (8000), and says which release it is from TOWPATH_RELEASE. On SIGTERM
// it stops listening, ends its streams, finishes the requests in hand and exits.
package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// grace is how long requests in hand may take after SIGTERM.
const grace = 30 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, slog.Default()); err != nil {
		slog.Error("shop ended", "error", err)
		os.Exit(1)
	}
}

// run listens where the environment says and serves until ctx is done.
func run(ctx context.Context, log *slog.Logger) error {
	address := net.JoinHostPort(cmp.Or(os.Getenv("ADDRESS"), "127.0.0.1"), cmp.Or(os.Getenv("PORT"), "8000"))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	release := cmp.Or(os.Getenv("TOWPATH_RELEASE"), "0")
	log.Info("shop opens", "address", listener.Addr().String(), "release", release, "version", version())
	err = serve(ctx, listener, newShop(ctx, release))
	log.Info("shop closes", "release", release)
	return err
}

// serve answers requests until ctx is done, and then finishes those in hand.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	closed := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		hurry, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		closed <- server.Shutdown(hurry)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-closed
}
