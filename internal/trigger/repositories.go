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

// The prefixes of full names.
const (
	branches = "refs/heads/"
	tags     = "refs/tags/"
)

// Repositories keeps one bare mirror a project in a folder. It is safe for concurrent use.
type Repositories struct {
	// Access answers what a project's repository is shown; nil is nothing of the server's. It is set before the first use.
	Access func(context.Context, towpath.Project) (git.Access, error)

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

// Tips answers the tip of every branch of a project's repository, and its default branch. A branch whose name could pass
// for a tag or a pull request is none.
func (r *Repositories) Tips(ctx context.Context, p towpath.Project) (defaultBranch string, tips map[string]string, err error) {
	refs, err := r.ask(ctx, p, "HEAD", branches+"*")
	if err != nil {
		return "", nil, explain(err)
	}
	seen := linesOf(refs)
	return strings.TrimPrefix(refs.Default, branches), seen.tips, nil
}

func (r *Repositories) ask(ctx context.Context, p towpath.Project, patterns ...string) (git.Refs, error) {
	access, err := r.access(ctx, p)
	if err != nil {
		return git.Refs{}, err
	}
	return r.git.LsRemote(ctx, p.URL, access, patterns...)
}

// access is what the project's repository is shown.
func (r *Repositories) access(ctx context.Context, p towpath.Project) (a git.Access, err error) {
	if r.Access != nil {
		if a, err = r.Access(ctx, p); err != nil {
			return a, fmt.Errorf("find the credentials of %s: %w", p.Name, err)
		}
	}
	if a.KnownHosts == "" {
		a.KnownHosts = p.KnownHosts
	}
	return a, nil
}

// Resolve answers the branch, the default one where it is empty, and its newest revision; or, where a revision is
// wanted, that one. A revision that the branch does not hold is refused: else a commit of any branch could pass for one
// of a protected branch.
func (r *Repositories) Resolve(ctx context.Context, p towpath.Project, branch, revision string) (resolvedBranch, resolved string, err error) {
	if branch == "" {
		branch = p.DefaultBranch
	}
	_, tips, err := r.Tips(ctx, p)
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

// Head answers where a reference of a project's repository stands, by its full name.
func (r *Repositories) Head(ctx context.Context, p towpath.Project, ref string) (string, error) {
	refs, err := r.ask(ctx, p, ref)
	if err != nil {
		return "", explain(err)
	}
	if tip := refs.Tips[ref]; tip != "" {
		return tip, nil
	}
	return "", towpath.Errorf(towpath.CodeNotFound, "%s has no %s any more", p.Name, ref)
}

// holds answers an error unless the branch holds the revision.
func (r *Repositories) holds(ctx context.Context, p towpath.Project, branch, tip, revision string) error {
	if !git.IsHash(revision) {
		return towpath.Errorf(towpath.CodeInvalid, "%q is not the full hash of a commit", revision)
	}
	mirror, err := r.holding(ctx, p, git.Want{Revision: tip})
	if err != nil {
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

// Read completes a change with its commit's author, message and files and with whether it is trusted, and answers the pipeline files at its revision.
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
	c.Trusted, err = r.isTrusted(ctx, p, c)
	return c, read.pipelines, explain(err)
}

// revision is what a run needs to know of one.
type revision struct {
	author, email, message string
	files                  []string          // that changed; nil where that is not known
	pipelines              map[string][]byte // towpath.yaml and the files of .towpath/, by path
}

func (r *Repositories) read(ctx context.Context, p towpath.Project, c towpath.Change) (read revision, err error) {
	mirror, err := r.holding(ctx, p, git.Want{Revision: c.Revision, Ref: refOf(c)})
	if err != nil {
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

// refOf is where the change's revision is to be had; empty where that is not known.
func refOf(c towpath.Change) string {
	if c.Branch == "" && c.Request == nil {
		return ""
	}
	return c.FetchRef()
}

// holding answers the project's mirror once it holds a revision.
func (r *Repositories) holding(ctx context.Context, p towpath.Project, w git.Want) (*git.Mirror, error) {
	mirror, err := r.mirror(p)
	if err != nil {
		return nil, err
	}
	if w.Access, err = r.access(ctx, p); err != nil {
		return nil, err
	}
	return mirror, mirror.Ensure(ctx, w)
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
