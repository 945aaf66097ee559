package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/artifact"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

// errArtifact is why a step whose script passed fails over what it was to keep.
var errArtifact = errors.New("artifact")

// keep stores the trees that the step promised, and answers their names.
func (a *attempt) keep(ctx context.Context) ([]client.Artifact, error) {
	kept := make([]client.Artifact, 0, len(a.lease.Keeps))
	for _, name := range a.lease.Keeps {
		one, err := a.keepTree(ctx, path.Clean(filepath.ToSlash(name)))
		if err != nil {
			return nil, fmt.Errorf("%w %s: %w", errArtifact, name, err)
		}
		kept = append(kept, one)
	}
	return kept, nil
}

func (a *attempt) keepTree(ctx context.Context, name string) (client.Artifact, error) {
	dir, err := folderBelow(a.room.workspace, name)
	if err == nil {
		err = a.guest.mustOwn(dir)
	}
	if err != nil {
		return client.Artifact{}, err
	}
	m, err := artifact.Scan(ctx, artifact.Selection{Dir: dir})
	if err != nil {
		return client.Artifact{}, err
	}
	m = withoutGit(m)
	digest, err := a.upload(ctx, dir, m)
	if err != nil {
		return client.Artifact{}, err
	}
	return client.Artifact{
		Step: a.lease.Step, Digest: digest, Path: name, Platform: a.platform(),
		Files: files(m), Size: m.Bytes(),
	}, nil
}

// folderBelow is the folder that a name in the workspace, or in HOME, leads to, which must not be outside.
func folderBelow(base, name string) (string, error) {
	if !filepath.IsLocal(name) {
		return "", errors.New("the path leads out of the workspace")
	}
	root, err := filepath.EvalSymlinks(base)
	if err != nil {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(root, filepath.FromSlash(name)))
	if errors.Is(err, os.ErrNotExist) {
		return "", errors.New("the script did not leave such a folder")
	}
	if err != nil {
		return "", err
	}
	if relative, err := filepath.Rel(root, dir); err != nil || !filepath.IsLocal(relative) {
		return "", errors.New("the path leads out of the workspace by a link")
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", errors.Join(err, errors.New("it is a file; name the folder that holds it"))
	}
	return dir, nil
}

// withoutGit leaves the checkout's own .git out of an artifact that is the whole workspace.
func withoutGit(m artifact.Manifest) artifact.Manifest {
	return slices.DeleteFunc(m, func(e artifact.Entry) bool {
		return e.Path == ".git" || strings.HasPrefix(e.Path, ".git/")
	})
}

func files(m artifact.Manifest) int {
	n := 0
	for _, e := range m {
		if e.IsFile() {
			n++
		}
	}
	return n
}

func (a *attempt) platform() string {
	if a.lease.Platform != "" {
		return a.lease.Platform
	}
	return runtime.GOOS + "/" + runtime.GOARCH
}

// upload sends what the server does not have, and answers the tree's digest. While it is away, it is waited for.
func (a *attempt) upload(ctx context.Context, dir string, m artifact.Manifest) (digest string, err error) {
	server := a.Client.ArtifactsOfLease(a.lease.LeaseRef)
	content := m.Encode()
	digest = artifact.DigestOf(content).String()
	return digest, persist(ctx, func() error {
		missing, err := a.missing(ctx, server, m)
		if err != nil {
			return err
		}
		if len(missing) > 0 {
			if err := a.sendPack(ctx, server, dir, m, missing); err != nil {
				return err
			}
		}
		place := failpoint.At("upload a manifest")
		place.Before()
		err = server.PutManifest(ctx, digest, bytes.NewReader(content))
		place.After()
		return err
	})
}

func (a *attempt) missing(ctx context.Context, server client.Artifacts, m artifact.Manifest) ([]artifact.Digest, error) {
	var names []string
	for _, d := range m.Digests() {
		names = append(names, d.String())
	}
	ctx, cancel := context.WithTimeout(ctx, sendLimit)
	defer cancel()
	names, err := server.Missing(ctx, names)
	if err != nil {
		return nil, err
	}
	var missing []artifact.Digest
	for _, name := range names {
		d, err := artifact.ParseDigest(name)
		if err != nil {
			return nil, fmt.Errorf("read the server's answer: %w", err)
		}
		missing = append(missing, d)
	}
	return missing, nil
}

// sendPack sends a part of a tree. A pack of the whole tree is kept for the steps that will use it. A pack that another step
// is sending is waited for: then the server has it.
func (a *attempt) sendPack(
	ctx context.Context, server client.Artifacts, dir string, m artifact.Manifest, missing []artifact.Digest,
) error {
	pack, err := artifact.NewPacking(dir, m, missing)
	if err != nil {
		return err
	}
	release, err := a.packs.take(ctx, pack.Digest())
	if err != nil {
		return err
	}
	defer release()
	s := &shipment{Artifacts: server, pack: pack}
	if len(missing) == len(m.Digests()) && m.Bytes() <= a.cache.most/2 { // a larger one would push out what others need
		s.kept = a.cache.begin(m)
	}
	place := failpoint.At("upload a pack")
	place.Before()
	err = s.send(ctx)
	place.After()
	length, known := pack.Length()
	s.kept.end(err == nil && known && s.kept.holds(length))
	return err
}

// persist does a call until the server answers, and gives back its answer.
func persist(ctx context.Context, do func() error) error {
	pause := callBackoff()
	for {
		err := do()
		if err == nil || ctx.Err() != nil || !isPassing(err) {
			return err
		}
		if stopped := pause.wait(ctx); stopped != nil {
			return stopped
		}
	}
}
