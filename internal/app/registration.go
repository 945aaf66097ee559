package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/uuid"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/durable"
)

// registration is what a worker knows of the server that it registered with.
type registration struct {
	folder string
	key    string // which the server gave; empty where the worker has not registered yet
	used   string // digest of the token that the key was given for; empty where that is not known
}

func readRegistration(folder string) (registration, error) {
	r := registration{folder: folder}
	for name, into := range map[string]*string{"worker.key": &r.key, "worker.token": &r.used} {
		known, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return r, fmt.Errorf("read the worker's registration: %w", err)
		}
		*into = strings.TrimSpace(string(known))
	}
	return r, nil
}

// write keeps the key before the token's digest: without that, a token that is used up is refused, and told so.
func (r registration) write(key, token string) error {
	return errors.Join(
		durable.WriteFile(filepath.Join(r.folder, "worker.key"), []byte(key+"\n")),
		durable.WriteFile(filepath.Join(r.folder, "worker.token"), []byte(digestOf(token)+"\n")),
	)
}

func digestOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// workerKey answers the key that the worker got when it registered; it registers now where it has none, or where another
// token was given than then: that is how a worker moves to another server. The same one is left alone, because what
// starts the worker again after a crash gives it what it gave it at first.
func workerKey(ctx context.Context, o WorkerOptions) (string, error) {
	known, err := readRegistration(o.Data)
	switch {
	case err != nil:
		return "", err
	case known.key != "" && (o.Token == "" || known.used == digestOf(o.Token)):
		return known.key, nil
	case o.Token == "":
		return "", towpath.Errorf(towpath.CodeUnauthorized, "this worker has not registered yet").
			WithHint("make a token with: towpath workers token, then: towpath worker --token TOKEN")
	}
	key, err := register(ctx, o)
	if err != nil {
		return "", err
	}
	return key, known.write(key, o.Token)
}

func register(ctx context.Context, o WorkerOptions) (key string, err error) {
	id, err := machine(o.Data)
	if err != nil {
		return "", err
	}
	anonymous, err := client.New(o.Server, "")
	if err != nil {
		return "", err
	}
	defer anonymous.Close()
	registered, err := anonymous.Register(ctx, client.Registration{
		Token: o.Token, Machine: id, Name: o.Config.Name, OS: runtime.GOOS, Arch: runtime.GOARCH,
		Labels: labelsOf(o.Config), Slots: o.Config.Slots, Version: o.Version,
	})
	if err != nil {
		return "", fmt.Errorf("register with %s: %w", o.Server, err)
	}
	return registered.Key, nil
}

// machine answers the identity that this machine keeps as a worker.
func machine(data string) (string, error) {
	path := filepath.Join(data, "worker.id")
	known, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(known)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the worker's identity: %w", err)
	}
	id := uuid.NewString()
	return id, durable.WriteFile(path, []byte(id+"\n"))
}
