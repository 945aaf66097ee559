package hosts

// What runs beside the web processes has nobody on a host who looks after it, so each process has a supervisor: a script for
// POSIX sh in a session of its own, in the folder .towpath/processes/<id>@<name> or .towpath/singles/<id>@<name>. There are
//
//	want      "run" or "stop": the last order
//	spec      signal, and how long the process may take then, in hundredths of a second
//	command   what runs, and env, what it runs with
//	child     runner's process ID and when that began, in ticks since the host did; exit is how the command ended
//	state     what the supervisor says: status, boot, its own process ID and beginning, since when, ends in a row, exit code, killed
//	log       what the process printed; log.1 is the part before
//	lock      held by the supervisor as long as it lives; running, by the runner
//
// The process is not the supervisor's child but a runner's, who is the first of a session and writes down how the command
// ended. So a supervisor that was killed takes nothing with it: the next one finds the runner by its lock, and goes on.
//
// Both are begun by a setsid in a setsid: the inner one is the first of its group, so it forks and returns at once. What a
// shell begins with & would ignore INT and QUIT for ever (POSIX, Shell Command Language, 2.11).

// scriptKin tells processes apart. A process ID alone says nothing, as the host gives it to another one some time.
const scriptKin = `
same() { # same PID BEGINNING: it is alive, and no other one
  [ "${1:-0}" != 0 ] && { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  set -- "$2" ${stat##*) }
  [ "$1" = "${21}" ] && [ "$2" != Z ] && [ "$2" != X ]
}
# members FOLDER PID [outside] are what belongs to a runner: by its session, and, where it has left that, by a variable. With
# a third word, those that its group does not have.
members() {
  marked=$(grep -lsF "TOWPATH_SUPERVISED=$1/" /proc/[0-9]*/environ | tr -cd '0-9\n' | tr '\n' ' ')
  cat /proc/[0-9]*/stat 2>/dev/null | awk -v s="${2:-0}" -v marked="$marked" -v how="$3" '
    BEGIN { n = split(marked, m, " "); for (k = 1; k <= n; k++) is[m[k]] }
    { p = $1; sub(/^.*\) /, "") }
    $1 != "Z" && $1 != "X" && ((p in is) || (s > 0 && $4 == s)) && (how == "" || $3 != s) { print p }'
}
`

// scriptRunner is the first of a process's session. It has every signal that may ask the process to end, and outlives it.
const scriptRunner = `
f=$1
trap : HUP INT QUIT TERM USR1 USR2 PIPE
read -r stat </proc/$$/stat
set -- "$f" ${stat##*) }
printf '%s\n' "$$ ${21}" >"$f/child.new" && mv -f "$f/child.new" "$f/child" || exit 126
( p=${f%/.towpath/*} i=${f##*/}
  cd "$p/releases/${i%%@*}" || exit 126
  set -- "$f" "$(cat "$f/command")"; set -a; . "$1/env"; TOWPATH_SUPERVISED=$1/; set +a
  exec /bin/sh -c "$2" ) </dev/null >>"$f/log" 2>&1 7>&- 8>&-
printf '%s\n' "$?" >"$f/exit.new" && mv -f "$f/exit.new" "$f/exit"
`

