package pipeline

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
)

// checkState doubts places where what an application writes would be gone with its release, or be another on each host.
func (b *builder) checkState(e towpath.EnvironmentDefinition, v *value) {
	for _, name := range v.get("env").keys() {
		if at := v.get("env", name); at != nil {
			b.checkWritten(e, name, at)
		}
	}
	if hosts := e.Target.Hosts; hosts != nil && len(hosts.Hosts) > 1 {
		for _, item := range v.get("target", "hosts", "shared").each() {
			if isState(item.text) {
				b.doubtCopies(e, item, path.Clean(item.text))
			}
		}
	}
}

// checkWritten looks at a variable that says where the application writes.
func (b *builder) checkWritten(e towpath.EnvironmentDefinition, name string, at *value) {
	where := writtenBelow(name, at.text)
	if where == "" {
		return
	}
	hint := "write a path that is not below the release, such as /var/lib/" + b.out.Name
	if hosts := e.Target.Hosts; hosts != nil {
		isShared := slices.ContainsFunc(hosts.Shared, func(s string) bool { return where == s || strings.HasPrefix(where, s+"/") })
		if isShared {
			if len(hosts.Hosts) > 1 {
				b.doubtCopies(e, at, where)
			}
			return
		}
		hint = "add its folder to shared, or " + hint
	}
	b.doubt(at.at, fmt.Sprintf("%s has %s in the release (%s): each release begins without it, and it goes with the release", e.Name, name, where), hint)
}

func (b *builder) doubtCopies(e towpath.EnvironmentDefinition, at *value, where string) {
	b.doubt(at.at, fmt.Sprintf("each of the %d hosts of %s has a %s of its own: what one writes, the others do not have", len(e.Target.Hosts.Hosts), e.Name, where),
		"keep it where all hosts reach it, such as a database or an object store")
}

// writtenBelow answers the path in a release to which a variable sends what an application writes; empty where it does not,
// or where that cannot be known.
func writtenBelow(name, text string) string {
	scheme, rest, has := strings.Cut(text, ":")
	switch isFile := slices.Contains([]string{"sqlite", "sqlite3", "file"}, strings.ToLower(scheme)); {
	case has && isFile && strings.HasPrefix(rest, "///") && !strings.HasPrefix(rest, "////") && scheme != "file":
		rest = rest[3:] // three slashes are relative, four absolute, as SQLAlchemy and Django have it
	case has && isFile && strings.HasPrefix(rest, "//") && !strings.HasPrefix(rest, "///"):
		rest = rest[2:]
	case has && isFile:
	case has || !namesState(name):
		return ""
	default:
		rest = text
	}
	rest, _, _ = strings.Cut(rest, "?")
	if rest == "" || path.IsAbs(rest) || strings.HasPrefix(rest, ":") || strings.ContainsAny(rest[:1], "~$") {
		return ""
	}
	if where := path.Clean(rest); where != "." && where != ".." && !strings.HasPrefix(where, "../") {
		return where
	}
	return ""
}

// namesState says that a variable has the path of what is written and is to last: UPLOAD_DIR, MEDIA_ROOT, DB_FILE.
func namesState(name string) bool {
	words := strings.Split(strings.ToUpper(name), "_")
	return slices.Contains([]string{"DIR", "DIRECTORY", "PATH", "FILE", "FOLDER", "ROOT"}, words[len(words)-1]) &&
		slices.ContainsFunc(words, func(w string) bool {
			return slices.Contains([]string{"UPLOAD", "UPLOADS", "STORAGE", "MEDIA", "DB", "DATABASE", "SQLITE"}, w)
		})
}

// isState says that a path is called as what has to be the same on all hosts is. Logs and settings need not be.
func isState(shared string) bool {
	name := strings.ToLower(path.Base(path.Clean(shared)))
	return slices.Contains([]string{"upload", "uploads", "storage", "media", "db"}, name) ||
		slices.Contains([]string{".sqlite", ".sqlite3", ".db"}, path.Ext(name))
}
