package web

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/store"
)

func (s *Server) projects(c call[none]) ([]client.Project, error) {
	found := []client.Project{}
	err := s.Store.View(c.Context(), func(tx *store.Tx) error {
		all, err := tx.Projects()
		if err != nil {
			return err
		}
		for _, p := range all {
			if !c.Can(access.ReadProject, p.ID) {
				continue
			}
			project, err := s.projectOf(tx, p)
			if err != nil {
				return err
			}
			found = append(found, project)
		}
		return nil
	})
	return found, err
}

func (s *Server) project(c call[none]) (p client.Project, err error) {
	err = s.Store.View(c.Context(), func(tx *store.Tx) error {
		p, err = s.projectOf(tx, c.Project)
		return err
	})
	return p, err
}

func (s *Server) projectOf(tx *store.Tx, p towpath.Project) (client.Project, error) {
	pipelines, err := tx.Pipelines(p.ID)
	if err != nil {
		return client.Project{}, err
	}
	answer := client.Project{
		ID: p.ID, Name: p.Name, URL: p.URL, DefaultBranch: p.DefaultBranch, Pipelines: pipelines,
		Poll: p.Poll.Seconds(), Paused: p.Paused, Forge: string(p.Forge.Kind), Forks: string(p.Forks), Protected: p.Protected,
		KnownHosts: p.KnownHosts, WebhookURL: s.hookURL(p), CreatedAt: p.CreatedAt,
		StepsAtOnce: p.StepsAtOnce, Priority: p.Priority,
	}
	known, err := tx.Credentials(p.ID)
	for _, c := range known {
		switch access.CredentialName(c.Name) {
		case access.HookSecret, access.HookSecretBefore:
			answer.WebhookSecrets++
		default:
			answer.CredentialNames = append(answer.CredentialNames, c.Name)
		}
	}
	return answer, err
}

// changeProject renames a project, pauses it or lets it go on, and sets how it is watched. One that was never tried, as it
// waited for a key to be pasted, is tried now.
func (s *Server) changeProject(c call[client.Project]) (answer client.Project, err error) {
	untried := c.Project.DefaultBranch == "" && !c.Body.Paused
	branch := c.Project.DefaultBranch
	if untried {
		if branch, _, err = s.Repositories.Tips(c.Context(), c.Project); err != nil {
			return answer, err
		}
	}
	err = s.audited(c.Request, c.Caller, "project.change", c.PathValue("project"), changed(c.Project, c.Body), func(tx *store.Tx) error {
		p, version, err := tx.Project(c.Project.ID)
		if err != nil {
			return err
		}
		if p.DefaultBranch = branch; untried {
			if err := needsBranch(p); err != nil {
				return err
			}
		}
		p.Paused, p.Poll = c.Body.Paused, time.Duration(c.Body.Poll*float64(time.Second))
		if p.Poll != 0 && p.Poll < shortestPoll {
			return towpath.Errorf(towpath.CodeInvalid, "a repository is polled every %s at most", shortestPoll)
		}
		if p.Name = cmp.Or(c.Body.Name, p.Name); !projectName.MatchString(p.Name) {
			return misnamed(p.Name)
		}
		if err := settings(&p, c.Body.Forks, c.Body.Protected, c.Body.KnownHosts); err != nil {
			return err
		}
		if err := setTurn(&p, c.Body, c.Identity); err != nil {
			return err
		}
		if err := tx.SaveProject(p, version); err != nil {
			return err
		}
		answer, err = s.projectOf(tx, p)
		return err
	})
	s.Polled()
	s.Flow.LookAgain()
	return answer, err
}

// maxPriority bounds priorities on both sides, and maxStepsAtOnce what a pipeline may be bounded to.
const (
	maxPriority    = 100
	maxStepsAtOnce = 10_000
)

// setTurn sets when it is the turn of a project's steps. Its priority is at the cost of the other projects, so it is for
// who manages the workers to set.
func setTurn(p *towpath.Project, wish client.Project, by access.Identity) error {
	if wish.Priority != p.Priority {
		if err := access.Authorize(by, access.ManageWorkers, towpath.Project{}); err != nil {
			return err
		}
	}
	if wish.Priority < -maxPriority || wish.Priority > maxPriority {
		return towpath.Errorf(towpath.CodeInvalid, "a priority is from %d to %d", -maxPriority, maxPriority)
	}
	if wish.StepsAtOnce < 0 || wish.StepsAtOnce > maxStepsAtOnce {
		return towpath.Errorf(towpath.CodeInvalid, "a pipeline runs from 1 to %d steps at a time; 0 is as many as there are workers for", maxStepsAtOnce)
	}
	p.Priority, p.StepsAtOnce = wish.Priority, wish.StepsAtOnce
	return nil
}

// changed says for the audit what a change is about.
func changed(p towpath.Project, wish client.Project) string {
	var about []string
	if wish.Name != "" && wish.Name != p.Name {
		about = append(about, "renamed to "+wish.Name)
	}
	if wish.Paused != p.Paused {
		about = append(about, map[bool]string{true: "paused", false: "resumed"}[wish.Paused])
	}
	if wish.Priority != p.Priority {
		about = append(about, fmt.Sprintf("priority %d", wish.Priority))
	}
	if wish.StepsAtOnce != p.StepsAtOnce {
		about = append(about, fmt.Sprintf("%d steps at once", wish.StepsAtOnce))
	}
	return strings.Join(about, ", ")
}

// putForgeToken gives a project another token, or takes it away.
func (s *Server) putForgeToken(c call[client.Token]) (answer client.Project, err error) {
	err = s.audited(c.Request, c.Caller, "project.token", c.Project.Name, "", func(tx *store.Tx) error {
		if c.Body.Token == "" {
			err = s.Secrets.RemoveCredential(tx, c.Project.ID, access.ForgeToken)
		} else {
			err = s.Secrets.PutCredential(tx, c.Project.ID, access.ForgeToken, c.Body.Token, s.Clock())
		}
		if err != nil {
			return err
		}
		answer, err = s.projectOf(tx, c.Project)
		return err
	})
	s.Polled()
	return answer, err
}

// removeProject stops watching. What is deployed runs on, and has to be taken down before: an environment that serves
// would be left without anyone who knows of it.
func (s *Server) removeProject(c call[none]) (none, error) {
	return none{}, s.audited(c.Request, c.Caller, "project.remove", c.Project.Name, "", func(tx *store.Tx) error {
		environments, err := tx.Environments(store.EnvironmentFilter{Projects: []string{c.Project.ID}})
		if err != nil {
			return err
		}
		for _, e := range environments {
			if e.Live.Number > 0 || e.Deployment != nil {
				return towpath.Errorf(towpath.CodeConflict, "release %d is live in %s", e.Live.Number, e.Key).
					WithHint("a project is removed when nothing of it serves any more")
			}
		}
		return tx.DeleteProject(c.Project.ID)
	})
}
