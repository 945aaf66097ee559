//go:build unix

package shell

import "os/exec"

// standard prefers bash, which also notices a failure inside a pipe.
func standard() command {
	name := "sh"
	if _, err := exec.LookPath("bash"); err == nil {
		name = "bash"
	}
	c, _ := known(name)
	return c
}
