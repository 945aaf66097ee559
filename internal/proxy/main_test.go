package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

// The test binary plays the real processes as well: "proxy OPTIONS" and "hold FOLDER".
func TestMain(m *testing.M) {
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case "proxy":
			exit(playProxy(os.Args[2]))
		case "hold":
			exit(playHolder(os.Args[2]))
		}
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

func playProxy(encoded string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var options Options
	if err := json.Unmarshal([]byte(encoded), &options); err != nil {
		return err
	}
	options.HoldCommand = []string{os.Args[0], "hold"}
	options.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	options.Ready = func(state control.State) { _ = json.NewEncoder(os.Stdout).Encode(state) }
	return Run(ctx, options)
}

func playHolder(folder string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return Hold(ctx, HoldOptions{DataDir: folder, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
}
