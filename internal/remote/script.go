package remote

// Every script is for POSIX sh, and is sent as it stands: what differs comes in variables (TW_…), which hold data and never
// commands, but for the scripts of the pipeline file. What it answers is a line of words with tabs between them.

// Words begins every script. LC_ALL is set so that programs say the same everywhere.
//
// What a program would answer that the shell knows by itself, it is not asked: on a busy host each one that is begun takes
// milliseconds, and all hosts wait for the slowest.
//
// A handler for PIPE, and not the lack of one: a script goes on to its end when nobody listens any more, and what it starts
// is to have the signal as usual.
const Words = `
umask 022; LC_ALL=C; export LC_ALL; PATH="$PATH:/usr/local/bin:/usr/sbin:/sbin"; tab='	'
trap : PIPE
tell() { word=$1; shift; for part; do word="$word$tab$part"; done; printf '%s\n' "$word"; }
undo() { :; }
fail() { undo; tell fail "$1" "$(printf '%s' "$2" | tr '\n\t' '  ')"; exit 70; }
rest() { sleep "$1" 2>/dev/null || sleep 1; }
# uptime has $up be seconds that nobody sets, as people and time servers set the clock: whatever lasts is counted by them.
uptime() { if [ -r /proc/uptime ]; then read -r up _ </proc/uptime; up=${up%%.*}; else up=$(date +%s); fi; }
`

// Guard is for scripts that change something: watch begins their time, lock FILE HOLDER waits for the lock, epoch FILE refuses
// who is late. Where somebody new gives orders, newcomer is called first. What cause says is told where a file cannot be written.
//
// The watchdog asks first, so that what was begun is brought back, and then ends all that belongs to the script, which has a
// group of its own. A sleep that somebody else ends is not the end of its time.
const Guard = `
newcomer() { :; }
cause() { :; }
watch() {
  ( trap 'kill "$s" 2>/dev/null; exit 0' TERM
    uptime; over=$((up + TW_LIMIT))
    while [ "$up" -lt "$over" ]; do
      sleep $((over - up)) & s=$!; wait "$s"
      uptime
    done
    kill -TERM $$
    sleep 5 & s=$!; wait "$s"; kill -KILL -$$ 2>/dev/null || kill -KILL $$ ) </dev/null >/dev/null 2>&1 &
  dog=$!
  trap 'kill "$dog" 2>/dev/null' EXIT
  trap 'fail late "it did not end within $TW_LIMIT s"' TERM
}
keep() { # keep FILE TEXT: whole, or as it was before
  printf '%s\n' "$2" >"$1.new" && { sync "$1.new" 2>/dev/null || sync; } && mv -f "$1.new" "$1"
}
lock() {
  exec 9>>"$1" || fail again "$1 cannot be opened by $(id -un)$(cause)"
  until=
  until flock -n -x 9; do
    uptime
    [ -n "$until" ] || until=$((up + TW_WAIT))
    if [ "$up" -ge "$until" ]; then
      read -r who <"$2" || who="somebody"
      fail again "locked by $who"
    fi
    rest 0.1
  done
  now=$(date '+%s %H:%M:%S')
  printf '%s\n' "$TW_HOLDER since ${now#* }, for at most $TW_LIMIT s: $TW_WHAT" >"$2"
  now=${now%% *}
}
epoch() {
  seen=0 by=
  if [ -e "$1" ]; then
    read -r seen by <"$1"
    case $seen in '' | *[!0-9]*) fail broken "$1 is damaged: see that no other keeper is at work, and remove it" ;; esac
  fi
  if [ "$TW_EPOCH" -lt "$seen" ] || { [ "$TW_EPOCH" -eq "$seen" ] && [ "$TW_HOLDER" != "$by" ]; }; then
    tell stale "$seen" "$by"; exit 71
  fi
  if [ "$TW_EPOCH" -gt "$seen" ]; then
    newcomer
    keep "$1" "$TW_EPOCH $TW_HOLDER" || fail again "$1 cannot be written by $(id -un)$(cause)"
  fi
}
`
