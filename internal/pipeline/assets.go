package pipeline

import (
	"fmt"
	"path"
	"strings"

	"github.com/towpath-cd/towpath"
)

// assetsFormat is a folder in a release.
func assetsFormat() *format {
	f := keptPathFormat()
	form := f.check
	f.check = func(s string) (string, string) {
		if problem, hint := form(s); problem != "" {
			return problem, hint
		}
		if path.Clean(s) == "." || strings.ContainsAny(s, "\n\t") {
			return fmt.Sprintf("%q is no folder below that of the release", clip(s)), "name the folder of what pages load, for example public/assets"
		}
		return "", ""
	}
	return f
}

// assets is a folder that each release has to itself: what is shared is the same in all of them already.
func (b *builder) assets(e towpath.EnvironmentDefinition, v *value) string {
	folder := v.get("assets").string()
	if folder == "" {
		return ""
	}
	folder = path.Clean(folder)
	if e.Target.Hosts == nil {
		return folder
	}
	for _, shared := range e.Target.Hosts.Shared {
		if folder == shared || strings.HasPrefix(folder, shared+"/") {
			b.unfit(v.get("assets").key, fmt.Sprintf("the assets of %s are in %s, which all its releases share", e.Name, shared),
				"take assets out, or "+shared+" out of shared")
		}
	}
	return folder
}
