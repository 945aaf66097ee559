package client

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// HeaderStream and HeaderOffset say of an answered pack which stream of bytes it is, and where in that it begins.
const (
	HeaderStream = "Towpath-Stream"
	HeaderOffset = "Towpath-Offset"
)

// missingMost is how many digests one call asks about.
const missingMost = 10_000

// digestPrefix begins the text of a digest, and digestBytes is how many bytes it is of.
const (
	digestPrefix = "sha256:"
	digestBytes  = 32
)

// Artifacts moves trees between a worker and the server. The formats of manifests and packs are package artifact's.
type Artifacts struct {
	client *Client
	path   func(string) string
}

// ArtifactsOfLease reaches the artifacts that an attempt uses and keeps.
func (c *Client) ArtifactsOfLease(l LeaseRef) Artifacts {
	return Artifacts{client: c, path: func(what string) string { return l.path("artifacts/" + what) }}
}

// ArtifactsOfEnvironment reaches the artifacts of the releases of an environment that the worker keeps.
func (c *Client) ArtifactsOfEnvironment(environment string) Artifacts {
	return Artifacts{client: c, path: func(what string) string { return keptPath(environment, "artifacts/"+what) }}
}

// Missing answers which of the digests the server does not hold.
func (a Artifacts) Missing(ctx context.Context, digests []string) ([]string, error) {
	var missing []string
	for asked := range slices.Chunk(digests, missingMost) {
		some, err := a.lacking(ctx, asked)
		if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusNotFound { // a server of the release before
			some, err = post[[]string](ctx, a.client, a.path("missing"), asked)
		}
		if err != nil {
			return nil, err
		}
		missing = append(missing, some...)
	}
	return missing, nil
}

// lacking asks as Missing does, with the bytes of the digests one behind the other. The answer is a byte for each: 1 where
// the server does not hold it. Of a tree of many files the same in JSON takes as long as hashing them.
func (a Artifacts) lacking(ctx context.Context, digests []string) ([]string, error) {
	question := make([]byte, 0, len(digests)*digestBytes)
	for _, digest := range digests {
		var err error
		digits, _ := strings.CutPrefix(digest, digestPrefix)
		if question, err = hex.AppendDecode(question, []byte(digits)); err != nil || len(question)%digestBytes > 0 {
			return nil, &Error{Code: "invalid", Message: fmt.Sprintf("%q is no digest", digest), Err: err}
		}
	}
	response, err := a.client.send(ctx, http.MethodPost, a.path("lacking"), "application/octet-stream", bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	defer drain(response.Body)
	answer, err := io.ReadAll(io.LimitReader(response.Body, missingMost+1))
	if err == nil && len(answer) != len(digests) {
		err = fmt.Errorf("%d answers to %d digests: %w", len(answer), len(digests), io.ErrUnexpectedEOF)
	}
	if err != nil {
		return nil, unreachable(a.client.base, err)
	}
	var missing []string
	for i, digest := range digests {
		if answer[i] != 0 {
			missing = append(missing, digest)
		}
	}
	return missing, nil
}

// PackUpload is where the upload of a pack stands.
type PackUpload struct {
	Offset int64 `json:"offset"` // from where to go on
	Stored bool  `json:"stored"` // whole and checked
}

// AppendPack adds a part of a pack at an offset, which is where the upload stands, and answers where it stands then. One
// without bytes asks. Code not_found: the server is older than the call, and takes whole packs alone, by PutPack.
func (a Artifacts) AppendPack(ctx context.Context, pack string, offset int64, part io.Reader) (PackUpload, error) {
	return a.putPart(ctx, pack, url.Values{"offset": {strconv.FormatInt(offset, 10)}, "more": {"true"}}, part)
}

// FinishPack adds the rest of a pack, and has it stored. Where the answer says that it is not, the upload does not stand at
// the offset. Code invalid: the pack is not what its name promised, and nothing is left of it.
func (a Artifacts) FinishPack(ctx context.Context, pack string, offset int64, rest io.Reader) (PackUpload, error) {
	return a.putPart(ctx, pack, url.Values{"offset": {strconv.FormatInt(offset, 10)}}, rest)
}

func (a Artifacts) putPart(ctx context.Context, pack string, query url.Values, part io.Reader) (PackUpload, error) {
	path := a.path("uploads/"+escape(pack)) + "?" + query.Encode()
	response, err := a.client.send(ctx, http.MethodPut, path, "application/octet-stream", part)
	if err != nil {
		return PackUpload{}, err
	}
	return decode[PackUpload](a.client, response)
}

// PutPack sends blobs as a pack in one piece.
func (a Artifacts) PutPack(ctx context.Context, pack io.Reader) error {
	return a.upload(ctx, http.MethodPost, "packs", pack)
}

// PutManifest sends a manifest whose blobs the server holds.
func (a Artifacts) PutManifest(ctx context.Context, digest string, manifest io.Reader) error {
	return a.upload(ctx, http.MethodPut, "manifests/"+escape(digest), manifest)
}

func (a Artifacts) upload(ctx context.Context, method, what string, body io.Reader) error {
	response, err := a.client.send(ctx, method, a.path(what), "application/octet-stream", body)
	if err != nil {
		return err
	}
	drain(response.Body)
	return nil
}

// Manifest answers a manifest. The caller closes it.
func (a Artifacts) Manifest(ctx context.Context, digest string) (io.ReadCloser, error) {
	response, err := a.client.send(ctx, http.MethodGet, a.path("manifests/"+escape(digest)), "", nil)
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

// packFrom answers the blobs of a manifest as a stream of packs, behind a place where the server still has that stream, and
// else from the beginning of another.
func (a Artifacts) packFrom(ctx context.Context, manifestDigest string, behind PackPlace) (*packAnswer, error) {
	path := a.path("packs/" + escape(manifestDigest))
	if behind.Offset > 0 {
		path += "?" + url.Values{"stream": {behind.Stream}, "offset": {strconv.FormatInt(behind.Offset, 10)}}.Encode()
	}
	response, err := a.client.send(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return nil, err
	}
	answer := &packAnswer{ReadCloser: response.Body, place: PackPlace{Stream: response.Header.Get(HeaderStream)}}
	if text := response.Header.Get(HeaderOffset); text != "" { // an older server begins at the beginning, and says nothing
		if answer.place.Offset, err = strconv.ParseInt(text, 10, 64); err != nil {
			_ = response.Body.Close()
			return nil, unreachable(a.client.base, fmt.Errorf("read where a pack begins: %w", err))
		}
	}
	return answer, nil
}

type packAnswer struct {
	io.ReadCloser
	place PackPlace
}
