//go:build unix

package keeper_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
	balancer "github.com/towpath-cd/towpath/internal/balancer/proxy"
	"github.com/towpath-cd/towpath/internal/keeper"
	"github.com/towpath-cd/towpath/internal/proxy"
	"github.com/towpath-cd/towpath/internal/proxy/control"
	"github.com/towpath-cd/towpath/internal/supervise"
	target "github.com/towpath-cd/towpath/internal/target/process"
)

// The test binary plays the real processes as well.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch os.Args[1] {
	case "proxy":
		exit(playProxy(ctx, os.Args[2]))
	case "hold":
		exit(proxy.Hold(ctx, proxy.HoldOptions{DataDir: os.Args[2], Logger: toStandardError()}))
	case "supervise":
		exit(supervise.Run(ctx, supervise.Options{Dir: os.Args[2], Logger: toStandardError()}))
	case "keep":
		exit(playKeeper(ctx, os.Args[2]))
	case "back":
		exit(playDirectRollback(ctx, os.Args[2]))
	case "ask":
		exit(ask(os.Args[2]))
	case "app":
		exit(playApp(ctx))
	}
	os.Exit(m.Run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func toStandardError() *slog.Logger { return slog.New(slog.NewTextHandler(os.Stderr, nil)) }

func playProxy(ctx context.Context, folder string) error {
	return proxy.Run(ctx, proxy.Options{
		DataDir: folder, Listen: []string{"127.0.0.1:0"}, HoldCommand: []string{os.Args[0], "hold"},
		Logger: toStandardError(),
		Ready:  func(state control.State) { _ = json.NewEncoder(os.Stdout).Encode(state) },
	})
}

// setup is where a keeper works. Its instances are in its data folder, unless another is named.
type setup struct{ Server, DataDir, ProxyDir, Instances string }

func playKeeper(ctx context.Context, encoded string) error {
	var s setup
	if err := json.Unmarshal([]byte(encoded), &s); err != nil {
		return err
	}
	return keep(ctx, s, toStandardError())
}

// keep wires a keeper as it is wired in earnest.
func keep(ctx context.Context, s setup, logger *slog.Logger) error {
	api, err := client.New(s.Server, "")
	if err != nil {
		return err
	}
	defer api.Close()
	return keeper.Run(ctx, keeper.Options{
		Client: api, DataDir: s.DataDir, Logger: logger, Script: runScript,
		Open: func(site keeper.Site) (keeper.Drivers, error) { return openDrivers(s, site, logger) },
	})
}

func openDrivers(s setup, site keeper.Site, logger *slog.Logger) (keeper.Drivers, error) {
	t, err := target.New(target.Options{
		Environment: site.Environment, Definition: site.Definition, Secrets: site.Secrets, Files: site.Files,
		DataDir: cmp.Or(s.Instances, s.DataDir), Supervise: []string{os.Args[0], "supervise"}, Logger: logger,
	})
	if err != nil || site.Definition.Balancer.Proxy == nil {
		return keeper.Drivers{Target: t}, err
	}
	b, err := balancer.New(balancer.Options{
		Environment: site.Environment, Definition: site.Definition, DataDir: s.ProxyDir,
	})
	return keeper.Drivers{Target: t, Balancer: b}, err
}

// playDirectRollback is the verb that goes back without a server.
func playDirectRollback(ctx context.Context, encoded string) error {
	var s setup
	if err := json.Unmarshal([]byte(encoded), &s); err != nil {
		return err
	}
	_, err := goBack(ctx, s, keeper.Wish{Environment: "production", By: "root on web-1", Reason: "carts are empty"}, nil)
	return err
}

// goBack is wired as it is wired in earnest. Whoever is told may be nil.
func goBack(ctx context.Context, s setup, w keeper.Wish, told func(keeper.Progress)) (keeper.Ended, error) {
	options := keeper.Options{
		DataDir: s.DataDir, Logger: toStandardError(), Script: runScript,
		Open: func(site keeper.Site) (keeper.Drivers, error) { return openDrivers(s, site, toStandardError()) },
	}
	return keeper.GoBack(ctx, options, w, keeper.Audience{
		Agree: func(keeper.Preview) error { return nil },
		Tell: func(p keeper.Progress) {
			if told != nil {
				told(p)
			}
		},
	})
}

// playApp is an instance: what it says and whether it is well stands in the release's file "says". One that is broken
// passes its probe and answers errors.
func playApp(ctx context.Context) error {
	content, err := os.ReadFile("says")
	if err != nil {
		return err
	}
	says := strings.TrimSpace(string(content))
	fmt.Printf("serving %q with %s\n", says, os.Getenv("GREETING"))
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		_, err := os.Stat("sickness")
		if strings.HasPrefix(says, "sick") || err == nil {
			http.Error(w, "I am "+says, http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/release", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getenv("TOWPATH_RELEASE")) })
	mux.HandleFunc("/environment", func(w http.ResponseWriter, _ *http.Request) {
		for _, variable := range os.Environ() {
			fmt.Fprintln(w, variable)
		}
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		awaitFile(r.Context(), r.URL.Query().Get("until"))
		fmt.Fprintf(w, "%s, slowly", says)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if strings.HasPrefix(says, "broken") {
			fmt.Println("cart_v2 does not exist")
			http.Error(w, says, http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%s from %d", says, os.Getpid())
	})
	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: mux}
	context.AfterFunc(ctx, func() { _ = server.Shutdown(context.Background()) })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// awaitFile waits until somebody makes a file, or for nobody's answer any more.
func awaitFile(ctx context.Context, path string) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := os.Stat(path); err == nil {
			return
		}
	}
}

// ask prints what an address answers.
func ask(url string) error {
	response, err := http.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}