// scriptSupervisor keeps a process running until it is told to stop, and ends then. It looks once a second, so that it finds an
// order also where nobody could wake it.
const scriptSupervisor = scriptKin + `
f=$1 LC_ALL=C; export LC_ALL; cd /
trap : USR1
tick=0.1; sleep 0.01 2>/dev/null || tick=1
nap() { sleep "$1" 8>&- & wait "$!"; }
exec 8>>"$f/lock"
n=0
until flock -n -x 8; do
  n=$((n + 1)); [ "$n" -lt 20 ] || exit 0
  nap "$tick"
done
boot=-
[ ! -r /proc/sys/kernel/random/boot_id ] || read -r boot </proc/sys/kernel/random/boot_id
read -r stat </proc/$$/stat
own=$(set -- ${stat##*) }; echo "${20}")
clock() { read -r up _ </proc/uptime; up=${up%.*}${up#*.}; }
say() {
  [ "$status" = "$1" ] || at=$(date +%s)
  status=$1
  printf '%s\n' "$status $boot $$ $own $at $failures $code $killed" >"$f/state.new" && mv -f "$f/state.new" "$f/state"
}
strike() {
  [ "$pid" = 0 ] || kill "-$1" "-$pid" 2>/dev/null
  for p in $(members "$f" "$pid" outside); do kill "-$1" "$p" 2>/dev/null; done
}
# end returns when nothing of the process is left.
end() {
  killed=no pace=$tick
  clock; asked=$up
  strike "$signal"
  while same "$pid" "$start" || [ -n "$(members "$f" "$pid")" ]; do
    clock
    if [ $((up - asked)) -ge "$within" ]; then
      [ "$within" = 0 ] || killed=yes
      strike KILL
      nap "$pace"; pace=1
    else
      nap "$tick"
    fi
  done
}
collect() {
  code=?
  [ ! -f "$f/exit" ] || read -r code <"$f/exit"
  pid=0 start=0
  rm -f "$f/child"
}
find_child() {
  n=0
  until [ -f "$f/child" ]; do
    n=$((n + 1)); [ "$n" -lt 100 ] || return 0
    nap "$tick"
  done
  read -r pid start <"$f/child"
}
begin() {
  [ -z "$(members "$f" 0)" ] || end
  rm -f "$f/exit" "$f/child"
  killed=no
  exec 7>>"$f/running"
  ! flock -n -x 7 || TOWPATH_SUPERVISED="$f/" setsid setsid /bin/sh "$f/run" "$f" </dev/null >/dev/null 2>&1 8>&-
  exec 7>&-
  clock; begun=$up
  find_child
  say starting
}
# adopt finds what a supervisor before this one has left.
adopt() {
  [ ! -f "$f/state" ] || read -r status was _ _ at failures code killed <"$f/state"
  if [ "$was" != "$boot" ]; then
    failures=0 status=; rm -f "$f/child" "$f/exit"
    return 0
  fi
  if [ -f "$f/child" ]; then
    read -r pid start <"$f/child"
    same "$pid" "$start" || [ ! -d "/proc/$pid" ] || pid=0 # it is another's by now
  else
    exec 7>>"$f/running"
    flock -n -x 7 || { exec 7>&-; find_child; }
    exec 7>&-
  fi
}
ended() {
  clock
  [ $((up - begun)) -lt 6000 ] || failures=0
  failures=$((failures + 1)) rest=50 n=1
  while [ "$n" -lt "$failures" ] && [ "$rest" -lt 3000 ]; do rest=$((rest * 2)) n=$((n + 1)); done
  [ "$rest" -le 3000 ] || rest=3000
  [ -z "$(members "$f" "$pid")" ] || end
  collect
  clock; rested=$((up + rest))
  say backing-off
}
watch_over() {
  clock
  age=$((up - begun))
  if [ "$status" != running ] && [ "$age" -ge 100 ]; then say running; fi
  if [ "$failures" != 0 ] && [ "$age" -ge 6000 ]; then failures=0; say running; fi
  looks=$((looks + 1))
  if [ "$looks" -ge 10 ]; then
    looks=0
    [ -z "$(find "$f/log" -size +20480 2>/dev/null)" ] || { cp "$f/log" "$f/log.1"; : >"$f/log"; }
  fi
  if [ "$age" -lt 200 ]; then nap "$tick"; else nap 1; fi
}
status= was= at=0 failures=0 code=- killed=no pid=0 start=0 rested=0 looks=0 want=run
adopt
clock; begun=$up
case $status in running) same "$pid" "$start" || status=starting ;; *) status=starting ;; esac
say "$status"
while :; do
  asked=$want
  read -r want <"$f/want" || want=$asked
  read -r signal within <"$f/spec"
  if same "$pid" "$start"; then
    if [ "$want" = run ]; then watch_over; else say stopping; end; collect; fi
  elif [ "$pid" != 0 ]; then
    ended
  elif [ "$want" != run ]; then
    [ -z "$(members "$f" 0)" ] || { say stopping; end; }
    failures=0 rested=0
    say stopped || { nap 1; continue; }
    read -r want <"$f/want"
    [ "$want" = run ] || exit 0
  elif clock; [ "$up" -lt "$rested" ]; then
    nap "$tick"
  else
    begin
  fi
done
`

