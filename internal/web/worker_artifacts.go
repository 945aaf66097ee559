package web

import (
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/artifact"
	"github.com/towpath-cd/towpath/internal/flow"
	"github.com/towpath-cd/towpath/internal/store"
)

// maxAsked is how many digests one call may ask about in their own bytes.
const maxAsked = 100_000

// maxManifest is the size of the largest manifest that is read, in bytes: about half a million files.
const maxManifest = 64 << 20

func (s *Server) registerArtifacts() {
	api(s, "POST "+leases+"artifacts/missing", s.missingBlobs)
	s.handle("POST "+leases+"artifacts/lacking", s.held(s.lackingBlobs))
	s.handle("POST "+leases+"artifacts/packs", s.held(s.putPack))
	s.handle("PUT "+leases+"artifacts/uploads/{pack}", s.takePart)
	s.handle("PUT "+leases+"artifacts/manifests/{digest}", s.held(s.putManifest))
	s.handle("GET "+leases+"artifacts/manifests/{digest}", s.held(s.getManifest))
	s.handle("GET "+leases+"artifacts/packs/{digest}", s.held(s.getPack))
	s.handle("GET "+kept+"artifacts/manifests/{digest}", s.keeping(s.getManifest))
	s.handle("GET "+kept+"artifacts/packs/{digest}", s.keeping(s.getPack))
}

// reader says which manifests a request may read.
type reader []towpath.Artifact

func (r reader) mayRead(digest string) bool {
	return slices.ContainsFunc(r, func(a towpath.Artifact) bool { return a.Digest == digest })
}

// artifactHandler moves artifacts for a request that may read some.
type artifactHandler func(http.ResponseWriter, *http.Request, reader) error

// held lets in a worker that holds the lease in the path. It may read what its step uses.
func (s *Server) held(handler artifactHandler) func(http.ResponseWriter, *http.Request, access.Caller) {
	return func(w http.ResponseWriter, r *http.Request, caller access.Caller) {
		lease, err := s.heldLease(r, caller)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		uses, err := s.readsOf(r, lease)
		if err == nil {
			err = handler(w, r, uses)
		}
		if err != nil {
			s.fail(w, r, explainArtifact(err))
		}
	}
}

// readsOf answers what a step uses, and the tree that is asked for where its cache has that.
func (s *Server) readsOf(r *http.Request, lease towpath.Lease) (reader, error) {
	uses, err := s.Flow.UsedBy(r.Context(), lease)
	may, digest := reader(uses), r.PathValue("digest")
	if err != nil || digest == "" || may.mayRead(digest) {
		return may, err
	}
	isCached, err := s.Flow.MayReadCached(r.Context(), lease, digest)
	if isCached {
		may = append(may, towpath.Artifact{Digest: digest})
	}
	return may, err
}

// keeping lets in the keeper of the environment in the path. It may read its releases.
func (s *Server) keeping(handler artifactHandler) func(http.ResponseWriter, *http.Request, access.Caller) {
	return func(w http.ResponseWriter, r *http.Request, caller access.Caller) {
		var order flow.Order
		var kept towpath.Environment
		err := s.Store.View(r.Context(), func(tx *store.Tx) error {
			e, _, err := tx.Environment(keyIn(r))
			if err != nil {
				return err
			}
			kept = e
			if e.Keeper.Worker != caller.Worker {
				return nil
			}
			order.Releases, err = flow.ReleasesOf(tx, e)
			return err
		})
		var may reader
		for _, release := range order.Releases {
			may = append(may, release.Artifacts...)
		}
		if err == nil {
			err = s.keeps(r, caller, kept)
		}
		if err == nil {
			err = handler(w, r, may)
		}
		if err != nil {
			s.fail(w, r, explainArtifact(err))
		}
	}
}

// explainArtifact gives what is wrong with an artifact its code.
func explainArtifact(err error) error {
	switch {
	case errors.Is(err, artifact.ErrNotFound):
		return towpath.Errorf(towpath.CodeNotFound, "this artifact is not stored (any more)")
	case errors.Is(err, artifact.ErrMalformed), errors.Is(err, artifact.ErrUnsafe),
		errors.Is(err, artifact.ErrMismatch), errors.Is(err, artifact.ErrTooLarge):
		return towpath.Errorf(towpath.CodeInvalid, "artifact refused: %s", err)
	}
	return err
}

func (s *Server) missingBlobs(c call[[]string]) ([]string, error) {
	if _, err := s.heldLease(c.Request, c.Caller); err != nil {
		return nil, err
	}
	digests := make([]artifact.Digest, len(c.Body))
	for i, text := range c.Body {
		var err error
		if digests[i], err = artifact.ParseDigest(text); err != nil {
			return nil, explainArtifact(err)
		}
	}
	missing := []string{}
	for _, d := range s.Artifacts.Missing(digests) {
		missing = append(missing, d.String())
	}
	return missing, nil
}

