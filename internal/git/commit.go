package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

	tree string // hash of its root folder
}

// Subject is the first line of the message.
func (c Commit) Subject() string {
	subject, _, _ := strings.Cut(c.Message, "\n")
	return subject
}

// errForeignText is a commit that is not written as we read it: in another encoding, or in a form of long ago.
var errForeignText = errors.New("commit that only git itself reads")

// parseCommit reads a commit as it is stored: lines of a name and a value, an empty line, the message. Values that go on
// in lines which begin with a blank (signatures) are of no interest here.
func parseCommit(hash string, content []byte) (Commit, error) {
	c := Commit{Hash: hash}
	head, message, _ := bytes.Cut(content, []byte("\n\n"))
	for line := range strings.Lines(string(head)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		var err error
		switch name {
		case "tree":
			c.tree = value
		case "parent":
			c.Parents = append(c.Parents, value)
		case "author":
			c.AuthorName, c.AuthorEmail, c.AuthoredAt, err = parseSignature(value)
		case "committer":
			_, _, c.CommittedAt, err = parseSignature(value)
		case "encoding":
			if !strings.EqualFold(value, "UTF-8") {
				err = errForeignText
			}
		}
		if err != nil {
			return Commit{}, err
		}
	}
	if !IsHash(c.tree) {
		return Commit{}, fmt.Errorf("commit %s: %w", hash, ErrDamaged)
	}
	c.Message = strings.TrimRight(string(message), "\n")
	return c, nil
}

// parseSignature reads "Ada Lovelace <ada@example.com> 1700000000 +0100".
func parseSignature(value string) (name, email string, at time.Time, err error) {
	name, rest, begins := strings.Cut(value, "<")
	email, when, ends := strings.Cut(rest, "> ")
	seconds, _, _ := strings.Cut(when, " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || !begins || !ends {
		return "", "", time.Time{}, errForeignText
	}
	return strings.TrimSpace(name), email, time.Unix(unix, 0).UTC(), nil
}

// reencodedFormat ends each field with a NUL, the only byte that none of them can hold.
const reencodedFormat = "--format=%T%x00%P%x00%an%x00%ae%x00%at%x00%ct%x00%B"

// reencoded has git turn a commit's texts into UTF-8.
func (m *Mirror) reencoded(ctx context.Context, revision string) (Commit, error) {
	out, err := m.read(ctx, "read commit "+revision, "log", "--max-count=1", "--no-show-signature", "--no-color",
		"--no-decorate", "--encoding=UTF-8", reencodedFormat, revision, "--")
	if err != nil {
		return Commit{}, err
	}
	field := strings.SplitN(string(out), "\x00", 7)
	if len(field) != 7 {
		return Commit{}, fmt.Errorf("read commit %s: %d fields of 7", revision, len(field))
	}
	return Commit{
		Hash: revision, tree: field[0], Parents: strings.Fields(field[1]), AuthorName: field[2], AuthorEmail: field[3],
		AuthoredAt: momentOf(field[4]), CommittedAt: momentOf(field[5]), Message: strings.TrimRight(field[6], "\n"),
	}, nil
}

// momentOf is the zero time where git cannot read the commit's.
func momentOf(unix string) time.Time {
	seconds, err := strconv.ParseInt(unix, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
