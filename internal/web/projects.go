package web

import (
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/store"
)

// Polling: how often where nobody says, and the shortest interval that is taken.
const (
	defaultPoll  = 2 * time.Minute
	shortestPoll = 200 * time.Millisecond
)

var projectName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

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
		Poll: p.Poll.Seconds(), Paused: p.Paused, Forge: string(p.Forge.Kind), WebhookURL: s.hookURL(p), CreatedAt: p.CreatedAt,
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

// addProject tries the repository before it keeps anything.
func (s *Server) addProject(c call[client.NewProject]) (client.Project, error) {
	project, err := s.newProject(c)
	if err != nil {
		return client.Project{}, err
	}
	project.DefaultBranch, _, err = s.Repositories.Tips(c.Context(), project)
	if err != nil {
		return client.Project{}, err
	}
	if project.DefaultBranch == "" {
		return client.Project{}, towpath.Errorf(towpath.CodeInvalid, "%s has no branch that HEAD names", project.URL).
			WithHint("push a first commit, or set the repository's default branch")
	}
	var answer client.Project
	err = s.audited(c.Request, c.Caller, "project.add", project.Name, project.URL, func(tx *store.Tx) error {
		if err := tx.CreateProject(project); err != nil {
			return err
		}
		answer, err = s.projectOf(tx, project)
		return err
	})
	if err == nil {
		s.Polled()
	}
	return answer, err
}

func (s *Server) newProject(c call[client.NewProject]) (towpath.Project, error) {
	p := towpath.Project{
		ID: s.NewID(), Name: c.Body.Name, URL: c.Body.URL, Poll: defaultPoll, CreatedAt: s.Clock(),
	}
	if p.Name == "" {
		p.Name = strings.ToLower(strings.TrimSuffix(path.Base(strings.TrimRight(p.URL, "/")), ".git"))
	}
	if !projectName.MatchString(p.Name) {
		return p, towpath.Errorf(towpath.CodeInvalid, "%q cannot be the name of a project", p.Name).
			WithHint("use lower-case letters, digits and dashes, at most 63: --name NAME")
	}
	if c.Body.Poll != 0 {
		p.Poll = time.Duration(c.Body.Poll * float64(time.Second))
	}
	if p.Poll < shortestPoll {
		return p, towpath.Errorf(towpath.CodeInvalid, "a repository is polled every %s at most", shortestPoll)
	}
	if u, err := url.Parse(p.URL); err == nil && u.User != nil {
		if _, secret := u.User.Password(); secret {
			return p, towpath.Errorf(towpath.CodeInvalid, "the address holds a password, which would be readable by everyone who sees the project")
		}
	}
	return p, nil
}

// changeProject pauses a project or lets it go on, and sets how often it is polled.
func (s *Server) changeProject(c call[client.Project]) (answer client.Project, err error) {
	err = s.audited(c.Request, c.Caller, "project.change", c.PathValue("project"), "", func(tx *store.Tx) error {
		p, version, err := tx.Project(c.Project.ID)
		if err != nil {
			return err
		}
		p.Paused, p.Poll = c.Body.Paused, time.Duration(c.Body.Poll*float64(time.Second))
		if p.Poll != 0 && p.Poll < shortestPoll {
			return towpath.Errorf(towpath.CodeInvalid, "a repository is polled every %s at most", shortestPoll)
		}
		if err := tx.SaveProject(p, version); err != nil {
			return err
		}
		answer, err = s.projectOf(tx, p)
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
