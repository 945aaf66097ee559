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
	return described(file, launchdEnable(u, file, os.Getuid())), err
}

// Install writes the job, and has launchd start it now and whenever the machine starts, or the caller signs in. Doing so
// again takes over what has changed.
func Install(ctx context.Context, u Unit) (where string, err error) {
	file, err := definition(u)
	if err != nil {
		return "", err
	}
	_ = run(ctx, launchdDisable(u, os.Getuid())) // launchd knows a job of that name only if it was installed before
	if err := file.write(); err != nil {
		return "", err
	}
	return file.Path, run(ctx, launchdEnable(u, file, os.Getuid()))
}

// Uninstall stops it, and removes the job. fs.ErrNotExist says that there is none.
func Uninstall(ctx context.Context, u Unit) (where string, err error) {
	file, err := definition(u)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(file.Path); errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := run(ctx, launchdDisable(u, os.Getuid())); err != nil {
		return "", err
	}
	if err := os.Remove(file.Path); err != nil {
		return "", fmt.Errorf("remove the job: %w", err)
	}
	return file.Path, nil
}

func definition(u Unit) (File, error) {
	home, err := os.UserHomeDir()
	if err != nil && u.User {
		return File{}, fmt.Errorf("find where jobs of yours belong: %w", err)
	}
	return Launchd(u, home), nil
}

// launchdDomain is where a job belongs: the machine, or the caller's session.
func launchdDomain(u Unit, uid int) string {
	if u.User {
		return fmt.Sprintf("gui/%d", uid)
	}
	return "system"
}

func launchdEnable(u Unit, f File, uid int) []step {
	domain := launchdDomain(u, uid)
	return []step{{"launchctl", "bootstrap", domain, f.Path}, {"launchctl", "kickstart", "-k", domain + "/" + label(u)}}
}

func launchdDisable(u Unit, uid int) []step {
	return []step{{"launchctl", "bootout", launchdDomain(u, uid) + "/" + label(u)}}
}
