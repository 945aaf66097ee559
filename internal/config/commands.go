package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/towpath-cd/towpath/internal/secret"
)

// SecretCommand is a command that has the value of secrets.
type SecretCommand struct {
	Run      []string      `yaml:"run"`      // program and arguments; no shell takes them apart
	Projects []string      `yaml:"projects"` // names of those whose secrets may have the value
	Keep     time.Duration `yaml:"keep"`     // how long the value is used again, from memory; 0s asks each time
}

// commandNames are those that a person can type.
var commandNames = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// Commands are those by which secrets' values are read.
func (s *Server) Commands() map[string]secret.Command {
	all := map[string]secret.Command{}
	for name, c := range s.SecretCommands {
		all[name] = secret.Command{Args: c.Run, Projects: c.Projects, Keep: c.Keep}
	}
	return all
}

func wrongCommands(commands map[string]SecretCommand) (wrong []error) {
	for _, name := range slices.Sorted(maps.Keys(commands)) {
		c, at := commands[name], "secret_commands."+name
		switch {
		case !commandNames.MatchString(name):
			wrong = append(wrong, fmt.Errorf("%s: a name has letters, digits, dots, dashes and underscores, up to 63 of them", at))
		case len(c.Run) == 0 || c.Run[0] == "":
			wrong = append(wrong, fmt.Errorf("%s.run: it has to be a program with its arguments, as a list", at))
		case len(c.Projects) == 0:
			wrong = append(wrong, fmt.Errorf("%s.projects: it has to name the projects whose secrets may have the value", at))
		case c.Keep < 0:
			wrong = append(wrong, fmt.Errorf("%s.keep: %s; it has to be 0s, which asks each time, or more", at, c.Keep))
		}
	}
	return wrong
}
