package app

import (
	"os/exec"
	"slices"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/config"
	"github.com/towpath-cd/towpath/internal/confine"
)

// programs are those that a worker looks for when it starts. Each that it finds is a label: has=docker.
var programs = []string{
	"bash", "cargo", "cmake", "composer", "docker", "dotnet", "flutter", "gcc", "git", "git-lfs", "go", "gradle", "helm", "java",
	"kubectl", "make", "mvn", "node", "npm", "packer", "php", "pnpm", "podman", "powershell", "psql", "pwsh", "python3", "ruby",
	"rustc", "swift", "terraform", "tofu", "xcodebuild", "yarn",
}

// labelsOf answers a worker's labels: those that it was told, how far it keeps steps apart, and the programs that it finds.
func labelsOf(c config.Worker) []string {
	labels := slices.Clone(c.Labels)
	if c.Isolation != "" && c.Isolation != confine.None {
		labels = append(labels, towpath.Isolation+string(c.Isolation))
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			labels = append(labels, towpath.HasProgram+program)
		}
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}