// lackingBlobs is asked with the bytes of digests one behind the other, and answers a byte for each: 1 where its blob is not
// stored.
func (s *Server) lackingBlobs(w http.ResponseWriter, r *http.Request, _ reader) error {
	question, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAsked*sha256.Size))
	if err != nil || len(question)%sha256.Size != 0 {
		return towpath.Errorf(towpath.CodeInvalid, "digests have %d bytes, and at most %d of them are asked about at once", sha256.Size, maxAsked)
	}
	var digests []artifact.Digest
	for digest := range slices.Chunk(question, sha256.Size) {
		digests = append(digests, artifact.Digest(digest))
	}
	answer, missing := make([]byte, len(digests)), s.Artifacts.Missing(digests) // in the same order
	for i, digest := range digests {
		if len(missing) > 0 && missing[0] == digest {
			answer[i], missing = 1, missing[1:]
		}
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(answer) // the worker is gone if this fails
	return nil
}

func (s *Server) putPack(w http.ResponseWriter, r *http.Request, _ reader) error {
	if err := s.Artifacts.PutPack(r.Context(), r.Body); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// takePart takes a part of a pack, or its rest, and answers where its upload stands, from where to go on.
func (s *Server) takePart(w http.ResponseWriter, r *http.Request, caller access.Caller) {
	answer, err := s.partTaken(r, caller)
	if err != nil {
		s.fail(w, r, explainArtifact(err))
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (s *Server) partTaken(r *http.Request, caller access.Caller) (client.PackUpload, error) {
	var answer client.PackUpload
	if _, err := s.heldLease(r, caller); err != nil {
		return answer, err
	}
	offset, err := offsetIn(r)
	if err != nil {
		return answer, err
	}
	pack, err := artifact.ParseDigest(r.PathValue("pack"))
	if err != nil {
		return answer, err
	}
	upload := s.Artifacts.Upload(caller.Worker, pack) // a later attempt of the same worker goes on with it
	defer upload.Close()
	if r.ContentLength == 0 {
		upload.Settle(r.Context())
	}
	if answer.Offset, answer.Stored, err = upload.Standing(); err != nil || answer.Stored || answer.Offset != offset {
		return answer, err
	}
	if r.URL.Query().Get("more") != "" {
		err = upload.Append(offset, r.Body)
	} else {
		err = upload.Finish(r.Context(), offset, r.Body)
	}
	if _, isElsewhere := errors.AsType[*artifact.OffsetError](err); err != nil && !isElsewhere {
		return answer, err
	}
	answer.Offset, answer.Stored, err = upload.Standing()
	return answer, err
}

func (s *Server) putManifest(w http.ResponseWriter, r *http.Request, _ reader) error {
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	if err != nil {
		return towpath.Errorf(towpath.CodeInvalid, "a manifest is at most %d bytes", maxManifest)
	}
	digest, err := s.Artifacts.PutManifest(content)
	if err == nil && digest.String() != r.PathValue("digest") {
		err = artifact.ErrMismatch
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) readable(r *http.Request, may reader) (artifact.Manifest, error) {
	if !may.mayRead(r.PathValue("digest")) {
		return nil, towpath.Errorf(towpath.CodeForbidden, "this artifact is none of those that were handed to this worker")
	}
	digest, err := artifact.ParseDigest(r.PathValue("digest"))
	if err != nil {
		return nil, err
	}
	return s.Artifacts.Manifest(digest)
}

func (s *Server) getManifest(w http.ResponseWriter, r *http.Request, may reader) error {
	manifest, err := s.readable(r, may)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(manifest.Encode()) // the worker is gone if this fails
	return nil
}

// getPack answers the blobs of a manifest. Who has a part of that stream already gets the rest.
func (s *Server) getPack(w http.ResponseWriter, r *http.Request, may reader) error {
	manifest, err := s.readable(r, may)
	if err != nil {
		return err
	}
	stream, err := s.Artifacts.Stream(manifest.Digests())
	if err != nil {
		return err
	}
	named, offset := stream.Identity().String(), int64(0)
	if r.URL.Query().Get("stream") == named {
		if offset, err = offsetIn(r); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set(client.HeaderStream, named)
	w.Header().Set(client.HeaderOffset, strconv.FormatInt(offset, 10))
	if err := stream.WriteFrom(r.Context(), w, offset); err != nil {
		s.Log.Warn("an artifact was not sent whole", "digest", r.PathValue("digest"), "error", err)
		panic(http.ErrAbortHandler) // the worker sees a cut body, not a short artifact
	}
	return nil
}

func offsetIn(r *http.Request) (int64, error) {
	offset, err := strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64)
	if err != nil || offset < 0 {
		return 0, towpath.Errorf(towpath.CodeInvalid, "offset has to be a number of bytes")
	}
	return offset, nil
}

// checkArtifacts holds what a worker says of its artifacts against what is stored.
func (s *Server) checkArtifacts(artifacts []towpath.Artifact) error {
	for i := range artifacts {
		digest, err := artifact.ParseDigest(artifacts[i].Digest)
		if err != nil {
			return explainArtifact(err)
		}
		size, err := s.Artifacts.SizeOf(digest)
		if err != nil {
			return explainArtifact(err)
		}
		artifacts[i].Files, artifacts[i].Size = size.Entries, size.Bytes
	}
	return nil
}
