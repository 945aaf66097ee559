package hosts

import "github.com/towpath-cd/towpath/internal/remote"

// scriptWords begins every script, also those that change nothing.
const scriptWords = remote.Words + `
phase= boot=
[ ! -r /proc/sys/kernel/random/boot_id ] || read -r boot </proc/sys/kernel/random/boot_id
boot=${boot:--}
# full says what to do where the disk takes nothing more: what failed to be written tells it. A disk has blocks and, most of
# them, files (inodes) to give.
full() {
  for what in -Pk -Pi; do
    df $what "$TW_PATH" 2>/dev/null | awk -v least=$([ "$what" = -Pk ] && echo 256 || echo 1) -v path="$TW_PATH" '
      NR == 2 && $2 > 0 && $4 < least { print ": the disk of " path " is full, make room there"; exit }'
  done | head -n 1
}
tail_of() { [ ! -f "$1" ] || tail -n 20 "$1" | sed "s/^/log$tab/"; }
each() {
  k=1
  while [ "$k" -le "$TW_N" ]; do
    eval "id=\$TW_ID_$k slot=\$TW_SLOT_$k dir=\$TW_DIR_$k to=\$TW_TO_$k port=\$TW_PORT_$k file=\$TW_FILE_$k"
    log=.towpath/log/$id
    "$1" || return 1
    k=$((k + 1))
  done
}
# act FOLDER ENV SCRIPT runs a script of the pipeline file, without the lock and without whoever talks to us. Where a full disk
# takes no line of it, it is not told: a script that cannot print ends there, and is to do its work all the same.
act() {
  lines=$log
  printf -- '--- %s\n' "$TW_WHAT" 2>/dev/null >>"$log" || lines=/dev/null
  ( cd "$1" || exit 1; set -a; eval "$2"; set +a; exec /bin/sh -e -c "$3" ) </dev/null >>"$lines" 2>&1 9>&-
}
# holder says who listens on $port, and nothing where it is free.
holder() {
  own=$(printf '%s' "${SSH_CONNECTION-}" | cut -d ' ' -f 3)
  if command -v ss >/dev/null 2>&1; then
    ss -Hltnp "sport = :$port" 2>/dev/null | awk -v own="$own" '
      { a = $4; sub(/:[0-9]+$/, "", a); gsub(/[][]/, "", a) }
      a == "*" || a == "0.0.0.0" || a == "::" || a == own { print ($6 == "" ? "a process of another user" : $6); exit }'
  else
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v p=":$(printf '%04X' "$port")\$" '
      $4 == "0A" && $2 ~ p { print "the owner of socket " $10 " (user " $8 ")"; exit }'
  fi
}
# free waits for $port.
free() {
  [ "$port" -gt 0 ] || return 0
  uptime
  until=$((up + TW_FREE))
  while held=$(holder); [ -n "$held" ]; do
    uptime
    [ "$up" -lt "$until" ] || return 1
    rest 0.1
  done
}
`

// scriptOwn gives files to whom the pipeline file says ($TW_OWNER), by sudo where the login is neither root nor that user, and
// takes away what may be another's by now.
const scriptOwn = `
may_give() { [ -z "$TW_OWNER" ] || { me=$(id -u) && [ "$me" = 0 ]; } || [ "$me" = "$(id -u "${TW_OWNER%%:*}" 2>/dev/null)" ]; }
give() {
  [ -n "$TW_OWNER" ] || return 0
  if may_give; then chown -Rh "$TW_OWNER" "$1"; else sudo -n chown -Rh "$TW_OWNER" "$1"; fi
}
discard() { # discard PATH, below $TW_PATH
  [ -e "$1" ] || [ -L "$1" ] || return 0
  rm -rf "$1" 2>/dev/null || { sudo -n chown -Rh "$(id -un)" "$TW_PATH/$1" 2>/dev/null; rm -rf "$1"; }
}
`

// scriptEnter takes the lock under an epoch.
const scriptEnter = scriptWords + remote.Guard + scriptOwn + scriptKin + scriptProcesses + `
cause() { full; }
newcomer() { sweep; }
# put FILE TEXT: as keep, for what a power cut may take: which boot it was is in it.
put() { printf '%s\n' "$2" >"$1.new" && mv -f "$1.new" "$1"; }
# drop FILE…: those that are there
drop() { for f; do [ ! -e "$f" ] && [ ! -L "$f" ] || rm -rf "$f"; done; }
sweep() {
  drop .towpath/tmp
  for d in releases/*; do
    i=${d##*/}
    [ -f ".towpath/instances/$i" ] || [ ! -d "$d" ] || { discard "$d"; discard "tmp/$i"; drop ".towpath/log/$i" ".towpath/assets/$i" ".towpath/assets/$i.from"; }
  done
  for m in .towpath/manifests/*; do
    [ -f ".towpath/instances/${m##*/}" ] || drop "$m" ".towpath/instances/${m##*/}.new"
  done
  drop .towpath/slots/*.new .towpath/instances/*.new
  for w in "$beside"/*@* "$singles"/*@*; do
    i=${w##*/}
    [ ! -d "$w" ] || [ -f ".towpath/instances/${i%%@*}" ] || ! has_ended "$w" || rm -rf "$w"
  done
  for d in . *; do
    case $d in releases | shared | tmp) continue ;; esac
    [ ! -d "$d" ] || drop "$d/current.new" "$d/current.back" "$d/env.new" "$d/env.old"
  done
}
enter() {
  [ -d "$TW_PATH/releases" ] && [ -d "$TW_PATH/tmp" ] || mkdir -p "$TW_PATH/releases" "$TW_PATH/tmp" && cd "$TW_PATH" ||
    fail again "$TW_PATH cannot be made or entered by $(id -un)$(full)"
  for d in instances slots log manifests processes singles; do
    [ -d ".towpath/$d" ] || ( umask 077; mkdir -p ".towpath/$d" ) || fail again "$TW_PATH/.towpath cannot be written$(full)"
  done
  watch
  claim
}
claim() {
  lock "$PWD/.towpath/lock" "$PWD/.towpath/holder"
  epoch "$PWD/.towpath/epoch"
  uptime
  at="$boot $now $up"
}
`

// scriptClaim has the host refuse earlier keepers from now on.
const scriptClaim = scriptEnter + `
enter
tell done
`
