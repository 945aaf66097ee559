package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/app"
	"github.com/towpath-cd/towpath/internal/backup"
	"github.com/towpath-cd/towpath/internal/config"
)

// newBackupCommand is "towpath backup".
func newBackupCommand(console *Console) *cobra.Command {
	var verify string
	command := &cobra.Command{
		Use:   "backup [FILE]",
		Short: "Back up the server while it runs, or try a backup out",
		Long: "Writes all that the server keeps (its database, artifacts and logs) to one file, which is read again before it\n" +
			"gets its name. The key of the secrets is not in it: keep a copy of secret.key, from the server's data folder,\n" +
			"elsewhere. With --verify nothing is asked of any server: the file is restored into a scratch folder beside it,\n" +
			"everything in it is looked at, and the scratch folder is removed.",
		Example: "  towpath backup\n  towpath backup /mnt/backups/monday.tar.zst\n  towpath backup --verify /mnt/backups/monday.tar.zst",
		Args:    cobra.MaximumNArgs(1),
	}
	command.Flags().StringVar(&verify, "verify", "", "try this backup out instead of making one")
	command.RunE = func(command *cobra.Command, args []string) error {
		if verify != "" && len(args) == 0 {
			return console.verifyBackup(command.Context(), verify)
		}
		if verify != "" {
			return usage("--verify tries one backup out and makes none", "towpath backup --verify FILE")
		}
		return console.remote(func(ctx context.Context, server *client.Client, args []string) error {
			return console.backUp(ctx, server, strings.Join(args, ""))
		})(command, args)
	}
	return command
}

// madeBackup is a backup that was made.
type madeBackup struct {
	File  string `json:"file"`
	Size  int64  `json:"size"`  // of the file, in bytes
	Files int    `json:"files"` // in it
	Bytes int64  `json:"bytes"` // of these
}

// backUp gives the file its name once it is whole and on the disk.
func (c *Console) backUp(ctx context.Context, server *client.Client, name string) (err error) {
	if name == "" {
		name = "towpath-" + c.now().UTC().Format("2006-01-02-150405") + ".tar.zst"
	}
	if _, err := os.Lstat(name); err == nil {
		return usage(name+" is there already", "choose another name")
	}
	file, err := os.CreateTemp(filepath.Dir(name), ".towpath-backup-*")
	if err != nil {
		return fmt.Errorf("write a backup: %w", err)
	}
	defer func() { err = errors.Join(err, ignoreMissing(os.Remove(file.Name()))) }()
	made := madeBackup{File: name}
	made.Size, err = server.Backup(ctx, file)
	if err := errors.Join(err, file.Sync()); err != nil {
		return errors.Join(err, file.Close())
	}
	_, err = file.Seek(0, 0)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	contents, err := backup.Check(ctx, file)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	made.Files, made.Bytes = len(contents.Files), contents.Bytes()
	if err := os.Rename(file.Name(), name); err != nil {
		return fmt.Errorf("name the backup: %w", err)
	}
	return c.Show(made, fmt.Sprintf("%s: %s, %s in %d files\nthe key of the secrets is not in it: keep a copy of the server's secret.key elsewhere",
		made.File, humanize.Bytes(uint64(made.Size)), humanize.Bytes(uint64(made.Bytes)), made.Files))
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func (c *Console) verifyBackup(ctx context.Context, file string) error {
	restored, err := app.VerifyBackup(ctx, app.RestoreOptions{File: file, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	restored.Halted, restored.Canceled, restored.Unreadable = nil, 0, nil // of the scratch folder only, which has no key
	text := fmt.Sprintf("✓ %s can be restored: of %s, %s in %d files", file, restored.MadeAt.Local().Format("2006-01-02 15:04"),
		humanize.Bytes(uint64(restored.Bytes)), restored.Files)
	if problems := problemsOf(restored); problems != "" {
		text = "✗ " + file + " can be restored, with losses\n" + problems
	}
	if err := c.Show(restored, text); err != nil {
		return err
	}
	if problemsOf(restored) != "" {
		return told(errors.New(file + " has losses"))
	}
	return nil
}

// newRestoreCommand is "towpath restore".
func newRestoreCommand(console *Console) *cobra.Command {
	options := app.RestoreOptions{Data: config.DefaultServer().Data}
	command := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup into a data folder from which a server can be started",
		Long: "Unpacks a backup into an empty data folder, after every byte was compared. A server that is started there deploys\n" +
			"nothing by itself: what runs may be newer than what it remembers. Its environments say what they see, and wait\n" +
			"for a person to deploy or to roll back. Runs that were going on are canceled, people sign in again, and tokens\n" +
			"that were withdrawn since the backup are valid again.",
		Example: "  towpath restore monday.tar.zst --data /srv/towpath --key secret.key",
		Args:    cobra.ExactArgs(1),
	}
	command.Flags().StringVar(&options.Data, "data", options.Data, "data folder, in which no server keeps anything yet")
	command.Flags().StringVar(&options.Key, "key", "", "copy of the secret.key of the server that was backed up")
	command.RunE = func(command *cobra.Command, args []string) error {
		options.File, options.Log = args[0], slog.New(slog.DiscardHandler)
		restored, err := app.Restore(command.Context(), options)
		if err != nil {
			return err
		}
		return console.Show(restored, restoredInWords(restored, options))
	}
	return command
}

func restoredInWords(r app.Restored, o app.RestoreOptions) string {
	lines := []string{fmt.Sprintf("restored the backup of %s into %s: %s in %d files",
		r.MadeAt.Local().Format("2006-01-02 15:04"), o.Data, humanize.Bytes(uint64(r.Bytes)), r.Files)}
	if len(r.Halted) > 0 {
		lines = append(lines, "nothing is deployed until you say so in: "+strings.Join(r.Halted, ", "))
	}
	if r.Canceled > 0 {
		lines = append(lines, fmt.Sprintf("runs that were going on, and are canceled: %d", r.Canceled))
	}
	if len(r.Unreadable) > 0 {
		lines = append(lines, "secrets that need the old server's key: "+strings.Join(r.Unreadable, ", "),
			"copy its secret.key to "+filepath.Join(o.Data, "secret.key")+" before you start the server, or set them again")
	}
	if problems := problemsOf(r); problems != "" {
		lines = append(lines, problems)
	}
	return strings.Join(append(lines, "start it with: towpath server --data "+o.Data), "\n")
}

// problemsOf tells what the backup has lost.
func problemsOf(r app.Restored) string {
	var lines []string
	if len(r.Missing) > 0 {
		lines = append(lines, "releases whose artifacts are missing: "+strings.Join(r.Missing, ", "))
	}
	if r.Audit != "" {
		lines = append(lines, "the audit's chain is broken: "+r.Audit)
	}
	return strings.Join(lines, "\n")
}
