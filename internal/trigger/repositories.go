package trigger

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/git"
)

// branches is the prefix of a branch's full name.
const branches = "refs/heads/"

// Repositories keeps one bare mirror a project in a folder. It is safe for concurrent use.
type Repositories struct {
	git *git.Git
	dir string

	mu      sync.Mutex
	mirrors map[string]*git.Mirror // by project's ID and URL

	remembered revisions
}

// NewRepositories keeps mirrors in dir.
func NewRepositories(g *git.Git, dir string) *Repositories {
	return &Repositories{git: g, dir: dir, mirrors: map[string]*git.Mirror{}}
}

// Tips answers the tip of every branch of a repository, and its default branch.
func (r *Repositories) Tips(ctx context.Context, url string) (defaultBranch string, tips map[string]string, err error) {
	refs, err := r.git.LsRemote(ctx, url, "HEAD", branches+"*")
	if err != nil {
		return "", nil, explain(err)
	}
	tips = map[string]string{}
	for name, hash := range refs.Tips {
		if branch, ok := strings.CutPrefix(name, branches); ok {
			tips[branch] = hash
		}
	}
	return strings.TrimPrefix(refs.Default, branches), tips, nil
}

// Resolve answers the branch, the default one where it is empty, and its newest revision; or, where a revision is
// wanted, that one. A revision that the branch does not hold is refused: else a commit of any branch could pass for one
// of a protected branch.
func (r *Repositories) Resolve(ctx context.Context, p towpath.Project, branch, revision string) (resolvedBranch, resolved string, err error) {
	if branch == "" {
		branch = p.DefaultBranch
	}
	_, tips, err := r.Tips(ctx, p.URL)
	if err != nil {
		return "", "", err
	}
	tip := tips[branch]
	if tip == "" {
		return "", "", towpath.Errorf(towpath.CodeNotFound, "%s has no branch %q", p.Name, branch)
	}
	if revision == "" || revision == tip {
		return branch, tip, nil
	}
	return branch, revision, r.holds(ctx, p, branch, tip, revision)
}

// holds answers an error unless the branch holds the revision.
func (r *Repositories) holds(ctx context.Context, p towpath.Project, branch, tip, revision string) error {
	if !git.IsHash(revision) {
		return towpath.Errorf(towpath.CodeInvalid, "%q is not the full hash of a commit", revision)
	}
	mirror, err := r.mirror(p)
	if err != nil {
		return err
	}
	if err := mirror.Ensure(ctx, tip); err != nil {
		return explain(err)
	}
	known, err := mirror.Has(ctx, revision)
	if err != nil {
		return explain(err)
	}
	if known {
		known, err = mirror.IsAncestor(ctx, revision, tip)
	}
	if err == nil && !known {
		return towpath.Errorf(towpath.CodeInvalid, "branch %s of %s does not hold %s", branch, p.Name, towpath.ShortRevision(revision)).
			WithHint("name the branch that does")
	}
	return explain(err)
}

// Read completes a change with its commit's author, message and files, and answers the pipeline files at its revision.
// What was read lately is remembered: a revision never changes.
func (r *Repositories) Read(ctx context.Context, p towpath.Project, c towpath.Change) (towpath.Change, map[string][]byte, error) {
	c, err := r.sinceBase(ctx, p, c)
	if err != nil {
		return c, nil, err
	}
	key := strings.Join([]string{p.ID, p.URL, c.Before, c.Revision}, "\n")
	read, known := r.remembered.get(key)
	if !known {
		if read, err = r.read(ctx, p, c); err != nil {
			return c, nil, explain(err)
		}
		r.remembered.keep(key, read)
	}
	c.Author, c.AuthorEmail, c.Message, c.Files = read.author, read.email, read.message, knownFiles(c, read.files)
	return c, read.pipelines, nil
}

// revision is what a run needs to know of one.
type revision struct {
	author, email, message string
	files                  []string          // that changed; nil where that is not known
	pipelines              map[string][]byte // towpath.yaml and the files of .towpath/, by path
}

func (r *Repositories) read(ctx context.Context, p towpath.Project, c towpath.Change) (read revision, err error) {
	mirror, err := r.mirror(p)
	if err != nil {
		return read, err
	}
	if err := mirror.Ensure(ctx, c.Revision); err != nil {
		return read, err
	}
	err = mirror.Read(ctx, func(o *git.Objects) error {
		commit, err := o.Commit(c.Revision)
		if err != nil {
			return err
		}
		read.author, read.email, read.message = commit.AuthorName, commit.AuthorEmail, commit.Message
		if read.files, err = changedFiles(o, c.Before, commit); err != nil {
			return err
		}
		read.pipelines, err = pipelineFiles(o, commit)
		return err
	})
	return read, err
}

// changedFiles answers what changed since the branch was seen last, or else since the commit's parent.
func changedFiles(o *git.Objects, from string, commit git.Commit) ([]string, error) {
	if from == "" && len(commit.Parents) > 0 {
		from = commit.Parents[0]
	}
	if from == "" {
		return nil, nil
	}
	before, err := o.Commit(from)
	if errors.Is(err, git.ErrNotFound) {
		return nil, nil // it was rewritten away: whatever it held, all may have changed
	}
	if err != nil {
		return nil, err
	}
	files, err := o.Changed(before, commit)
	if errors.Is(err, git.ErrTooLarge) {
		return nil, nil // too many to be told apart
	}
	return files, err
}

// pipelineFiles answers towpath.yaml and the files of .towpath/ that exist at a commit.
func pipelineFiles(o *git.Objects, commit git.Commit) (map[string][]byte, error) {
	wanted := []string{"towpath.yaml"}
	names, err := o.List(commit, ".towpath")
	if err != nil && !errors.Is(err, git.ErrNotFound) {
		return nil, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".yaml") {
			wanted = append(wanted, ".towpath/"+name)
		}
	}
	found := map[string][]byte{}
	for _, name := range wanted {
		content, err := o.File(commit, name)
		if err != nil && !errors.Is(err, git.ErrNotFound) {
			return nil, err
		}
		if err == nil {
			found[name] = content
		}
	}
	return found, nil
}

func (r *Repositories) mirror(p towpath.Project) (*git.Mirror, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := p.ID + " " + p.URL
	if m := r.mirrors[key]; m != nil {
		return m, nil
	}
	m, err := r.git.Open(filepath.Join(r.dir, p.ID+".git"), p.URL)
	if err != nil {
		return nil, fmt.Errorf("open the mirror of %s: %w", p.Name, err)
	}
	r.mirrors[key] = m
	return m, nil
}

// explain tells people what is wrong with a repository. CodeUnavailable says that the same call may succeed later.
func explain(err error) error {
	fault, ok := errors.AsType[*git.Error](err)
	switch {
	case err == nil:
		return nil
	case ok && fault.Temporary():
		return wrap(towpath.CodeUnavailable, err, "it is asked again by itself")
	case errors.Is(err, git.ErrNotFound):
		return wrap(towpath.CodeNotFound, err, "is the address right, and does the branch or revision exist?")
	case errors.Is(err, git.ErrRefused):
		return wrap(towpath.CodeForbidden, err, "the repository wants credentials that the server does not have")
	case errors.Is(err, git.ErrUnsafe), errors.Is(err, git.ErrTooLarge):
		return wrap(towpath.CodeInvalid, err, "")
	}
	return err
}

func wrap(code towpath.Code, err error, hint string) error {
	e := towpath.Errorf(code, "%s", err)
	e.Hint, e.Err = hint, err
	return e
}
