package simulate

import (
	"context"
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// project is the only one of a world; it stands in the database from the beginning.
var project = towpath.Project{ID: "shop", Name: "shop", URL: "world:shop", DefaultBranch: "main", Poll: time.Minute}

// author wrote every change.
const author = "ada@example.com"

// repository is where people push to.
type repository struct {
	world   *world
	commits []commit // oldest first
}

// commit is a revision with its pipeline file.
type commit struct {
	revision string
	file     string
	isRight  bool // its file can be read
}

// push adds a commit, and has the server be told of it, as a webhook does: again and again until it has answered.
func (r *repository) push() {
	n := len(r.commits) + 1
	c := commit{revision: fmt.Sprintf("%x%024x", uint64(n)*0x9e3779b97f4a7c15, n), file: r.world.drawn.file(), isRight: true}
	if r.world.fault(r.world.drawn.faults.wrongFile) {
		c.file, c.isRight = "pipeline: [shop\n", false
	}
	r.commits = append(r.commits, c)
	r.world.say("ada", "pushes %.7s", c.revision)
	r.deliver(c)
}

// deliverAgain has the server be told of all there is, once it has lost its memory.
func (r *repository) deliverAgain() {
	for _, c := range r.commits {
		r.deliver(c)
	}
}

func (r *repository) deliver(c commit) {
	s := r.world.server
	r.world.send(call{
		from: r.world.people.process, what: fmt.Sprintf("a push of %.7s", c.revision),
		serve: func(ctx context.Context) (any, error) { return nil, s.record(ctx, c) },
		done: func(_ any, err error) {
			if err != nil {
				r.world.after(2*time.Second, nil, "", func() { r.deliver(c) })
			}
		},
	})
}

// record is what a delivery and a poll have in common: the change is stored before it is answered.
func (s *server) record(ctx context.Context, c commit) error {
	change := towpath.Change{
		Project: project.ID, Branch: project.DefaultBranch, Revision: c.revision, Trigger: towpath.TriggerPush,
		Trusted: true, SeenAt: s.wall(),
	}
	err := mortal{s}.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.RecordChange(change, "")
		return err
	})
	if err != nil {
		return err
	}
	s.conductor.ChangesRecorded()
	s.world.judge.acknowledge(fact{kind: aChange, subject: c.revision})
	return nil
}

// Resolve implements flow.Repositories.
func (r *repository) Resolve(_ context.Context, p towpath.Project, branch, revision string) (string, string, error) {
	if err := r.answer(); err != nil {
		return "", "", err
	}
	if branch == "" {
		branch = p.DefaultBranch
	}
	if revision == "" {
		revision = r.commits[len(r.commits)-1].revision
	}
	return branch, revision, nil
}

// Head implements flow.Repositories.
func (r *repository) Head(ctx context.Context, p towpath.Project, _ string) (string, error) {
	_, tip, err := r.Resolve(ctx, p, "", "")
	return tip, err
}

// Between implements flow.Repositories.
func (r *repository) Between(context.Context, towpath.Project, string, string) (towpath.Commits, error) {
	return towpath.Commits{}, r.answer()
}

// Read implements flow.Repositories.
func (r *repository) Read(_ context.Context, _ towpath.Project, c towpath.Change) (towpath.Change, map[string][]byte, error) {
	if err := r.answer(); err != nil {
		return c, nil, err
	}
	c.Author, c.AuthorEmail, c.Message = "Ada", author, "Sell more tea"
	for _, known := range r.commits {
		if known.revision == c.Revision {
			return c, map[string][]byte{"towpath.yaml": []byte(known.file)}, nil
		}
	}
	return c, nil, towpath.Errorf(towpath.CodeNotFound, "there is no commit %s", c.Short())
}

// answer is the repository's mood.
func (r *repository) answer() error {
	if r.world.fault(r.world.drawn.faults.unreadable) {
		return towpath.Errorf(towpath.CodeUnavailable, "the repository does not answer")
	}
	return nil
}
