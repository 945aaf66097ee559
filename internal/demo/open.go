package demo

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
)

// Limits of what is waited for.
const (
	startLimit = 30 * time.Second // for a process to answer
	askPace    = 20 * time.Millisecond
)

// open is part 1: the folder, the three processes, an empty repository.
func (d *demo) open(ctx context.Context) error {
	cache, err := needed(ctx)
	if err != nil {
		return err
	}
	if d.stage, err = newStage(d.Program); err != nil {
		return err
	}
	if d.receiver, err = newReceiver(); err != nil {
		return err
	}
	if d.shop, err = newRepository(ctx, d.stage.path("shop.git"), d.stage.path("shop")); err != nil {
		return err
	}
	d.screen.done("repository", d.shop.bare)
	if err := d.openServer(ctx); err != nil {
		return err
	}
	if err := d.openWorker(ctx, cache); err != nil {
		return err
	}
	return d.openProxy(ctx)
}

// needed checks that the programs are there that the shop is built with, and answers where Go keeps what it has
// compiled before.
func needed(ctx context.Context) (cache string, err error) {
	for _, program := range []string{"git", "go"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", towpath.Errorf(towpath.CodeInvalid, "there is no program %q on this machine", program).
				WithHint("the demo needs Go and git, and nothing else")
		}
	}
	out, err := exec.CommandContext(ctx, "go", "env", "GOCACHE").Output()
	if err != nil {
		return "", fmt.Errorf("ask go for its cache: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

func (d *demo) openServer(ctx context.Context) error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	d.stage.Server = "http://" + address
	d.screen.now("server")
	err = d.stage.start("server", nil,
		"server", "--data", d.stage.path("server"), "--listen", address, "--no-worker", "--alert-webhook", d.receiver.url)
	if err != nil {
		return err
	}
	if err := d.stage.await(ctx, "server", d.isServerThere); err != nil {
		return err
	}
	d.screen.done("server", d.stage.Server)
	return nil
}

// isServerThere says that the server answers its owner.
func (d *demo) isServerThere(ctx context.Context) bool {
	if d.owner == nil {
		token, err := os.ReadFile(d.stage.ownerToken())
		if err != nil {
			return false
		}
		if d.owner, err = client.New(d.stage.Server, strings.TrimSpace(string(token))); err != nil {
			return false
		}
	}
	_, err := d.owner.Me(ctx)
	return err == nil
}

// openWorker lets a worker register with a one-time token. It is not on the command line, where others could read it.
func (d *demo) openWorker(ctx context.Context, cache string) error {
	d.screen.now("worker")
	token, err := d.owner.NewWorkerToken(ctx)
	if err != nil {
		return fmt.Errorf("make a token for the worker: %w", err)
	}
	err = d.stage.start("worker",
		[]string{"TOWPATH_SERVER=" + d.stage.Server, "TOWPATH_WORKER_TOKEN=" + token.Token, "GOCACHE=" + cache},
		"worker", "--data", d.stage.path("worker"), "--proxy-data", d.stage.path("proxy"), "--name", "demo", "--slots", "2",
		"--pass-env", "GOCACHE,GOROOT,GOTOOLCHAIN,GOPROXY")
	if err != nil {
		return err
	}
	err = d.stage.await(ctx, "worker", func(ctx context.Context) bool {
		workers, err := d.owner.Workers(ctx)
		return err == nil && len(workers) == 1
	})
	if err == nil {
		d.screen.done("worker", "2 steps at a time")
	}
	return err
}

func (d *demo) openProxy(ctx context.Context) error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	d.stage.Proxy = address
	d.screen.now("proxy")
	if err := d.stage.start("proxy", nil, "proxy", "--data", d.stage.path("proxy"), "--listen", address); err != nil {
		return err
	}
	err = d.stage.await(ctx, "proxy", func(ctx context.Context) bool {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	if err == nil {
		d.screen.done("proxy", "http://"+address)
	}
	return err
}

// freeAddress answers an address of this machine that nobody listens on now.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

// until asks again and again, until it is so or ctx ends.
func until(ctx context.Context, is func(context.Context) bool) error {
	tick := time.NewTicker(askPace)
	defer tick.Stop()
	for !is(ctx) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return nil
}
