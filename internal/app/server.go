// Package app wires the rooms of the house together: the server, the worker, the proxy, each in one straight line, and
// closed in reverse order.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/alert"
	"github.com/towpath-cd/towpath/internal/artifact"
	"github.com/towpath-cd/towpath/internal/backup"
	"github.com/towpath-cd/towpath/internal/config"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/git"
	"github.com/towpath-cd/towpath/internal/secret"
	"github.com/towpath-cd/towpath/internal/steplog"
	"github.com/towpath-cd/towpath/internal/store"
	"github.com/towpath-cd/towpath/internal/trigger"
	"github.com/towpath-cd/towpath/internal/web"
)

// stopTime is how long requests may go on when the server stops.
const stopTime = 5 * time.Second

// ServerOptions are what a server process is told.
type ServerOptions struct {
	Config  config.Server
	Version string
	Command []string // of this program, for the processes that it starts
	Log     *slog.Logger
	// Ready is told when the server answers: where, and the link of the first administrator as long as nobody used one.
	Ready func(url, firstLink string)
}

// Server runs a server until ctx ends.
func Server(ctx context.Context, o ServerOptions) (err error) {
	var closers closing
	defer func() { err = errors.Join(err, closers.close()) }()

	c := o.Config
	listener, err := enter(c, &closers)
	if err != nil {
		return err
	}
	address := c.Address(listener.Addr().(*net.TCPAddr).Port) // with the port that was chosen, where the settings leave it open

	kept, err := openStorage(ctx, c.Data, treesOf(o), &closers)
	if err != nil {
		return err
	}
	clock := newClock()
	secrets := openSecrets(ctx, kept, secret.NewCommands(c.Commands(), clock), o.Log)
	shown, kinds, calls := credentials{kept.db, secrets}, forgeKinds(), &http.Client{Timeout: forgeTime}
	repositories, err := openRepositories(c.Data, shown)
	if err != nil {
		return err
	}
	owner, err := access.OwnerToken(c.Data)
	if err != nil {
		return err
	}
	guard, hub := access.NewGuard(access.Options{Store: kept.db, Owner: owner, Now: clock}), flow.NewHub()
	inbox := trigger.NewInbox(trigger.InboxOptions{Store: kept.db, Kinds: hooksOf(kinds), Clock: clock, NewID: uuid.NewString})
	conductor := flow.New(flow.Options{
		Store: kept.db, Hub: hub, Repositories: repositories, Secrets: granted{secrets}, Credentials: shown,
		Announcer: alert.NewDesk(clock, o.Log, notifiers(c.Alerts)...),
		Inbox:     inbox,
		Statuses: alert.NewStatuses(alert.StatusOptions{
			Kinds: kinds, Token: shown.token, URL: address, Client: calls, Log: o.Log.With("room", "alert"),
		}),
		Logs: kept.logs, Artifacts: kept.artifacts, Keep: flow.Keep(c.Keep), LogLimit: int64(c.LogLimit), CacheLimit: int64(c.CacheLimit),
		Unclaimed: c.WaitForWorker, Shells: c.DebugShell.Allow,
		Clock: clock, NewID: uuid.NewString, Log: o.Log.With("room", "flow"),
	})
	poller := trigger.NewPoller(trigger.PollerOptions{
		Store: kept.db, Repositories: repositories, Recorded: conductor.ChangesRecorded, Tags: tagged(kept.db), Clock: clock,
		Log: o.Log.With("room", "trigger"),
	})
	if err := begin(ctx, conductor, poller, &closers); err != nil {
		return err
	}

	handlers := web.New(web.Options{
		Store: kept.db, Flow: conductor, Hub: hub, Guard: guard, Secrets: secrets, Repositories: repositories,
		Inbox: inbox, Forges: kinds, ForgeClient: calls, Polled: poller.Wake, Logs: kept.logs, Artifacts: kept.artifacts, Clock: clock, NewID: uuid.NewString,
		ShellIdle: c.DebugShell.Idle, ShellLimit: c.DebugShell.Limit, URL: address, Version: o.Version, Log: o.Log.With("room", "web"),
		Backup: func(ctx context.Context, w io.Writer) error {
			return kept.backUp(ctx, c.Data, backup.About{Program: o.Version, MadeAt: clock().UTC()}, w)
		},
		RotateKey: func(ctx context.Context, forget bool) (access.Rotation, error) {
			return secrets.RotateKey(ctx, kept.db, kept.keys, forget)
		},
	})
	failed := make(chan error, 2)
	closers.add(serve(handlers, listener, failed))
	if err := ownWorker(ctx, o, guard, listener.Addr().String(), failed, &closers); err != nil {
		return err
	}
	link, err := firstLink(ctx, guard, address)
	if err != nil {
		return err
	}
	o.Ready(address, link)
	return untilDone(ctx, failed)
}

