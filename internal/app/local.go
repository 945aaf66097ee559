package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/config"
	"github.com/towpath-cd/towpath/internal/git"
)

// LocalOptions are what a throw-away server is told.
type LocalOptions struct {
	Version string
	Command []string // of this program
	Log     *slog.Logger
}

// Local boots the same wiring as any server on a throw-away data folder, with the working tree around the current folder
// as its one project, and calls use with it. Everything is gone afterwards.
func Local(ctx context.Context, o LocalOptions, use func(context.Context, *client.Client, string) error) (err error) {
	folder, err := os.MkdirTemp("", "towpath-local-")
	if err != nil {
		return fmt.Errorf("make a throw-away folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	program, err := git.New(git.Options{})
	if err != nil {
		return err
	}
	repository := filepath.Join(folder, "tree.git")
	if _, _, err := program.Snapshot(ctx, ".", repository); err != nil {
		return err
	}

	settings := config.DefaultServer()
	settings.Data, settings.Listen = filepath.Join(folder, "server"), "127.0.0.1:0"
	settings.Worker.Slots, settings.Worker.PassEnv = runtime.NumCPU(), namesOf(os.Environ())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- Server(ctx, ServerOptions{
			Config: settings, Version: o.Version, Command: o.Command, Log: o.Log,
			Ready: func(url, _ string) { ready <- url },
		})
	}()
	select {
	case err := <-ended:
		return err
	case url := <-ready:
		err = withProject(ctx, url, settings.Data, repository, use)
	}
	cancel()
	return errors.Join(err, <-ended)
}

// namesOf answers the variables of an environment: a local run is the user's own, and sees what their shell sees.
func namesOf(environ []string) []string {
	var names []string
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if name != "HOME" && !strings.HasPrefix(name, "TOWPATH_") {
			names = append(names, name)
		}
	}
	return names
}

func withProject(ctx context.Context, url, data, repository string, use func(context.Context, *client.Client, string) error) error {
	token, err := os.ReadFile(filepath.Join(data, "owner.token"))
	if err != nil {
		return fmt.Errorf("read the owner's token: %w", err)
	}
	server, err := client.New(url, strings.TrimSpace(string(token)))
	if err != nil {
		return err
	}
	defer server.Close()
	project, err := server.AddProject(ctx, client.NewProject{URL: repository, Name: "local", Poll: 86400})
	if err != nil {
		return err
	}
	return use(ctx, server, project.Name)
}
