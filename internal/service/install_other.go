//go:build !linux && !darwin && !windows

package service

import (
	"context"
	"errors"
	"runtime"
)

var errUnknown = errors.New("how services are installed on " + runtime.GOOS + " is not known")

// Preview, Install and Uninstall are refused here.
func Preview(Unit) (string, error) { return "", errUnknown }

// Install is refused here.
func Install(context.Context, Unit) (string, error) { return "", errUnknown }

// Uninstall is refused here.
func Uninstall(context.Context, Unit) (string, error) { return "", errUnknown }
