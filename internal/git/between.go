package git

import (
	"context"
	"errors"
	"strconv"
	"strings"
)

// Between answers the commits that a revision holds and another does not, newest first, at most so many. It asks the mirror
// alone; what that does not have is an error.
func (m *Mirror) Between(ctx context.Context, without, revision string, most int) ([]Commit, error) {
	if err := errors.Join(checkHash(without), checkHash(revision)); err != nil {
		return nil, err
	}
	out, err := m.read(ctx, "list the commits of "+m.remote.shown, "log", "--max-count="+strconv.Itoa(most), "-z", "--no-show-signature",
		"--no-color", "--no-decorate", "--encoding=UTF-8", "--format=%H%x1f%an%x1f%at%x1f%s", without+".."+revision, "--")
	if err != nil {
		return nil, err
	}
	var found []Commit
	for line := range strings.SplitSeq(string(out), "\x00") {
		if field := strings.SplitN(line, "\x1f", 4); len(field) == 4 {
			found = append(found, Commit{Hash: field[0], AuthorName: field[1], AuthoredAt: momentOf(field[2]), Message: field[3]})
		}
	}
	return found, nil
}