// scriptProcesses gives orders to supervisors. Folders are whole paths, as they become part of what processes are known by.
const scriptProcesses = `
beside=$TW_PATH/.towpath/processes singles=$TW_PATH/.towpath/singles
lives() { ! ( flock -n -x 8 ) 8>>"$1/lock"; }
# heed FOLDER reads what was wanted last, and what its supervisor says.
heed() {
  want= status= ofboot= sup= supat= failures=0 code=- killed=no
  [ ! -f "$1/want" ] || read -r want <"$1/want"
  [ ! -f "$1/state" ] || read -r status ofboot sup supat _ failures code killed <"$1/state"
  [ "$ofboot" = "$boot" ] || sup=0
}
# attend FOLDER: when it returns, a supervisor has heard of the last order, or has carried it out.
attend() {
  n=0
  while heed "$1"; do
    [ "$want" != stop ] || [ "$status" != stopped ] || return 0
    if [ "$status" != stopped ] && same "$sup" "$supat"; then
      kill -USR1 "$sup" 2>/dev/null
      return 0
    fi
    if [ $((n % 20)) = 0 ] && ! lives "$1"; then
      ( unset SSH_CONNECTION SSH_CLIENT SSH_TTY; exec setsid setsid /bin/sh "$1/supervise" "$1" ) </dev/null >"$1/supervisor.log" 2>&1 9>&- || return 1
    fi
    n=$((n + 1)); [ "$n" -lt 100 ] || return 1
    rest 0.1
  done
}
# furnish FOLDER: what the process number $j is, as file and what it runs with, and that it is wanted.
furnish() {
  eval "command=\$TW_PCOMMAND_$j spec=\$TW_PSPEC_$j penv=\$TW_PENV_${k}_$j"
  ( umask 077
    mkdir -p "$1" && put "$1/env" "$penv" && put "$1/command" "$command" && put "$1/spec" "$spec" &&
      put "$1/run" "$TW_RUNNER" && put "$1/supervise" "$TW_SUPERVISOR" && keep "$1/want" run )
}
# raise starts what belongs beside $id.
raise() {
  j=1
  while [ "$j" -le "$TW_P" ]; do
    eval "name=\$TW_PNAME_$j"
    furnish "$beside/$id@$name" && attend "$beside/$id@$name" || { why="$name cannot be started"; return 1; }
    j=$((j + 1))
  done
}
# dismiss FOLDER asks a process to end, and does not wait.
dismiss() {
  [ -f "$1/want" ] || return 0
  read -r want <"$1/want"
  [ "$want" = stop ] || keep "$1/want" stop || return 1
  attend "$1"
}
# has_ended FOLDER says that nothing of a process runs, and that nobody starts it again.
has_ended() {
  heed "$1"
  [ -n "$want" ] || return 0
  [ "$want" != stop ] || [ "$status" != stopped ] || return 0
  ! lives "$1" || return 1
  pid=0
  [ "$ofboot" != "$boot" ] || [ ! -f "$1/child" ] || read -r pid start <"$1/child"
  same "$pid" "$start" || [ ! -d "/proc/$pid" ] || pid=0
  [ -z "$(members "$1" "$pid")" ]
}
# see_end FOLDER waits for a process that was dismissed, and tells what it took.
see_end() {
  [ -f "$1/want" ] || return 0
  read -r _ within <"$1/spec"
  uptime
  until=$((up + within / 100 + 15)) naps=0
  while heed "$1"; [ "$status" != stopped ]; do
    uptime
    [ "$up" -lt "$until" ] || { why="${1##*@} of $id has not ended"; return 1; }
    [ $((naps % 20)) != 19 ] || attend "$1" || { why="${1##*@} of $id cannot be ended: $(tail -n 3 "$1/supervisor.log")"; return 1; }
    naps=$((naps + 1))
    rest 0.1
  done
  [ "$killed" != yes ] || tell killed "${1##*@}" "$id" "$within"
}
# lower and lowered do so with all that is beside $id.
lower() { for w in "$beside/$id"@*; do dismiss "$w" || { why="${w##*@} cannot be told to end"; return 1; }; done; }
lowered() { for w in "$beside/$id"@*; do see_end "$w" || return 1; done; }
`
