package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/towpath-cd/towpath/internal/proxy"
)

// Proxy runs a proxy until ctx ends, or until a successor has taken over.
func Proxy(ctx context.Context, o proxy.Options) error {
	folder, err := filepath.Abs(o.DataDir)
	if err != nil {
		return fmt.Errorf("find the proxy's data folder: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("make the proxy's data folder: %w", err)
	}
	o.DataDir = folder
	return proxy.Run(ctx, o)
}
