package hosts

// scriptStart is a conversation: it stages, and waits for "flip"; it flips the links, and waits for "go"; it has the
// application run what is current now, and waits for "keep". Any other word, and the end of the input before the
// application was told, brings back what was; so does the watchdog. "back" does also when it runs already.
const scriptStart = scriptEnter + `
# What is to be noted once something has happened is written before, so that a disk which fills up meanwhile cannot keep it from
# being noted: files only change their names then.
note() { mv -f ".towpath/slots/$slot.$1.new" ".towpath/slots/$slot"; } # note HOW: what was done in the slot
ready_notes() {
  n=.towpath/slots/$slot
  printf '%s\n' "starting $id $at" >"$n.starting.new" && printf '%s\n' "running $id $at" >"$n.running.new" || return 1
  [ -z "$ran" ] || printf '%s\n' "$ran" >"$n.was.new" || return 1
  read -r placed where begun <".towpath/instances/$id" || return 1
  [ "$where $begun" = "$slot begun" ] || printf '%s\n' "$placed $slot begun" >".towpath/instances/$id.begun.new"
}
stage() {
  [ -f ".towpath/instances/$id" ] && [ -d "releases/$id" ] || fail broken "$id is not placed"
  [ -d "$dir" ] || mkdir -p "$dir" || fail again "$TW_PATH/$dir cannot be made$(full)"
  [ -L "$dir/current" ] || [ ! -e "$dir/current" ] || fail broken "$TW_PATH/$dir/current is no link: it is somebody else's"
  was=$(readlink "$dir/current")
  eval "was_$k=\$was"
  clear_away
  [ -z "$was" ] || ln -s "$was" "$dir/current.back" || fail again "$TW_PATH/$dir cannot be written$(full)"
  umask 077
  ln -s "$to" "$dir/current.new" && printf '%s' "$file" >"$dir/env.new" || fail again "$TW_PATH/$dir cannot be written$(full)"
  umask 022
  [ ! -f "$dir/env" ] || cp -p "$dir/env" "$dir/env.old" || fail again "$TW_PATH/$dir cannot be written$(full)"
  ran=
  [ ! -f ".towpath/slots/$slot" ] || read -r ran <".towpath/slots/$slot"
  eval "ran_$k=\$ran"
  ready_notes 2>/dev/null || fail again "it cannot be written down what runs in $slot$(full)"
}
flip() {
  mv -fT "$dir/current.new" "$dir/current" && [ "$(readlink "$dir/current")" = "$to" ] && mv -f "$dir/env.new" "$dir/env"
}
clear_away() {
  drop "$dir/current.new" "$dir/current.back" "$dir/env.new" "$dir/env.old" ".towpath/instances/$id.begun.new"
  for how in starting running was; do drop ".towpath/slots/$slot.$how.new"; done
}
unflip() {
  eval "was=\$was_$k ran=\$ran_$k"
  if [ -n "$was" ]; then
    [ -L "$dir/current.back" ] || ln -s "$was" "$dir/current.back"
    mv -fT "$dir/current.back" "$dir/current"
  else
    rm -f "$dir/current"
  fi
  if [ -f "$dir/env.old" ]; then mv -f "$dir/env.old" "$dir/env"; else rm -f "$dir/env"; fi
  return 0 # the others are to go back, too
}
noted() { # as it was noted before
  if [ -f ".towpath/slots/$slot.was.new" ]; then note was; else rm -f ".towpath/slots/$slot"; fi
  return 0
}
undo() {
  case $phase in
  staged) each clear_away ;;
  flipped) each unflip; each clear_away ;;
  esac
  phase=
}
# makes room: an application that is stopped has its port free before another one starts.
make_room() {
  eval "was=\$was_$k ran=\$ran_$k"
  [ -n "$TW_RESTART" ] || return 0
  if [ -n "$TW_STOP" ] && [ -n "$was" ] && [ -n "$ran" ] && [ "${ran%% *}" != stopped ]; then
    env=$file
    [ ! -f "$dir/env.old" ] || env=$(cat "$dir/env.old")
    act "$dir/$was" "$env" "$TW_STOP" || { why="stop, to make room, failed"; return 1; }
  elif [ -n "$was" ] && [ "${ran%% *}" != stopped ]; then
    return 0 # restart itself ends what runs
  fi
  free || { why="port $port is still held by $held"; return 1; }
}
run() {
  note starting || { why="it cannot be written down what runs in $slot"; return 1; }
  k_begun=$k
  raise || return 1
  make_room || return 1
  act "$dir/current" "$file" "${TW_RESTART:-$TW_RELOAD}" || { why="${TW_VERB} failed"; return 1; }
}
settle() {
  [ ! -f ".towpath/instances/$id.begun.new" ] || mv -f ".towpath/instances/$id.begun.new" ".towpath/instances/$id" || return 1
  note running
}
run_again() { # what ran before, where it had to make room
  eval "was=\$was_$k ran=\$ran_$k"
  [ "$k" -le "$k_begun" ] || return 0
  if [ -n "$TW_STOP" ] && [ -n "$TW_RESTART" ]; then
    act "releases/$id" "$file" "$TW_STOP" || why="$why; and it could not be stopped again"
    free || why="$why; and port $port is still held by $held"
  fi
  if [ -n "$was" ] && [ "${ran%% *}" != stopped ]; then
    env=$file
    [ ! -f "$dir/env" ] || env=$(cat "$dir/env")
    act "$dir/current" "$env" "${TW_RESTART:-$TW_RELOAD}" || why="$why; and what ran before could not be started again"
  fi
}
# calm ends what was started beside an instance that does not stay.
calm() {
  eval "ran=\$ran_$k"
  [ "$k" -le "$k_begun" ] || return 0
  case $ran in "stopped $id "*) ;; *" $id "*) return 0 ;; esac
  for w in "$beside/$id"@*; do dismiss "$w" || why="$why; and ${w##*@} cannot be told to end"; done
}
go_back() { each unflip; each run_again; each calm; each noted; each clear_away; }
# succeed ends what runs beside instances that had to make room. Nothing waits for that.
succeed() {
  clear_away
  for f in .towpath/instances/*; do
    [ -f "$f" ] || continue
    read -r _ where _ <"$f"
    [ "$where" = "$slot" ] && [ "${f##*/}" != "$id" ] || continue
    for w in "$beside/${f##*/}"@*; do dismiss "$w" || fail again "${w##*@} of ${f##*/} cannot be told to end"; done
  done
}
enter
k_begun=0 why=
phase=staged
each stage
tell staged
read -r word || word=
[ "$word" = flip ] || { undo; tell undone; exit 0; }
phase=flipped
each flip 2>"$TW_PATH/.towpath/said" || fail broken "the link current cannot be changed: $(cat .towpath/said)"
tell flipped
read -r word || word=
[ "$word" = go ] || { undo; tell undone; exit 0; }
phase=begun
if ! each run; then
  tail_of "$log"; why=$why$(full); go_back; fail broken "$why"
fi
each settle || { go_back; fail again "it cannot be written down what was started$why"; }
tell started
read -r word || word=keep
if [ "$word" = back ]; then go_back; else each succeed; fi
tell done
`