// openSecrets seals with the newest key what a rotation left that was cut off.
func openSecrets(ctx context.Context, kept storage, commands *secret.Commands, log *slog.Logger) *access.Secrets {
	secrets := access.NewSecrets(kept.keys).Outside(commands)
	if _, err := secrets.Reseal(ctx, kept.db, kept.keys); err != nil {
		log.Warn("not every secret could be sealed with the newest key", "error", err)
	}
	return secrets
}

// begin has runs go on where they stood, and repositories looked at.
func begin(ctx context.Context, conductor *flow.Conductor, poller *trigger.Poller, closers *closing) error {
	if err := conductor.Start(ctx); err != nil {
		return err
	}
	closers.add(func() error { conductor.Stop(); return nil })
	poller.Start()
	closers.add(func() error { poller.Stop(); return nil })
	return nil
}

// openRepositories keeps the mirrors of repositories, which are shown what the server has for them.
func openRepositories(data string, shown credentials) (*trigger.Repositories, error) {
	program, err := openGit(data)
	if err != nil {
		return nil, err
	}
	repositories := trigger.NewRepositories(program, filepath.Join(data, "mirrors"))
	repositories.Access = shown.repository
	return repositories, nil
}

// ownWorker starts the worker inside the server, unless it was told to have none.
func ownWorker(ctx context.Context, o ServerOptions, guard *access.Guard, address string, failed chan<- error, closers *closing) error {
	if o.Config.Worker.Off {
		return nil
	}
	stop, err := embeddedWorker(ctx, o, guard, address, failed)
	if err == nil {
		closers.add(stop)
	}
	return err
}

// openGit finds git, and removes what a killed server left of its credentials.
func openGit(data string) (*git.Git, error) {
	program, err := git.New(git.Options{Scratch: filepath.Join(data, accessName)})
	if err != nil {
		return nil, err
	}
	return program, program.ClearScratch()
}

// untilDone waits until ctx ends, or a part of the server by itself.
func untilDone(ctx context.Context, failed <-chan error) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return fmt.Errorf("the server stopped by itself: %w", err)
	}
}

// enter takes the data folder and the address for this process alone.
func enter(c config.Server, closers *closing) (net.Listener, error) {
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	unlock, err := lockFolder(c.Data)
	if err != nil {
		return nil, err
	}
	closers.add(unlock)
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, inUse(c.Listen, err)
	}
	closers.add(ignoreClosed(listener.Close))
	return listener, nil
}

// firstLink is the first administrator's; empty once somebody has used it.
func firstLink(ctx context.Context, guard *access.Guard, address string) (string, error) {
	code, err := guard.FirstLink(ctx)
	if err != nil || code == "" {
		return "", err
	}
	return address + "/login?code=" + code, nil
}

// storage is what a server keeps in its data folder.
type storage struct {
	db        *store.Store
	keys      *secret.Ring
	logs      *steplog.Store
	artifacts *artifact.Store
}

func treesOf(o ServerOptions) artifact.Options {
	limits := artifact.Limits{Bytes: int64(o.Config.ArtifactLimit), Entries: o.Config.ArtifactFiles}
	return artifact.Options{Limits: limits, Log: o.Log}
}

func openStorage(ctx context.Context, folder string, trees artifact.Options, closers *closing) (s storage, err error) {
	if err := clearBackups(folder); err != nil {
		return s, fmt.Errorf("remove what a backup left: %w", err)
	}
	if s.db, err = store.Open(ctx, store.Options{Path: filepath.Join(folder, databaseName), Log: trees.Log}); err != nil {
		return s, err
	}
	closers.add(s.db.Close)
	if s.keys, err = secret.OpenRing(filepath.Join(folder, keyName)); err != nil {
		return s, fmt.Errorf("read the key of the secrets: %w", err)
	}
	if s.logs, err = steplog.NewStore(filepath.Join(folder, logsName)); err != nil {
		return s, err
	}
	closers.add(s.logs.Close)
	if s.artifacts, err = artifact.OpenStore(filepath.Join(folder, artifactsName), trees); err != nil {
		return s, err
	}
	closers.add(func() error { s.artifacts.Close(); return nil })
	return s, nil
}

// serve answers requests until stop is called, which lets those under way end.
func serve(handlers *web.Server, listener net.Listener, failed chan<- error) (stop func() error) {
	server := &http.Server{Handler: handlers, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	go func() { failed <- server.Serve(listener) }()
	return func() error {
		handlers.Stop()
		ending, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		return errors.Join(server.Shutdown(ending), server.Close())
	}
}

func notifiers(a config.Alerts) []alert.Notifier {
	if a.Webhook == "" {
		return nil
	}
	return []alert.Notifier{alert.NewWebhook(a.Webhook, a.Secret)}
}
