package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Preview says what Install would do.
func Preview(u Unit) (string, error) {
	file, err := definition(u)
	return described(file, systemdEnable(u)), err
}

// Install writes the unit, and has systemd start it now and whenever the machine starts. Doing so again takes over what
// has changed.
func Install(ctx context.Context, u Unit) (where string, err error) {
	file, err := definition(u)
	if err != nil {
		return "", err
	}
	if err := file.write(); err != nil {
		return "", err
	}
	return file.Path, run(ctx, systemdEnable(u))
}

// Uninstall stops it, and removes the unit. fs.ErrNotExist says that there is none.
func Uninstall(ctx context.Context, u Unit) (where string, err error) {
	file, err := definition(u)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(file.Path); errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := run(ctx, systemdDisable(u)); err != nil {
		return "", err
	}
	if err := os.Remove(file.Path); err != nil {
		return "", fmt.Errorf("remove the unit: %w", err)
	}
	return file.Path, run(ctx, []step{systemctl(u, "daemon-reload")})
}

func definition(u Unit) (File, error) {
	home, err := os.UserHomeDir()
	if err != nil && u.User {
		return File{}, fmt.Errorf("find where units of yours belong: %w", err)
	}
	return Systemd(u, home), nil
}
