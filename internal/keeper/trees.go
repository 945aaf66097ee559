package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/artifact"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

// maxManifest is the size of the largest manifest that is read, in bytes: about half a million files.
const maxManifest = 64 << 20

// trees holds the artifacts of releases as they travelled: a manifest and a pack each. An instance is placed from here,
// also while the server is away. A pack that was fetched in part is gone on with.
type trees struct {
	folder string

	mu       sync.Mutex
	fetching map[artifact.Digest]bool
}

func openTrees(folder string) (*trees, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	left, err := filepath.Glob(filepath.Join(folder, "*.new"))
	for _, name := range left {
		err = errors.Join(err, os.Remove(name))
	}
	return &trees{folder: folder, fetching: make(map[artifact.Digest]bool)}, err
}

// source is where artifacts are fetched that are not here.
type source interface {
	Manifest(ctx context.Context, digest string) (io.ReadCloser, error)
	Pack(ctx context.Context, manifestDigest string, behind client.PackPlace) (*client.Pack, error)
}

// errNoSource means that files are not on this machine, and that nobody can be asked for them.
var errNoSource = errors.New("its files are not on this machine, and no server is asked")

// noSource is where there is no server.
type noSource struct{}

func (noSource) Manifest(context.Context, string) (io.ReadCloser, error) {
	return nil, errNoSource
}

func (noSource) Pack(context.Context, string, client.PackPlace) (*client.Pack, error) {
	return nil, errNoSource
}

// holds says that all of a release is here.
func (t *trees) holds(r towpath.Release) bool {
	for _, a := range r.Artifacts {
		digest, err := artifact.ParseDigest(a.Digest)
		if err != nil {
			return false
		}
		for _, suffix := range []string{".manifest", ".pack"} {
			if _, err := os.Stat(t.path(digest, suffix)); err != nil {
				return false
			}
		}
	}
	return true
}

// files answers what lays out releases, with what it fetches from the source.
func (t *trees) files(from source) deploy.Files {
	return func(ctx context.Context, r towpath.Release, folder string) error {
		for n, a := range r.Artifacts {
			into, err := placeOf(r.Artifacts, n)
			if err != nil {
				return &deploy.Permanent{Err: err}
			}
			if err := t.layOut(ctx, from, a, filepath.Join(folder, into)); err != nil {
				return fmt.Errorf("artifact of step %q: %w", a.Step, err)
			}
		}
		return os.MkdirAll(folder, 0o700)
	}
}

// placeOf is where an artifact stands in its release: one alone is the whole of it, of several each has a folder of its
// step's name, and of several of one step each has its own path below that.
func placeOf(artifacts []towpath.Artifact, n int) (string, error) {
	if len(artifacts) == 1 {
		return ".", nil
	}
	place := artifacts[n].Step
	for i, other := range artifacts {
		if i != n && other.Step == artifacts[n].Step {
			place = filepath.Join(place, filepath.FromSlash(artifacts[n].Path))
			break
		}
	}
	if !filepath.IsLocal(place) {
		return "", fmt.Errorf("the artifact of step %q would stand outside of its release, in %q", artifacts[n].Step, place)
	}
	return place, nil
}

func (t *trees) layOut(ctx context.Context, from source, a towpath.Artifact, folder string) error {
	digest, err := artifact.ParseDigest(a.Digest)
	if err != nil {
		return &deploy.Permanent{Err: err}
	}
	manifest, err := t.manifest(ctx, from, digest)
	if err != nil {
		return explain(err)
	}
	pack, err := t.pack(ctx, from, digest)
	if err != nil {
		return explain(err)
	}
	defer pack.Close()
	if err = artifact.Unpack(ctx, pack, manifest, folder, artifact.Limits{}); err != nil {
		t.drop(digest) // what is damaged is fetched again
	}
	return explain(err)
}

func (t *trees) manifest(ctx context.Context, from source, d artifact.Digest) (artifact.Manifest, error) {
	file, err := t.open(ctx, t.path(d, ".manifest"), func(ctx context.Context) (io.ReadCloser, error) {
		return from.Manifest(ctx, d.String())
	})
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxManifest))
	if err == nil && artifact.DigestOf(content) != d {
		t.drop(d)
		err = artifact.ErrMismatch
	}
	if err != nil {
		return nil, err
	}
	return artifact.DecodeManifest(content)
}

// open answers the file, which is fetched where it is not there yet.
func (t *trees) open(ctx context.Context, path string, fetch func(context.Context) (io.ReadCloser, error)) (*os.File, error) {
	file, err := os.Open(path)
	if !errors.Is(err, os.ErrNotExist) {
		return file, err
	}
	body, err := fetch(ctx)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	fresh, err := os.CreateTemp(t.folder, "*.new")
	if err != nil {
		return nil, err
	}
	defer os.Remove(fresh.Name())
	_, err = io.Copy(fresh, body)
	if err = errors.Join(err, fresh.Close()); err != nil {
		return nil, err
	}
	return named(fresh.Name(), path)
}

// named gives a file that is whole its name.
func named(fresh, path string) (*os.File, error) {
	place := failpoint.At("keep a tree")
	place.Before()
	if err := os.Rename(fresh, path); err != nil {
		return nil, err
	}
	place.After()
	return os.Open(path)
}

func (t *trees) path(d artifact.Digest, suffix string) string {
	return filepath.Join(t.folder, strings.TrimPrefix(d.String(), "sha256:")+suffix)
}

func (t *trees) drop(d artifact.Digest) {
	_ = os.Remove(t.path(d, ".pack")) // it may be gone, or in use on Windows: then it fails again, and is told
	_ = os.Remove(t.path(d, ".manifest"))
}

// keep removes what no order names any more.
func (t *trees) keep(digests map[string]bool) {
	names, err := os.ReadDir(t.folder)
	if err != nil {
		return // it is tried again with the next order
	}
	for _, name := range names {
		digest, suffix, _ := strings.Cut(name.Name(), ".")
		if suffix != "new" && !digests["sha256:"+digest] && !t.isFetching("sha256:"+digest) {
			_ = os.Remove(filepath.Join(t.folder, name.Name()))
		}
	}
}

// explain gives what is wrong with an artifact its kind.
func explain(err error) error {
	var answered *client.Error
	isRefused := errors.As(err, &answered) && !answered.Temporary()
	switch {
	case err == nil:
		return nil
	case isRefused, errors.Is(err, errNoSource), errors.Is(err, artifact.ErrUnsafe), errors.Is(err, artifact.ErrTooLarge):
		return &deploy.Permanent{Err: err}
	}
	return &deploy.Retryable{Err: err}
}
