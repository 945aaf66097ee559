package service

import (
	"encoding/xml"
	"fmt"
	"path/filepath"
	"strings"
)

// Launchd is the job as launchd.plist(5) has it: an agent of the caller's, or a daemon of the machine's. AbandonProcessGroup
// leaves alone what the program started.
func Launchd(u Unit, home string) File {
	folder, account := "/Library/LaunchDaemons", ""
	if u.User {
		folder = filepath.Join(home, "Library", "LaunchAgents")
	} else if u.As != "" {
		account = "\t<key>UserName</key>\n\t" + plistText(u.As) + "\n"
	}
	var words strings.Builder
	for _, word := range u.Command {
		words.WriteString("\t\t" + plistText(word) + "\n")
	}
	return File{Path: filepath.Join(folder, label(u)+".plist"), Text: fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key>
	%s
	<key>ProgramArguments</key>
	<array>
%s	</array>
%s	<key>EnvironmentVariables</key>
	<dict>
		<key>PATH</key>
		%s
	</dict>
	<key>RunAtLoad</key>
	<true/>
	<key>KeepAlive</key>
	<true/>
	<key>AbandonProcessGroup</key>
	<true/>
	<key>StandardErrorPath</key>
	%s
</dict>
</plist>
`, plistText(label(u)), words.String(), account, plistText(u.Path), plistText(filepath.Join(u.Data, "service.log")))}
}

// label is a name as launchd has them.
func label(u Unit) string { return "com.towpath-cd." + u.Name }

func plistText(text string) string {
	var escaped strings.Builder
	_ = xml.EscapeText(&escaped, []byte(text)) // a strings.Builder takes everything
	return "<string>" + escaped.String() + "</string>"
}
