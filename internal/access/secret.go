package access

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/secret"
	"github.com/towpath-cd/towpath/internal/store"
)

// Sealer encrypts values at rest. A value opens only for the row that it was sealed for.
type Sealer interface {
	Seal(row string, value []byte) ([]byte, error)
	Open(row string, sealed []byte) ([]byte, error)
}

// MaxSecret is the longest value of a secret, in bytes.
const MaxSecret = 64 << 10

// Secrets keeps values that are written, never read back, and given only to what they are granted to.
type Secrets struct {
	sealer   Sealer
	commands *secret.Commands // nil: there are none
}

// NewSecrets makes the keeper of secrets.
func NewSecrets(s Sealer) *Secrets { return &Secrets{sealer: s} }

// SecretGrant says where a secret may go.
type SecretGrant struct {
	Environments []string // names; empty is steps, wherever they stand, but no instances
	Branches     []string // globs; empty is protected branches
}

// secretNames are those that a shell takes as variables.
var secretNames = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// Put writes a secret of a project, by its ID, new or again.
func (s *Secrets) Put(tx *store.Tx, project, name, value string, grant SecretGrant, now time.Time) error {
	if value == "" || len(value) > MaxSecret || strings.ContainsRune(value, 0) {
		return towpath.Errorf(towpath.CodeInvalid, "a secret's value is a text of %d to %d bytes", secret.MinLength, MaxSecret)
	}
	if err := secret.CheckMaskable(value); err != nil {
		return towpath.Errorf(towpath.CodeInvalid, "%s", err).WithHint("what is no secret belongs into env")
	}
	return s.put(tx, store.Secret{
		Project: project, Name: name, Environments: grant.Environments, Branches: grant.Branches, SetAt: now,
	}, value)
}

// put seals a text for the secret's row: its value, or the name of the command that has it.
func (s *Secrets) put(tx *store.Tx, k store.Secret, text string) (err error) {
	if !secretNames.MatchString(k.Name) {
		return towpath.Errorf(towpath.CodeInvalid, "%q cannot be a secret's name", k.Name).
			WithHint("use letters, digits and underscores, as in NPM_TOKEN")
	}
	for _, glob := range k.Branches {
		if !doublestar.ValidatePattern(glob) {
			return towpath.Errorf(towpath.CodeInvalid, "%q is not a pattern of branches", glob)
		}
	}
	if k.Sealed, err = s.sealer.Seal(secretRow(k.Project, k.Name), []byte(text)); err != nil {
		return fmt.Errorf("seal %s: %w", k.Name, err)
	}
	return tx.PutSecret(k)
}

// secretRow is what a value is sealed for: moved to another row, it does not open.
func secretRow(project, name string) string { return "secret/" + project + "/" + name }

// Use is what asks for secrets: a step, or the instances of a release.
type Use struct {
	Project     string // project's ID
	Environment string // name; for a step, of the deployment before it; empty where there is none
	Instances   bool   // it is the instances in the environment that ask, not a step
	Branch      string // of the change
	Trusted     bool   // the branch is protected
	Fork        bool   // the change is of people who may not push: nothing is for them, whatever the grants
}

// Open answers the named secrets. One that does not exist is CodeNotFound, one that was not granted to this use CodeForbidden:
// nothing is answered then.
func (s *Secrets) Open(tx *store.Tx, use Use, wanted []string) (Given, error) {
	if len(wanted) == 0 {
		return Given{}, nil
	}
	known, err := tx.Secrets(use.Project)
	if err != nil {
		return Given{}, err
	}
	given := Given{Values: map[string]string{}, Outside: map[string]string{}}
	for _, name := range wanted {
		i := slices.IndexFunc(known, func(k store.Secret) bool { return k.Name == name })
		if i < 0 {
			return Given{}, towpath.Errorf(towpath.CodeNotFound, "there is no secret %s", name).
				WithHint("set it with: towpath secret put %s", name)
		}
		if err := use.refusedBy(known[i]); err != nil {
			return Given{}, err
		}
		if err := s.open(tx, known[i], given); err != nil {
			return Given{}, fmt.Errorf("open secret %s: %w", name, err)
		}
	}
	return given, nil
}

// open adds a secret to what is given.
func (s *Secrets) open(tx *store.Tx, k store.Secret, given Given) error {
	text, err := s.sealer.Open(secretRow(k.Project, k.Name), k.Sealed)
	if err != nil {
		return err
	}
	if k.Source == "" {
		given.Values[k.Name] = string(text)
		return nil
	}
	given.Outside[k.Name] = string(text)
	_, err = s.command(tx, k.Project, string(text))
	return err
}

// Unreadable names the secrets and credentials that the keys do not open, as project/name: those of another server's.
func (s *Secrets) Unreadable(tx *store.Tx) ([]string, error) {
	projects, err := tx.Projects()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range projects {
		secrets, err := tx.Secrets(p.ID)
		if err != nil {
			return nil, err
		}
		for _, k := range secrets {
			if _, err := s.sealer.Open(secretRow(p.ID, k.Name), k.Sealed); err != nil {
				names = append(names, p.Name+"/"+k.Name)
			}
		}
		credentials, err := tx.Credentials(p.ID)
		if err != nil {
			return nil, err
		}
		for _, k := range credentials {
			if _, err := s.sealer.Open(credentialRow(p.ID, k.Name), k.Sealed); err != nil {
				names = append(names, p.Name+"/"+k.Name)
			}
		}
	}
	return names, nil
}

// refusedBy says why a secret does not go there.
func (u Use) refusedBy(s store.Secret) error {
	switch {
	case u.Fork:
		return towpath.Errorf(towpath.CodeForbidden, "secret %s is not for pull requests from forks", s.Name).
			WithHint("leave the step out for them: when: trigger != \"pull_request\"")
	case len(s.Environments) == 0 && u.Instances:
		return towpath.Errorf(towpath.CodeForbidden, "secret %s is not granted to environment %s", s.Name, u.Environment)
	case len(s.Environments) > 0 && !slices.Contains(s.Environments, u.Environment):
		return towpath.Errorf(towpath.CodeForbidden, "secret %s is granted to %v only", s.Name, s.Environments)
	case len(s.Branches) == 0 && !u.Trusted:
		return towpath.Errorf(towpath.CodeForbidden, "secret %s is for protected branches only, and %s is none", s.Name, u.Branch)
	case len(s.Branches) > 0 && !slices.ContainsFunc(s.Branches, func(glob string) bool {
		return doublestar.MatchUnvalidated(glob, u.Branch)
	}):
		return towpath.Errorf(towpath.CodeForbidden, "secret %s is for branches %v only, not %s", s.Name, s.Branches, u.Branch)
	}
	return nil
}
