package shell

import (
	"slices"
	"strings"
	"testing"
)

func TestWhatStandsInAScriptsFileIsWhatItsShellReads(t *testing.T) {
	const ours = "one\ntwo\r\nthree"
	for _, tt := range []struct{ shell, begin, end string }{
		{"sh", "one\ntwo", "three"},
		{"awk -f", "one\ntwo", "three"},
		{"cmd", "@echo off\r\ncall :towpath_script\r\nexit %ERRORLEVEL%\r\n:towpath_script\r\none\r\ntwo\r\n", "three"},
		{"cmd.exe /V:ON /C", "one\r\ntwo\r\n", "three"},
		{"powershell", "\ufeff$ErrorActionPreference = 'Stop';", "three\nif (Test-Path -LiteralPath variable:\\LASTEXITCODE) { exit $LASTEXITCODE }\n"},
		{"pwsh", "\ufeff$ErrorActionPreference = 'Stop';", "{ exit $LASTEXITCODE }\n"},
		{"pwsh -File", "one\ntwo", "three"},
	} {
		if text := parse(tt.shell).file(ours); !strings.HasPrefix(text, tt.begin) || !strings.HasSuffix(text, tt.end) {
			t.Errorf("%s gets %q", tt.shell, text)
		}
	}
}

func TestWindowsShellsAreGivenTheFileLast(t *testing.T) {
	for name, want := range map[string]string{"cmd": "CALL", "powershell": "-File", "pwsh": "-File"} {
		c, _ := known(name)
		if !slices.Equal(c.args[len(c.args)-1:], []string{want}) {
			t.Errorf("%s: %q", name, c.args)
		}
	}
}
