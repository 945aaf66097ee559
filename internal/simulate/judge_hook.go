package simulate

import "github.com/towpath-cd/towpath"

// hooked judges that a hook is run once a deployment.
func (j *judge) hooked(key string, d towpath.Deployment, h towpath.Hook) {
	m, name := j.remember(key), d.ID+" "+string(h)
	if m.hooks[name] {
		j.breaks(hooks, "%s: the hook %s of deployment %s is run twice", key, h, d.ID)
	}
	m.hooks[name] = true
}
