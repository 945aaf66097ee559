package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// rolesHelp explains how verbs name roles.
const rolesHelp = "A role is PROJECT=ROLE, where PROJECT may be '*' for every project, and ROLE is viewer, runner, approver,\n" +
	"deployer or maintainer; PROJECT=none takes it away."

// changeRoles applies what a person wrote to the roles that somebody has.
func changeRoles(roles map[string]string, changes []string) (map[string]string, error) {
	after := map[string]string{}
	maps.Copy(after, roles)
	for _, change := range changes {
		project, role, ok := strings.Cut(change, "=")
		if !ok || project == "" || role == "" {
			return nil, usage(fmt.Sprintf("%q is not a role", change), "write it like shop=deployer")
		}
		after[project] = role
		if role == "none" {
			delete(after, project)
		}
	}
	return after, nil
}

// rolesText lists roles: "*=viewer, shop=deployer".
func rolesText(roles map[string]string) string {
	var texts []string
	for _, project := range slices.Sorted(maps.Keys(roles)) {
		texts = append(texts, project+"="+roles[project])
	}
	return strings.Join(texts, ", ")
}
