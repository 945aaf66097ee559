package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/towpath-cd/towpath/internal/config"
	"github.com/towpath-cd/towpath/internal/durable"
	"github.com/towpath-cd/towpath/internal/executor/shell"
	"github.com/towpath-cd/towpath/internal/keeper"
)

// proxyNote is the file in a worker's data folder that says where the proxy's is, for those who have to do without the
// worker.
const proxyNote = "proxy.folder"

// Of going back without the server, as the command line tells it.
type (
	// DirectPreview is what going back would do.
	DirectPreview = keeper.Preview
	// DirectProgress is one thing that is told of it.
	DirectProgress = keeper.Progress
	// DirectEnded says how it ended.
	DirectEnded = keeper.Ended
)

// DirectOptions say who goes back, and where.
type DirectOptions struct {
	Data        string // the worker's folder; empty looks where a worker or a server on this machine has its own
	Environment string // key or name
	Reason      string
	Command     []string // of this program, for the processes that it starts
	Agree       func(DirectPreview) error
	Tell        func(DirectProgress)
	Log         *slog.Logger
}

// RollBackDirectly goes back in an environment that this machine keeps, without asking any server.
func RollBackDirectly(ctx context.Context, o DirectOptions) (DirectEnded, error) {
	data, err := workerFolder(o.Data)
	if err != nil {
		return DirectEnded{}, fmt.Errorf("find the worker's data folder: %w", err)
	}
	worker := WorkerOptions{Data: data, Command: o.Command, Log: o.Log, Config: config.DefaultWorker()}
	if proxy, err := notedProxy(data); err != nil {
		return DirectEnded{}, err
	} else if proxy != "" {
		worker.Config.Proxy = proxy
	}
	options := keeper.Options{DataDir: data, Open: worker.openDrivers, Script: runScript(shell.New()), Logger: o.Log}
	wish := keeper.Wish{Environment: o.Environment, By: whoAmI(), Reason: o.Reason}
	return keeper.GoBack(ctx, options, wish, keeper.Audience{Agree: o.Agree, Tell: o.Tell})
}

// workerFolder is the one that is named, else a worker's own, else that of the worker inside a server.
func workerFolder(named string) (string, error) {
	if named != "" {
		return filepath.Abs(named)
	}
	own := config.DefaultData("worker")
	server := os.Getenv("TOWPATH_DATA")
	if server == "" {
		server = config.DefaultData("server")
	}
	for _, folder := range []string{own, filepath.Join(server, "worker")} {
		if _, err := os.Stat(filepath.Join(folder, "keeper")); err == nil {
			return filepath.Abs(folder)
		}
	}
	return filepath.Abs(own)
}

// whoAmI is who the record will name: an account of this machine, not of the server.
func whoAmI() string {
	name, host := "somebody", "this machine"
	if me, err := user.Current(); err == nil {
		name = me.Username
	}
	if known, err := os.Hostname(); err == nil {
		host = known
	}
	return name + " on " + host
}

// noteProxy writes down where the proxy's data folder is.
func noteProxy(data, proxy string) error {
	proxy, err := filepath.Abs(proxy)
	if err != nil {
		return fmt.Errorf("find the proxy's data folder: %w", err)
	}
	if noted, err := notedProxy(data); err == nil && noted == proxy {
		return nil
	}
	return durable.WriteFile(filepath.Join(data, proxyNote), []byte(proxy+"\n"))
}

// notedProxy answers the proxy's data folder; empty where no worker has noted one.
func notedProxy(data string) (string, error) {
	noted, err := os.ReadFile(filepath.Join(data, proxyNote))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read where the proxy's data folder is: %w", err)
	}
	return strings.TrimSpace(string(noted)), nil
}
