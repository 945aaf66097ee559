//go:build unix

package supervise

// arguments is the command line to run.
func (s Spec) arguments() []string {
	if s.Shell != "" {
		return []string{"/bin/sh", "-c", s.Shell}
	}
	return s.Command
}
