package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version says which Towpath this is.
type version struct {
	Version  string `json:"version"`            // a release such as v0.1.0, or "devel"
	Revision string `json:"revision,omitempty"` // the commit it was built from, where the build knew it
	Modified bool   `json:"modified"`           // the working tree differed from that commit
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// newVersionCommand is "towpath version".
func newVersionCommand(console *Console) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Tell which Towpath this is",
		Example: "  towpath version\n  towpath version --json",
		RunE: func(*cobra.Command, []string) error {
			v := builtFrom(debug.ReadBuildInfo())
			return console.Show(v, v.String())
		},
	}
}

// builtFrom reads what the Go linker left in the binary.
func builtFrom(info *debug.BuildInfo, ok bool) version {
	v := version{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if !ok {
		return v
	}
	if released := info.Main.Version; released != "" && released != "(devel)" {
		v.Version = released
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.Revision = setting.Value
		case "vcs.modified":
			v.Modified = setting.Value == "true"
		}
	}
	return v
}

// String is the line that people read.
func (v version) String() string {
	line := "towpath " + v.Version
	if v.Revision != "" {
		line += fmt.Sprintf(" (%.7s)", v.Revision)
	}
	if v.Modified {
		line += " with local changes"
	}
	return fmt.Sprintf("%s, %s, %s", line, v.Go, v.Platform)
}
