//go:build linux

package fleet

import (
	"fmt"
	"path/filepath"
)

// Shop is an application that every host runs as a unit of systemd, from the folder that the link current leads to. Its
// program is "app" there; what it runs with is in the file env beside the link.
type Shop struct {
	Unit string // "shop"; deploy restarts it by sudo systemctl
	Path string // the folder of the link, of which deploy is the owner
	Port int
}

// unit counts as started once the application says so (sd_notify(3)), so that a restart which fails says so too.
const unit = `
[Service]
Type=notify
User=deploy
WorkingDirectory=%[1]s/current
Environment=HOST=0.0.0.0 PORT=%[2]d
EnvironmentFile=-%[1]s/env
ExecStart=%[1]s/current/app
Restart=always
RestartSec=1
StartLimitIntervalSec=0
TimeoutStartSec=20
TimeoutStopSec=30
[Install]
WantedBy=multi-user.target
`

// Furnish makes an application's folder and unit on every host. There is nothing to run yet.
func (f *Fleet) Furnish(s Shop) {
	f.t.Helper()
	for _, h := range f.Hosts {
		h.Write("/etc/systemd/system/"+s.Unit+".service", fmt.Sprintf(unit, s.Path, s.Port), 0o644)
		h.Run(fmt.Sprintf("mkdir -p %[1]s && chown deploy:deploy %[1]s && systemctl daemon-reload && systemctl --quiet enable %[2]s && sync",
			s.Path, s.Unit))
	}
}

// Runs answers which instance's folder the link of a host leads to, also while the host is down; empty where there is none.
func (s Shop) Runs(h *Host) string {
	h.fleet.t.Helper()
	to := h.readLink(s.Path + "/current")
	if to == "" {
		return ""
	}
	return filepath.Base(to)
}
