package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc/mgr"
)

// restarts is how soon the service is started again when it has ended by itself.
var restarts = []mgr.RecoveryAction{{Type: mgr.ServiceRestart, Delay: 2 * time.Second}}

// Preview says what Install would do.
func Preview(u Unit) (string, error) {
	return fmt.Sprintf("# Windows service %s (%s), started with the machine:\n%s\n", u.Name, u.Description, commandLine(u)), nil
}

func commandLine(u Unit) string {
	words := make([]string, len(u.Command))
	for i, word := range u.Command {
		words[i] = windows.EscapeArg(word)
	}
	return strings.Join(words, " ")
}

// Install registers the service, and starts it. A service runs as the machine, or as the account that services.msc is
// given; there are none of a user's own.
func Install(_ context.Context, u Unit) (where string, err error) {
	if u.User {
		return "", errors.New("windows has no services of a user's own")
	}
	manager, err := mgr.Connect()
	if err != nil {
		return "", fmt.Errorf("ask the service manager, which takes an administrator: %w", err)
	}
	defer manager.Disconnect()
	s, err := manager.CreateService(u.Name, u.Command[0], mgr.Config{
		DisplayName: u.Description, Description: u.Description, StartType: mgr.StartAutomatic, DelayedAutoStart: true,
	}, u.Command[1:]...)
	if err != nil {
		return "", fmt.Errorf("create the service: %w", err)
	}
	defer s.Close()
	if err := s.SetRecoveryActions(restarts, 0); err != nil {
		return "", fmt.Errorf("have the service started again: %w", err)
	}
	return "service " + u.Name, s.Start()
}

// Uninstall stops the service, and removes it. fs.ErrNotExist says that there is none.
func Uninstall(_ context.Context, u Unit) (where string, err error) {
	manager, err := mgr.Connect()
	if err != nil {
		return "", fmt.Errorf("ask the service manager, which takes an administrator: %w", err)
	}
	defer manager.Disconnect()
	s, err := manager.OpenService(u.Name)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return "", fs.ErrNotExist
	}
	if err != nil {
		return "", fmt.Errorf("find the service: %w", err)
	}
	defer s.Close()
	if err := stop(s); err != nil {
		return "", err
	}
	return "service " + u.Name, s.Delete()
}
