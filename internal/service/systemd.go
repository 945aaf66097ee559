package service

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Systemd is the unit as systemd.unit(5) has it. KillMode=process leaves alone what the program started.
func Systemd(u Unit, home string) File {
	folder, target, account := "/etc/systemd/system", "multi-user.target", ""
	if u.User {
		folder, target = filepath.Join(home, ".config", "systemd", "user"), "default.target"
	} else if u.As != "" {
		account = "User=" + u.As + "\n"
	}
	groups := ""
	if u.Groups {
		groups = "Delegate=yes\n"
	}
	words := make([]string, len(u.Command))
	for i, word := range u.Command {
		words[i] = systemdWord(word, true)
	}
	return File{Path: filepath.Join(folder, u.Name+".service"), Text: fmt.Sprintf(`[Unit]
Description=%s
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
%sExecStart=%s
Environment=%s
Restart=always
RestartSec=2
KillMode=process
%sTimeoutStopSec=60

[Install]
WantedBy=%s
`, u.Description, account, strings.Join(words, " "), systemdWord("PATH="+u.Path, false), groups, target)}
}

// systemdWord quotes a word as systemd.syntax(7) and systemd.service(5) want it: % begins a specifier everywhere, and $ a
// variable in commands.
func systemdWord(word string, isCommand bool) string {
	word = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "\n", `\n`, "\t", `\t`).Replace(word)
	if isCommand {
		word = strings.ReplaceAll(word, "$", "$$")
	}
	return `"` + word + `"`
}

func systemctl(u Unit, args ...string) step {
	command := step{"systemctl"}
	if u.User {
		command = append(command, "--user")
	}
	return append(command, args...)
}

// systemdEnable makes systemd know and start it; systemdDisable is the way back, the file goes in between.
func systemdEnable(u Unit) []step {
	return []step{systemctl(u, "daemon-reload"), systemctl(u, "enable", u.Name+".service"), systemctl(u, "restart", u.Name+".service")}
}

func systemdDisable(u Unit) []step {
	return []step{systemctl(u, "disable", "--now", u.Name+".service")}
}
