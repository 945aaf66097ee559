package app_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/app"
	"github.com/towpath-cd/towpath/internal/config"
)

// running is a server with the shipped wiring.
type running struct {
	url, link string
	stop      func() error
}

func settings(t *testing.T, data string) config.Server {
	t.Helper()
	s := config.DefaultServer()
	s.Data, s.Listen, s.Worker.Proxy = data, "127.0.0.1:0", t.TempDir()
	return s
}

// boot starts a server and waits until it answers.
func boot(t *testing.T, s config.Server) running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan running, 1), make(chan error, 1)
	go func() {
		ended <- app.Server(ctx, app.ServerOptions{
			Config: s, Version: "test", Command: []string{os.Args[0]}, Log: slog.New(slog.DiscardHandler),
			Ready: func(url, link string) { ready <- running{url: url, link: link} },
		})
	}()
	select {
	case r := <-ready:
		stopped := false
		r.stop = func() error {
			if stopped {
				return nil
			}
			stopped = true
			cancel()
			return <-ended
		}
		t.Cleanup(func() { _ = r.stop() })
		return r
	case err := <-ended:
		cancel()
		t.Fatalf("the server did not start: %v", err)
	case <-time.After(30 * time.Second):
		cancel()
		t.Fatal("the server was not ready in 30 s")
	}
	return running{}
}

func (r running) owner(t *testing.T, data string) *client.Client {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(data, "owner.token"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(r.url, strings.TrimSpace(string(token)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestAServerStartsAnswersStopsAndStartsAgainWithAllThatItKnew(t *testing.T) {
	data := filepath.Join(t.TempDir(), "server")
	r := boot(t, settings(t, data))
	if !strings.HasPrefix(r.link, r.url+"/login?code=") {
		t.Errorf("the first link is %q", r.link)
	}
	info, err := os.Stat(data)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may look into the data folder: %v, %v", info.Mode(), err)
	}
	r.wantWorker(t, data)
	if err := r.stop(); err != nil {
		t.Fatalf("it stopped with %v", err)
	}
	if _, err := http.Get(r.url); err == nil {
		t.Error("it still answers")
	}
	boot(t, settings(t, data)).wantWorker(t, data) // the same one, not a second
}

// wantWorker waits until the worker inside the server has registered, and fails unless it is the only one.
func (r running) wantWorker(t *testing.T, data string) {
	t.Helper()
	c := r.owner(t, data)
	deadline := time.Now().Add(30 * time.Second)
	for {
		workers, err := c.Workers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(workers) == 1 && workers[0].Name == "server" {
			return
		}
		if len(workers) > 1 || time.Now().After(deadline) {
			t.Fatalf("the workers are %+v", workers)
		}
	}
}

func TestASecondServerInTheSameFolderIsRefused(t *testing.T) {
	s := settings(t, filepath.Join(t.TempDir(), "server"))
	s.Worker.Off = true
	boot(t, s)
	err := app.Server(t.Context(), app.ServerOptions{Config: s, Log: slog.New(slog.DiscardHandler), Ready: func(string, string) {}})
	if towpath.CodeOf(err) != towpath.CodeConflict || !strings.Contains(err.Error(), "another process works in "+s.Data) {
		t.Errorf("it says %v", err)
	}
}

func TestAnAddressThatIsTakenIsToldAndNothingIsLeftOpen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := settings(t, filepath.Join(t.TempDir(), "server"))
	s.Worker.Off, s.Listen = true, taken.Addr().String()
	err = app.Server(t.Context(), app.ServerOptions{Config: s, Log: slog.New(slog.DiscardHandler), Ready: func(string, string) {}})
	if towpath.CodeOf(err) != towpath.CodeConflict || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("it says %v", err)
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	boot(t, s) // the folder's lock was given back
}
