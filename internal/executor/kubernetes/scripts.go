package kubernetes

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/towpath-cd/towpath/internal/executor"
)

// scriptFile stands in the script's Scratch.
const scriptFile = "script"

// noShell is what the step's container says when it ends because the image lacks the script's shell.
const noShell = "towpath: no such shell"

// beginScript has a shell begin as a step does: without what Kubernetes says of itself, in the script's folder, with its
// variables.
const beginScript = `unset KUBERNETES_PORT KUBERNETES_PORT_443_TCP KUBERNETES_PORT_443_TCP_ADDR KUBERNETES_PORT_443_TCP_PORT KUBERNETES_PORT_443_TCP_PROTO
unset KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT KUBERNETES_SERVICE_PORT_HTTPS
cd "$3" || exit 1
. "$1/env"`

// openScript becomes a person's shell: bash, where it is there. Its arguments are those of runScript, without a command.
const openScript = beginScript + `
if command -v bash >/dev/null; then exec bash -i; fi
exec sh -i`

// runScript is the first process of the step's container. It waits for the files, takes the variables, and ends with the
// script: its end takes every other process with it. Arguments are the folders control, output and the script's own, then
// the script's command. A variable that this shell does not let go (UID, for one) keeps its value.
const runScript = `while ! [ -e "$1/go" ]; do sleep 0.1 2>/dev/null || sleep 1; done
exec 3>>"$2/output" || exit 1
` + beginScript + `
shift 3
command -v "$1" >/dev/null 2>&1 || { printf %s "` + noShell + `" >/dev/termination-log; exit 127; }
(exec "$@" >&3 2>&3 3>&- </dev/null) # apart, as a shell says there how its commands were killed
exit $?`

// stayScript is there until it is asked to end: the helper's, and that of a container in which a person has a shell.
const stayScript = `trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done`

// takeScript unpacks what comes in, and then lets the script begin. Once that has begun it does nothing. The variables come
// last: to some tar, a stream that breaks off between two files is whole. Arguments are the folders control and output.
const takeScript = `[ -e "$1/go" ] && exit 0
umask 022
rm -f "$1/env"
cd / && tar xpf - && [ -e "$1/env" ] && : >>"$2/output" && : >"$1/go"`

// endMark is the last file that giveScript packs.
const endMark = controlFolder + "/go"

// giveScript packs those of its arguments that exist; they are below /.
const giveScript = `cd / || exit 1
n=$#
for f do if [ -e "$f" ]; then set -- "$@" "$f"; fi; done
shift $n
exec tar cf - "$@" ".` + endMark + `"`

// tellScript prints the output from a byte on, counted from 1, and does not end. Arguments are the folder output and that byte.
const tellScript = `exec <"$1/output" || exit 1
tail -c +"$2"
while :; do cat; sleep 0.1 2>/dev/null || sleep 1; done`

// restScript is tellScript that ends with the file. Before, it says on standard error how long that is.
const restScript = `wc -c <"$1/output" >&2 && exec tail -c +"$2" <"$1/output"`

// runCommand is the first process of a container that runs a script.
func runCommand(script executor.Script) []string {
	return append([]string{"sh", "-c", runScript, "sh", controlFolder, outputFolder, script.Dir}, commandOf(script)...)
}

// commandOf answers the words that run the script.
func commandOf(script executor.Script) []string {
	return append(executor.ShellInside(script.Shell), filepath.Join(script.Scratch, scriptFile))
}

// names are those that a shell can pass on.
var names = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// environment is a script that sets the variables, for a shell of POSIX (Shell Command Language, 2.2.2).
func environment(env []string) ([]byte, error) {
	var b strings.Builder
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		if !names.MatchString(name) {
			return nil, fmt.Errorf("no shell passes on a variable named %q", name)
		}
		b.WriteString("command export " + name + "=" + quoted(value) + "\n")
	}
	return []byte(b.String()), nil
}

func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
