package hosts

// scriptErrand stands beside a command of a person. It lets the command be prepared under the host's lock, which it gives back
// at once, and waits for its end; it ends it, and all that it started, when it is told to, when nobody talks to it any more,
// and when the time is over. What has left the command's session is known by a variable, where there is a /proc.
//
// Each of the two writes down that it is there before it looks for the other: ID.on is this script's, ID.pid the command's.
const scriptErrand = scriptEnter + `
alive() { if [ -d /proc/self ]; then [ -d "/proc/$1" ]; else kill -0 "$1" 2>/dev/null; fi; }
mine() { grep -lsF "TOWPATH_EXEC=$TW_ERRAND" /proc/[0-9]*/environ 2>/dev/null | sed 's|^/proc/||; s|/environ$||'; }
strike() {
  [ -z "$pid" ] || kill "-$1" "-$pid" 2>/dev/null
  for p in $(mine); do kill "-$1" "$p" 2>/dev/null; done
}
left() { { [ -n "$pid" ] && { alive "$pid" || kill -0 "-$pid" 2>/dev/null; }; } || [ -n "$(mine)" ]; }
# waits TENTHS for all of it to be gone
waits() {
  n=0
  while left; do
    [ "$n" -lt "$1" ] || return 1
    sleep 0.1 2>/dev/null || { sleep 1; n=$((n + 9)); }
    n=$((n + 1))
  done
}
cd "$TW_PATH" || fail again "$TW_PATH cannot be entered by $(id -un)"
[ -f .towpath/epoch ] || fail broken "nothing was ever deployed in $TW_PATH"
claim
[ -f ".towpath/instances/$TW_ID" ] && [ -d "releases/$TW_ID" ] || fail broken "$TW_ID is not placed"
f=.towpath/errands/$TW_ERRAND
( umask 077; mkdir -p .towpath/errands && find .towpath/errands -type f -mtime +1 -exec rm -f {} + &&
  : >"$f.on" && printf '%s\n' "$TW_COMMAND" >"$f" ) || fail again "$TW_PATH/.towpath/errands cannot be written$(full)"
exec 9>&-
tell ready
exec 3<&0
( read -r word <&3; : >"$f.end" ) >/dev/null 2>&1 &
reader=$!
uptime
until=$((up + TW_LIMIT)) pid= why=
while [ -z "$why" ]; do
  uptime
  [ -n "$pid" ] || [ ! -f "$f.pid" ] || read -r pid <"$f.pid"
  if [ -f "$f.end" ]; then
    why=asked
  elif [ -n "$pid" ] && ! alive "$pid"; then
    why=ended
  elif [ "$up" -ge "$until" ]; then
    why=late
  else
    sleep 0.1 2>/dev/null || sleep 1
  fi
done
kill "$reader" 2>/dev/null
rm -f "$f.on" "$f"
[ -n "$pid" ] || [ ! -f "$f.pid" ] || read -r pid <"$f.pid"
if left; then
  strike "$TW_SIGNAL"
  waits "$TW_GRACE" || { strike KILL; waits 20; } || tell left "$(echo $pid $(mine))"
fi
rm -f "$f.pid" "$f.end"
tell done "$why"
`

// scriptOfErrand becomes the command. It is read from a file, as a terminal is no place to read it from, and removes that
// first: it holds secrets.
const scriptOfErrand = `printf '%s\n' "$mark"
cd "$path" || exit 126
rm -f ".towpath/errands/$errand"
echo $$ >".towpath/errands/$errand.new" && mv -f ".towpath/errands/$errand.new" ".towpath/errands/$errand.pid" || exit 126
[ -e ".towpath/errands/$errand.on" ] || exit 143
cd "releases/$id" || exit 126
unset mark path
`
