package hosts

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/ssh"
)

// environ is what an instance and its scripts find, as a file.
func (d *Driver) environ(r towpath.Release, s seat) string { return environFile(d.variablesOf(r, s)) }

func (d *Driver) variablesOf(r towpath.Release, s seat) map[string]string {
	env := r.EnvIn(d.options.Definition)
	maps.Copy(env, d.options.Secrets)
	path := d.definition.Path
	maps.Copy(env, map[string]string{
		"TOWPATH_ENVIRONMENT": d.options.Environment, "TOWPATH_REVISION": r.Revision, "TOWPATH_PATH": path,
		"TOWPATH_RELEASE": strconv.Itoa(r.Number), "TOWPATH_INSTANCE": s.id, "TOWPATH_SLOT": s.slot.Name,
		"PORT": strconv.Itoa(s.slot.port), "TMPDIR": path + "/tmp/" + s.id,
	})
	return env
}

// environFile writes variables in the form that both sh and systemd's EnvironmentFile= read: a value in double quotes, with a
// backslash before what would mean something else (systemd.exec(5)).
func environFile(env map[string]string) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if ssh.IsVariable(name) { // neither sh nor systemd would take another
			fmt.Fprintf(&b, "%s=\"%s\"\n", name, escape.Replace(env[name]))
		}
	}
	return b.String()
}

// list tells a script of several instances.
func (d *Driver) list(o towpath.Release, seats []seat) variables {
	v := variables{"TW_N": strconv.Itoa(len(seats)), "TW_STOP": d.definition.Stop, "TW_ASSETS": d.options.Definition.Assets}
	for n, s := range seats {
		to := "releases/" + s.id
		if s.slot.dir != "." {
			to = "../" + to
		}
		for name, value := range map[string]string{
			"ID": s.id, "SLOT": s.slot.name, "DIR": s.slot.dir, "TO": to, "PORT": strconv.Itoa(s.slot.port), "FILE": d.environ(o, s),
		} {
			v[fmt.Sprintf("TW_%s_%d", name, n+1)] = value
		}
	}
	return v
}
