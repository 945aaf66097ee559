//go:build !windows

package service

import "context"

// Run calls run: what starts services here speaks to them by signals.
func Run(ctx context.Context, _ string, run func(context.Context) error) error { return run(ctx) }
