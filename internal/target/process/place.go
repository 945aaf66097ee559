package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

// place lays the files out beside where they will stand, and gives them their name when all are there.
func (d *Driver) place(ctx context.Context, o deploy.Order, operation deploy.Place) (deploy.Receipt, error) {
	if err := d.under(ctx, o.Epoch, d.clearAway); err != nil {
		return deploy.Receipt{}, err
	}
	for _, id := range operation.Instances {
		if err := d.placeOne(ctx, o, id); err != nil {
			return deploy.Receipt{}, err
		}
	}
	return deploy.Receipt{Detail: fmt.Sprintf("%d placed in %s", len(operation.Instances), d.home.files)}, nil
}

func (d *Driver) placeOne(ctx context.Context, o deploy.Order, id string) error {
	if _, err := os.Stat(d.home.filesOf(id)); err == nil {
		return nil
	}
	staged, err := os.MkdirTemp(d.home.files, ".placing-")
	if err != nil {
		return &deploy.Retryable{Err: err}
	}
	defer os.RemoveAll(staged)
	if err := d.options.Files(ctx, o.Release, staged); err != nil {
		return ofFiles(ctx, fmt.Errorf("lay out release %d: %w", o.Release.Number, err))
	}
	return d.under(ctx, o.Epoch, func() error {
		if err := d.assets.mingle(folderName(id), staged); err != nil {
			return &deploy.Retryable{Err: fmt.Errorf("link the files of %s: %w", d.assets.folder, err)}
		}
		place := failpoint.At("place files")
		place.Before()
		if err := os.Rename(staged, d.home.filesOf(id)); err != nil {
			return &deploy.Retryable{Err: err}
		}
		place.After()
		return nil
	})
}

// ofFiles lets an error that has a kind keep it.
func ofFiles(ctx context.Context, err error) error {
	var permanent *deploy.Permanent
	switch {
	case ctx.Err() != nil:
		return &deploy.UnknownOutcome{Err: err}
	case errors.As(err, &permanent):
		return &deploy.Permanent{Err: err, Log: permanent.Log}
	}
	return &deploy.Retryable{Err: err}
}

// clearAway removes what a keeper that was killed left half placed or half removed.
func (d *Driver) clearAway() error {
	for _, pattern := range []string{
		filepath.Join(d.home.files, ".placing-*"), filepath.Join(d.home.files, ".removed-*"),
		filepath.Join(d.home.run, ".removed-*"), filepath.Join(d.home.beside, ".removed-*"),
		filepath.Join(d.home.single, ".removed-*"),
	} {
		left, err := filepath.Glob(pattern)
		if err != nil {
			return &deploy.Permanent{Err: err}
		}
		for _, folder := range left {
			if err := os.RemoveAll(folder); err != nil {
				return &deploy.Retryable{Err: err}
			}
		}
	}
	return nil
}
