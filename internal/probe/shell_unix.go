//go:build unix

package probe

// shell answers the command line that runs a script.
func shell(script string) []string { return []string{"/bin/sh", "-c", script} }
