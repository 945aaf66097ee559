package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/artifact"
	"github.com/towpath-cd/towpath/internal/backup"
	"github.com/towpath-cd/towpath/internal/durable"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/secret"
	"github.com/towpath-cd/towpath/internal/store"
)

// What a server keeps in its data folder. The key of the secrets is in no backup: with both, anybody reads them.
const (
	databaseName  = "towpath.db"
	keyName       = "secret.key"
	logsName      = "logs"
	accessName    = "access"
	artifactsName = "artifacts"
)

// backUp writes a backup of all that a server keeps, while it goes on working. What the database refers to is there: it
// is copied first, and nothing is swept meanwhile.
func (s storage) backUp(ctx context.Context, folder string, about backup.About, w io.Writer) error {
	release := s.artifacts.Hold()
	defer release()
	scratch, err := os.MkdirTemp(folder, "backup-")
	if err != nil {
		return fmt.Errorf("make room for a backup: %w", err)
	}
	defer os.RemoveAll(scratch)
	database := filepath.Join(scratch, databaseName)
	if err := s.db.Backup(ctx, database); err != nil {
		return err
	}
	_, err = backup.Write(ctx, w, about,
		backup.Part{Name: databaseName, Path: database},
		backup.Part{Name: artifactsName + "/packs", Path: filepath.Join(folder, artifactsName, "packs")},
		backup.Part{Name: artifactsName + "/manifests", Path: filepath.Join(folder, artifactsName, "manifests")},
		backup.Part{Name: logsName, Path: filepath.Join(folder, logsName)})
	return err
}

