package hosts

// scriptLook says what is there. It takes no lock, and changes nothing.
const scriptLook = scriptWords + scriptKin + `
uptime
tell now "$(date +%s)" "$boot" "$up"
if [ ! -e "$TW_PATH/.towpath" ]; then tell done; exit 0; fi
cd "$TW_PATH/.towpath" || fail again "$TW_PATH cannot be entered by $(id -un)"
if [ -f epoch ]; then read -r seen by <epoch; tell epoch "$seen" "$by"; fi
for f in instances/*; do
  case $f in *.new | 'instances/*') continue ;; esac
  [ -f "$f" ] || continue
  read -r at slot begun <"$f"
  tell instance "${f##*/}" "$at" "$slot" "$begun"
done
for f in slots/*; do
  case $f in *.new | 'slots/*') continue ;; esac
  [ -f "$f" ] || continue
  read -r how id of at after <"$f"
  tell slot "${f##*/}" "$how" "$id" "$of" "$at" "$after"
done
for w in "$TW_PATH"/.towpath/processes/*@* "$TW_PATH"/.towpath/singles/*@*; do
  [ -f "$w/want" ] && [ -f "$w/spec" ] || continue
  status=- ofboot=- sup=0 supat=0 at=0 failures=0 code=- killed=no pid=0 start=0 lives= runs= left=
  read -r want <"$w/want"
  [ ! -f "$w/state" ] || read -r status ofboot sup supat at failures code killed <"$w/state"
  if [ "$ofboot" = "$boot" ]; then
    [ ! -f "$w/child" ] || { read -r pid start <"$w/child"; } 2>/dev/null
    ! same "$sup" "$supat" || lives=y
    ! same "$pid" "$start" || runs=y
  fi
  [ -n "$lives$runs" ] || [ "$status" = stopped ] || { [ ! -d "/proc/$pid" ] || pid=0; left=$(echo $(members "$w" "$pid")); }
  kind=${w%/*}
  tell "${kind##*/}" "${w##*/}" "$want" "$status" "$ofboot" "$lives" "$runs" "$left" "$at" "$failures" "$code"
  [ -n "$runs" ] || [ "$status" = stopped ] || [ ! -f "$w/log" ] || tail -n 5 "$w/log" | sed "s|^|said$tab${kind##*/}/${w##*/}$tab|"
done
cd ..
for l in current */current; do
  [ ! -L "$l" ] || tell link "${l%current}" "$(readlink "$l")"
done
tell done
`

// scriptCheck says whether a release could run there.
const scriptCheck = scriptWords + scriptOwn + `
may() { # may USER PATH: whether files of the environment can be given away
  sudo -n -l chown -Rh "$1" "$TW_PATH/$2" >/dev/null 2>&1 || tell lacks "leave for $(id -un) to run sudo -n chown -Rh $1 $TW_PATH/$2"
}
owner() {
  user=${TW_OWNER%%:*} group=
  case $TW_OWNER in *:*) group=${TW_OWNER#*:} ;; esac
  id -u "$user" >/dev/null 2>&1 || { tell lacks "the user $user, who is to own the files"; return; }
  [ -z "$group" ] || getent group "$group" >/dev/null 2>&1 || grep -q "^$group:" /etc/group || tell lacks "the group $group, which is to own the files"
  may_give && return
  for f in releases/r1-1 tmp/r1-1 shared/log.new; do may "$TW_OWNER" "$f"; may "$(id -un)" "$f"; done
  [ -z "$TW_ASSETS" ] || tell lacks "a login that is root or $user: assets are linked into releases that are $user's by then"
}

lacks=
for tool in awk comm cp cut df find flock readlink sed sha256sum sort sync tail tar tr xargs; do
  command -v "$tool" >/dev/null 2>&1 || lacks="$lacks $tool"
done
[ -z "$lacks" ] || tell lacks "these programs:$lacks"
[ "$TW_P" = 0 ] || {
  command -v setsid >/dev/null 2>&1 && [ -r /proc/self/environ ] && [ -r /proc/self/stat ] ||
    tell lacks "setsid, and a /proc as Linux has it: without those nobody can look after processes"
  [ "$(id -u)" = 0 ] || ! cat /etc/systemd/logind.conf /etc/systemd/logind.conf.d/*.conf 2>/dev/null | grep -q '^ *KillUserProcesses *= *\(yes\|true\|1\|on\)' ||
    tell lacks "KillUserProcesses=no in logind.conf: processes would end with the session that starts them"
}
d=$(mktemp -d) && ln -s 1 "$d/1" && mkdir "$d/3" && ln -s 3 "$d/2" && mv -fT "$d/1" "$d/2" && [ "$(readlink "$d/2")" = 1 ] ||
  tell lacks "a mv with -T, which replaces a link at once"
[ -z "$d" ] || rm -rf "$d"
p=$TW_PATH
while [ ! -e "$p" ]; do p=$(dirname "$p"); done
[ -d "$p" ] && [ -w "$p" ] || tell lacks "leave for $(id -un) to write in $p"
[ -z "$TW_OWNER" ] || owner
tell free "$(df -Pk "$p" | awk 'NR == 2 { print $4 }')"
tell runs "$(uname -s)" "$(uname -m)"
log=$(mktemp) || fail again "no temporary file can be made$(full)"
n=1
while [ "$n" -le "$TW_REQUIRES" ]; do
  eval "script=\$TW_REQUIRE_$n"
  : >"$log"
  act / "$TW_ENV" "$script" || { tell lacks "what is required: $script"; tail_of "$log"; }
  n=$((n + 1))
done
rm -f "$log"
tell done
`

// scriptTail reads what the scripts of instances printed last.
const scriptTail = scriptWords + `
cd "$TW_PATH" || fail again "$TW_PATH cannot be entered"
said() {
  tell log "$id:"; tail_of "$log"
  for w in .towpath/processes/"$id"@* .towpath/singles/"$id"@*; do
    [ ! -f "$w/log" ] || { tell log "${w##*@} of $id:"; tail_of "$w/log"; }
  done
}
each said
tell done
`
