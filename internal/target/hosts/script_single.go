package hosts

// scriptNone refuses while a single process $TW_NAME runs beside another instance than $own is for, and clears away what has
// ended. A process is known by its folder, and, where somebody has removed that, by a variable.
const scriptNone = `
none() {
  for w in "$singles"/*@"$TW_NAME"; do
    [ -d "$w" ] && [ "$w" != "$own" ] || continue
    i=${w##*/}
    has_ended "$w" || fail again "$TW_NAME runs beside ${i%%@*} still"
    rm -rf "$w"
  done
  for e in $(grep -lsF "TOWPATH_SINGLE=$TW_MARK" /proc/[0-9]*/environ); do
    [ -n "$own" ] && grep -qsF "TOWPATH_SUPERVISED=$own/" "$e" || [ ! -d "${e%/environ}" ] || fail again "$TW_NAME runs still: ${e%/environ}"
  done
}
`

// scriptSeeNone is for the hosts on which a single process is not to run.
const scriptSeeNone = scriptEnter + scriptNone + `
enter
own=
none
tell done
`

// scriptStartSingle starts a single process beside its instance, where none of its name runs, and waits until it has run for a
// moment.
const scriptStartSingle = scriptEnter + scriptNone + `
start() {
  own=$singles/$id@$TW_NAME
  [ -f ".towpath/instances/$id" ] && [ -d "releases/$id" ] || fail broken "$id is not placed"
  none
  j=1
  furnish "$own" && attend "$own" || fail again "$TW_NAME cannot be started: $(tail -n 3 "$own/supervisor.log")"
  uptime
  until=$((up + TW_PATIENCE)) pid=0
  while heed "$own"; [ "$status" != running ]; do
    if [ "$failures" -ge 3 ]; then
      tail_of "$own/log"
      fail broken "$TW_NAME of $id ended $failures times in a row, last with exit code $code"
    fi
    uptime
    [ "$up" -lt "$until" ] || fail late "$TW_NAME of $id has not begun to run"
    rest 0.1
  done
}
enter
each start
tell done
`

// scriptStopSingle ends a single process.
const scriptStopSingle = scriptEnter + `
end() {
  w=$singles/$id@$TW_NAME
  dismiss "$w" && see_end "$w" || fail again "${why:-$TW_NAME cannot be told to end}"
}
enter
why=
each end
tell done
`

// scriptMend gives another supervisor to what has lost it: all that was wanted last, but of single processes only one that runs
// at this moment, as it may have been given to another host since this one was cut off.
const scriptMend = scriptEnter + `
enter
for w in "$beside"/*@*; do
  i=${w##*/}
  heed "$w"
  [ "$want" = run ] && [ -f ".towpath/instances/${i%%@*}" ] && ! lives "$w" || continue
  attend "$w" && tell mended "$i" || fail again "${i##*@} of ${i%%@*} cannot be looked after: $(tail -n 3 "$w/supervisor.log")"
done
for w in "$singles"/*@*; do
  i=${w##*/}
  heed "$w"
  [ "$want" = run ] && [ "$ofboot" = "$boot" ] && [ -f "$w/child" ] && ! lives "$w" || continue
  read -r pid start <"$w/child"
  ! same "$pid" "$start" || ! attend "$w" || tell mended "$i"
done
tell done
`
