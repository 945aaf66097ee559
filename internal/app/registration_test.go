package app_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/app"
	"github.com/towpath-cd/towpath/internal/config"
)

// startsWorker starts a worker, ends it once it is ready, and answers why it was not.
func startsWorker(t *testing.T, data, server, token string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	isReady := false
	settings := config.DefaultServer().Worker
	settings.Name, settings.Proxy = "barge", t.TempDir()
	err := app.Worker(ctx, app.WorkerOptions{
		Config: settings, Data: data, Server: server, Token: token, Version: "test", Log: slog.New(slog.DiscardHandler),
		Ready: func(string) { isReady = true; cancel() },
	})
	if isReady {
		return nil
	}
	return err
}

func isUnauthorized(err error) bool {
	said, is := errors.AsType[*client.Error](err)
	return is && said.Code == string(towpath.CodeUnauthorized)
}

func registrationToken(t *testing.T, c *client.Client) string {
	t.Helper()
	made, err := c.NewWorkerToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return made.Token
}

// What starts a worker again after a crash gives it the token again that it gave it at first.
func TestAWorkerStartsAgainWithTheTokenThatItHasUsed(t *testing.T) {
	data := filepath.Join(t.TempDir(), "server")
	s := settings(t, data)
	s.Worker.Off = true
	server := boot(t, s)
	owner := server.owner(t, data)
	token, folder := registrationToken(t, owner), t.TempDir()
	for n := range 3 {
		if err := startsWorker(t, folder, server.url, token); err != nil {
			t.Fatalf("start %d: %v", n+1, err)
		}
	}
	if err := startsWorker(t, folder, server.url, ""); err != nil {
		t.Errorf("without a token: %v", err)
	}
	if workers, err := owner.Workers(t.Context()); err != nil || len(workers) != 1 {
		t.Errorf("the workers are %+v, %v", workers, err)
	}
	if err := startsWorker(t, folder, server.url, "another"); !isUnauthorized(err) {
		t.Errorf("with a token that is wrong: %v", err)
	}
	if err := startsWorker(t, t.TempDir(), server.url, token); !isUnauthorized(err) {
		t.Errorf("a second worker got in by the same token: %v", err)
	}

	// It needs no server for that: on a machine that starts without one, it has to bring up what was live.
	if err := server.stop(); err != nil {
		t.Fatal(err)
	}
	if err := startsWorker(t, folder, server.url, token); err != nil {
		t.Errorf("without the server: %v", err)
	}
}

func TestAWorkerMovesToAnotherServerByItsToken(t *testing.T) {
	folder := t.TempDir()
	for range 2 {
		data := filepath.Join(t.TempDir(), "server")
		s := settings(t, data)
		s.Worker.Off = true
		server := boot(t, s)
		owner := server.owner(t, data)
		token := registrationToken(t, owner)
		for range 2 {
			if err := startsWorker(t, folder, server.url, token); err != nil {
				t.Fatal(err)
			}
		}
		if workers, err := owner.Workers(t.Context()); err != nil || len(workers) != 1 || workers[0].Name != "barge" {
			t.Errorf("the workers are %+v, %v", workers, err)
		}
	}
}