// clearBackups removes what a backup left whose server was killed.
func clearBackups(folder string) error {
	left, err := filepath.Glob(filepath.Join(folder, "backup-*"))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// RestoreOptions say what is restored, and where to.
type RestoreOptions struct {
	File string // the backup
	Data string // folder, in which no server keeps anything yet; made if it is missing
	Key  string // file with the key of the secrets, to be copied; empty where there is none
	Log  *slog.Logger
}

// Restored is what came back, and what had to be stopped.
type Restored struct {
	MadeAt     time.Time `json:"made_at"`
	Program    string    `json:"program"` // version that made the backup
	Files      int       `json:"files"`
	Bytes      int64     `json:"bytes"`
	Halted     []string  `json:"halted"`           // environments in which nothing is done until a person says so
	Canceled   int       `json:"canceled"`         // runs that were going on
	Unreadable []string  `json:"unreadable"`       // secrets that the key does not open
	Missing    []string  `json:"missing_releases"` // that serve or stand by, and whose artifacts are not in the backup
	Audit      string    `json:"audit,omitempty"`  // what is wrong with the chain of the audit; empty where nothing is
}

// Restore puts a backup into a folder from which a server can be started. A restore that was killed has changed nothing
// that counts, and can be done again. It answers an error, and leaves no database, where the backup is damaged.
func Restore(ctx context.Context, o RestoreOptions) (restored Restored, err error) {
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return restored, fmt.Errorf("make the data folder: %w", err)
	}
	unlock, err := lockFolder(o.Data)
	if err != nil {
		return restored, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	staging := filepath.Join(o.Data, "restoring")
	if err := clearFor(o.Data, staging); err != nil {
		return restored, err
	}
	if err := os.Mkdir(staging, 0o700); err != nil {
		return restored, fmt.Errorf("restore: %w", err)
	}
	if err := takeKey(o); err != nil {
		return restored, err
	}
	keys, err := secret.LoadOrCreate(filepath.Join(o.Data, keyName))
	if err != nil {
		return restored, err
	}
	if restored, err = unpack(ctx, o, staging, keys); err != nil {
		return restored, errors.Join(err, os.RemoveAll(staging))
	}
	return restored, settle(o.Data, staging)
}

// VerifyBackup restores a backup into a scratch folder beside it, and removes that again: a backup counts once it was
// restored.
func VerifyBackup(ctx context.Context, o RestoreOptions) (restored Restored, err error) {
	if o.Data, err = os.MkdirTemp(filepath.Dir(o.File), "towpath-verify-"); err != nil {
		return restored, fmt.Errorf("make room to restore a backup: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.Data)) }()
	return Restore(ctx, o)
}

// clearFor refuses a folder in which a server keeps something, and removes what a killed restore left.
func clearFor(folder, staging string) error {
	inUse := towpath.Errorf(towpath.CodeConflict, "%s holds what a server keeps already", folder).
		WithHint("restore into another folder with --data, or move that one away first")
	if _, err := os.Lstat(filepath.Join(folder, databaseName)); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(err, inUse)
	}
	_, err := os.Lstat(staging)
	wasKilled := err == nil
	for _, name := range []string{logsName, artifactsName} {
		path := filepath.Join(folder, name)
		if _, err := os.Lstat(path); err == nil && !wasKilled {
			return inUse
		}
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove what a restore left: %w", err)
		}
	}
	return os.RemoveAll(staging)
}

func takeKey(o RestoreOptions) error {
	if o.Key == "" {
		return nil
	}
	if _, err := secret.Load(o.Key); err != nil {
		return err
	}
	content, err := os.ReadFile(o.Key)
	if err != nil {
		return fmt.Errorf("read the key of the secrets: %w", err)
	}
	return durable.WriteFile(filepath.Join(o.Data, keyName), content)
}

// unpack makes a state in the staging folder that a server can go on from.
func unpack(ctx context.Context, o RestoreOptions, staging string, keys secret.Keys) (restored Restored, err error) {
	file, err := os.Open(o.File)
	if err != nil {
		return restored, fmt.Errorf("open the backup: %w", err)
	}
	defer file.Close()
	contents, err := backup.Unpack(ctx, file, staging)
	if err != nil {
		return restored, fmt.Errorf("%s: %w", o.File, err)
	}
	restored.MadeAt, restored.Program = contents.MadeAt, contents.Program
	restored.Files, restored.Bytes = len(contents.Files), contents.Bytes()

	db, err := store.Open(ctx, store.Options{Path: filepath.Join(staging, databaseName), Log: o.Log})
	if err != nil {
		return restored, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.Check(ctx); err != nil {
		return restored, err
	}
	artifacts, err := artifact.OpenStore(filepath.Join(staging, artifactsName), artifact.Options{Log: o.Log})
	if err != nil {
		return restored, err
	}
	defer artifacts.Close()
	return restored, restored.look(ctx, o, db, artifacts, access.NewSecrets(keys))
}

// look stops what must not go on, and finds what is not there.
func (r *Restored) look(ctx context.Context, o RestoreOptions, db *store.Store, artifacts *artifact.Store, secrets *access.Secrets) error {
	conductor := flow.New(flow.Options{Store: db, Hub: flow.NewHub(), Clock: time.Now, NewID: uuid.NewString, Log: o.Log})
	stopped, err := conductor.Restore(ctx, r.MadeAt, func(tx *store.Tx) error {
		return access.Record(tx, access.Act{
			Actor: "restore", Action: "server.restore", Object: filepath.Base(o.File), Detail: "of " + r.MadeAt.Format(time.RFC3339), At: time.Now(),
		})
	})
	if err != nil {
		return err
	}
	r.Halted, r.Canceled = stopped.Environments, stopped.Runs
	return db.View(ctx, func(tx *store.Tx) error {
		if _, err := access.Verify(tx); err != nil {
			r.Audit = err.Error() // what is left has to be had all the same
		}
		if r.Unreadable, err = secrets.Unreadable(tx); err != nil {
			return err
		}
		r.Missing, err = missingReleases(tx, artifacts)
		return err
	})
}

// missingReleases names the releases that an environment may need and whose artifacts are not there whole.
func missingReleases(tx *store.Tx, artifacts *artifact.Store) ([]string, error) {
	environments, err := tx.Environments(store.EnvironmentFilter{})
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, e := range environments {
		releases, err := flow.ReleasesOf(tx, e)
		if err != nil {
			return nil, err
		}
		for _, release := range releases {
			if !isWhole(release, artifacts) {
				missing = append(missing, fmt.Sprintf("%s release %d", e.Key, release.Number))
			}
		}
	}
	return missing, nil
}

func isWhole(r towpath.Release, artifacts *artifact.Store) bool {
	for _, a := range r.Artifacts {
		digest, err := artifact.ParseDigest(a.Digest)
		if err != nil {
			return false
		}
		manifest, err := artifacts.Manifest(digest)
		if err != nil || len(artifacts.Missing(manifest.Digests())) > 0 {
			return false
		}
	}
	return true
}

// settle moves what was unpacked into its place, the database last: without it there is no server.
func settle(folder, staging string) error {
	for _, name := range []string{logsName, artifactsName, databaseName} {
		err := os.Rename(filepath.Join(staging, name), filepath.Join(folder, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("restore: %w", err)
		}
		if err := durable.SyncFolder(folder); err != nil {
			return fmt.Errorf("restore: %w", err)
		}
	}
	return os.RemoveAll(staging)
}
