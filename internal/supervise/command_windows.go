package supervise

// arguments is the command line to run.
func (s Spec) arguments() []string {
	if s.Shell != "" {
		return []string{"cmd.exe", "/d", "/c", s.Shell}
	}
	return s.Command
}