// scriptStop ends what runs in slots, and takes their links away, so that nothing brings it up again after a reboot.
const scriptStop = scriptEnter + `
stop() {
  ran= which=
  [ ! -f ".towpath/slots/$slot" ] || read -r ran which since _ <".towpath/slots/$slot"
  if [ -n "$ran" ] && [ "$since" != "$boot" ] && [ "$(readlink "$dir/current")" = "$to" ]; then
    ran=running which=$id # what came up with the host
  fi
  [ "$which" = "$id" ] && [ "$ran" != stopped ] || return 0
  env=$file
  [ ! -f "$dir/env" ] || env=$(cat "$dir/env")
  if [ -n "$TW_STOP" ] && ! act "releases/$id" "$env" "$TW_STOP"; then
    tail_of "$log"; fail again "stop failed"
  fi
  if ! free; then
    [ -n "$TW_STOP" ] || fail broken "the target has no stop, and port $port is held by $held"
    fail again "it was stopped, and port $port is still held by $held"
  fi
  [ "$(readlink "$dir/current")" != "$to" ] || rm -f "$dir/current"
  put ".towpath/slots/$slot" "stopped $id $at" || fail again "it cannot be written down that $id is stopped$(full)"
}
enter
each lower || fail again "$why"
each stop
each lowered || fail again "$why"
tell done
`
