package git

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Commit is one revision as its author left it.
type Commit struct {
	Hash        string
	Parents     []string
	AuthorName  string
	AuthorEmail string
	AuthoredAt  time.Time
	CommittedAt time.Time
	Message     string // subject and body, without the trailing newline
}

// Subject is the first line of the message.
func (c Commit) Subject() string {
	subject, _, _ := strings.Cut(c.Message, "\n")
	return subject
}

// Commit returns the commit with this hash.
func (m *Mirror) Commit(ctx context.Context, revision string) (Commit, error) {
	if err := checkHash(revision); err != nil {
		return Commit{}, err
	}
	commits, err := m.log(ctx, "--max-count=1", revision)
	if err != nil || len(commits) != 1 {
		return Commit{}, errors.Join(err, unless(err != nil, ErrNotFound))
	}
	return commits[0], nil
}

// Log returns the commits that to reaches and from does not, the newest first, at most limit. An empty from means
// all that to reaches.
func (m *Mirror) Log(ctx context.Context, from, to string, limit int) ([]Commit, error) {
	if err := checkRange(from, to); err != nil {
		return nil, err
	}
	args := []string{"--max-count=" + strconv.Itoa(limit), to}
	if from != "" {
		args = append(args, "^"+from)
	}
	return m.log(ctx, args...)
}

// commitFormat ends each field with a NUL, the only byte that none of them can hold.
const (
	commitFormat = "--format=%H%x00%P%x00%an%x00%ae%x00%at%x00%ct%x00%B"
	commitFields = 7
)

func (m *Mirror) log(ctx context.Context, args ...string) ([]Commit, error) {
	fixed := []string{"log", "-z", "--no-show-signature", "--no-color", "--no-decorate", commitFormat}
	out, err := m.read(ctx, "read commits of "+m.remote.shown, append(append(fixed, args...), "--")...)
	if err != nil {
		return nil, err
	}
	var commits []Commit
	for fields := range slices.Chunk(splitNul(out), commitFields) {
		commit, err := parseCommit(fields)
		if err != nil {
			return nil, err
		}
		commits = append(commits, commit)
	}
	return commits, nil
}

func parseCommit(field []string) (Commit, error) {
	if len(field) != commitFields {
		return Commit{}, fmt.Errorf("read a commit: %d fields of %d", len(field), commitFields)
	}
	authored, authoredErr := strconv.ParseInt(field[4], 10, 64)
	committed, committedErr := strconv.ParseInt(field[5], 10, 64)
	if err := errors.Join(authoredErr, committedErr); err != nil {
		return Commit{}, fmt.Errorf("read the times of commit %s: %w", field[0], err)
	}
	return Commit{
		Hash: field[0], Parents: strings.Fields(field[1]), AuthorName: field[2], AuthorEmail: field[3],
		AuthoredAt: time.Unix(authored, 0).UTC(), CommittedAt: time.Unix(committed, 0).UTC(),
		Message: strings.TrimRight(field[6], "\n"),
	}, nil
}
