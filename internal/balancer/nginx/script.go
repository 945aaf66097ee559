package nginx

import "github.com/towpath-cd/towpath/internal/remote"

// scriptWords know nginx by its processes, as Linux shows them in /proc: the one that the PID file names, and its children,
// whose titles say what they are. A worker has its title once it takes connections, and another as soon as it takes no more.
// A process is pid:began, which no other has until the next boot.
const scriptWords = remote.Words + `
f=$(readlink -f "$TW_FILE" 2>/dev/null); TW_FILE=${f:-$TW_FILE}
folder=${TW_FILE%/*}; state=$folder/.${TW_FILE##*/}.towpath
process() {
  { IFS= read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
  title=; { IFS= read -r title <"/proc/$1/cmdline"; } 2>/dev/null
  set -- ${line##*) }
  parent=$2 began=${20}
}
master() {
  m=; { read -r m <"$TW_PID"; } 2>/dev/null
  process "${m:-none}" || title=
  case $title in "nginx: master"*) ;; *) fail again "nginx does not run: $TW_PID names no master process of it" ;; esac
}
workers() {
  active= leaving= children=
  { read -r children <"/proc/$m/task/$m/children"; } 2>/dev/null
  [ -n "$children" ] || children=$(cd /proc && echo [0-9]*)
  for p in $children; do
    process "$p" && [ "$parent" = "$m" ] || continue
    case $title in
      "nginx: worker process is shutting down"*) leaving="$leaving $p:$began" ;;
      "nginx: worker process"*) active="$active $p:$began" ;;
    esac
  done
}
# awaited are those that an order of ours has had replaced, and that have something to finish.
awaited() {
  left= since=
  [ -f "$state/was" ] || return 0
  while read -r one rest; do
    case $one in since) since=$rest; continue ;; esac
    process "${one%%:*}" && [ "${one%%:*}:$began" = "$one" ] && left="$left $one"
  done <"$state/was"
}
digest() { d=-; [ ! -f "$1" ] || { d=$(sha256sum <"$1"); d=${d%% *}; }; printf '%s' "$d"; }
`

// scriptLook says what is there. It takes no lock, and changes nothing. Before that it waits, at most a second, until the
// replaced processes have ended, where it is told to.
const scriptLook = scriptWords + `
n=0
while [ "$n" -lt "$TW_GLANCES" ] && awaited && [ -n "$left" ]; do
  n=$((n + 1)); sleep 0.02 2>/dev/null || { sleep 1; break; }
done
master; workers; awaited
if [ -f "$state/epoch" ]; then read -r seen by <"$state/epoch"; tell epoch "$seen" "$by"; fi
tell file "$(digest "$TW_FILE")"
if [ -f "$TW_FILE" ]; then
  sed "s/^/line$tab/" "$TW_FILE" || fail again "$TW_FILE cannot be read by $(id -un)"
  tell modified "$(stat -c %Y "$TW_FILE")"
fi
if [ -f "$state/taken" ]; then read -r taken <"$state/taken"; tell taken "$taken"; fi
[ ! -e "$state/pending" ] || tell pending
uptime
tell clock "$(date +%s)" "$up"
for w in $active; do tell worker "${w#*:}"; done
for w in $left; do tell awaited "$((up - ${since:-0}))"; done
tell done
`

// scriptApply makes a text the file, if that is still what it was, and has nginx take it. nginx tests files where they are:
// until it has accepted this one, the one before lies beside it, and comes back whatever goes wrong.
const scriptApply = scriptWords + remote.Guard + `
# back has the file as it was, also after a crash. Once nginx was told to reload, nobody knows what it runs with.
back() {
  if [ -f "$state/old" ]; then mv -f "$state/old" "$TW_FILE"; else rm -f "$TW_FILE"; fi
  [ -n "$sure" ] || rm -f "$state/taken"
  rm -f "$state/pending"
}
run() { ( exec 9>&-; eval "$1" ) </dev/null 2>&1; }
# said is what nginx says is wrong, without who and when.
said() { { printf '%s\n' "$1" | grep -F '[emerg]' || printf '%s\n' "$1"; } | sed 's/^.*\[emerg\] \([0-9#]*: \)*//'; }
told() { printf '%s\n' "$1" | sed -n "s/^/log$tab/; 1,20p"; }
# refused tells what nginx says to what is there, unless it says the same to what was.
refused() {
  told "$1"; undo; undo() { :; }
  run "$TW_TEST" >/dev/null || fail again "nginx refuses its configuration, also without this change: $(said "$1" | head -n 1)"
  fail broken "nginx refuses the configuration: $(said "$1" | head -n 1)"
}
size_of_log() { size=0; [ ! -r "$TW_LOG" ] || size=$(wc -c <"$TW_LOG"); }
news() { [ ! -r "$TW_LOG" ] || tail -c "+$((size + 1))" "$TW_LOG" | grep -E '\[(emerg|alert|crit)\]' | tail -n 5; }
# isTaken: none of those from before takes connections any more, and others do.
isTaken() {
  workers; new=
  for w in $active; do
    case " $was " in *" $w "*) return 1 ;; esac
    new=yes
  done
  [ -n "$new" ]
}
reload() {
  workers; was="$active $leaving" sure=; awaited
  for w in $left; do case " $was " in *" $w "*) ;; *) was="$was $w" ;; esac; done
  size_of_log
  words=$(run "$TW_RELOAD") || { told "$words"; fail broken "nginx was not reloaded: $(said "$words" | head -n 1)"; }
  uptime
  until=$((up + TW_TAKE))
  until isTaken; do
    uptime
    if [ "$up" -gt "$until" ]; then
      words=$(news); told "$words"
      undo; undo() { :; }; run "$TW_RELOAD" >/dev/null
      fail broken "nginx has not taken the configuration within $TW_TAKE s of its reload: $(said "$words" | tail -n 1)"
    fi
    rest 0.02
  done
  { printf 'since %s\n' "$up"; for w in $was; do printf '%s\n' "$w"; done; } >"$state/was.new" && mv -f "$state/was.new" "$state/was"
}
for tool in flock sha256sum stat; do command -v "$tool" >/dev/null 2>&1 || fail broken "the program $tool is missing"; done
[ -d "$folder" ] || fail broken "the folder $folder is not there"
watch
lock "$folder/.towpath.lock" "$folder/.towpath.holder"
mkdir -p "$state" || fail broken "$state cannot be made by $(id -un)"
epoch "$state/epoch"
master
sure=
[ ! -e "$state/pending" ] || back
[ "$(digest "$TW_FILE")" = "$TW_FOUND" ] || { tell changed; exit 0; }
printf '%s\n' "$TW_TEXT" >"$state/new" && { sync "$state/new" 2>/dev/null || sync; } || fail again "$state/new cannot be written"
rm -f "$state/old"
[ ! -f "$TW_FILE" ] || cp -p "$TW_FILE" "$state/old" || fail again "$state/old cannot be written"
: >"$state/pending" || fail again "$state/pending cannot be written"
sure=yes
undo() { back; }
mv -f "$state/new" "$TW_FILE" || fail again "$TW_FILE cannot be replaced by $(id -un)"
words=$(run "$TW_TEST") || refused "$words"
[ "$TW_RELOADS" = 0 ] || reload
undo() { :; }
keep "$state/taken" "$(digest "$TW_FILE")"
rm -f "$state/pending" "$state/old"
tell done
`
