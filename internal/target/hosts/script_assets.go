package hosts

// scriptAssets lets a page of one release find its scripts in any other that stands beside it: below the folder $TW_ASSETS,
// each release has, beside its own files, those of the others that it has not itself. They are hard links.
//
// For each instance, .towpath/assets/<id> lists what it had itself when it came, after a line that names the folder, and
// .towpath/assets/<id>.from what it got, as "<id of whom> ./path". Of two that offer the same path, the newer release's
// counts. What came of an older release stays when that is removed, since pages live longer than releases; what came of a
// newer one goes with it, as that one was given up.
const scriptAssets = `
mixing='
function num(id) { sub(/^r/, "", id); sub(/-.*/, "", id); return id + 0 }
function read(file, into,  l) { while ((getline l < file) > 0) into[l]; close(file) }
function fits(p,  q) {
  if (p in own || p in dirs || p in rest || p in above) return 0
  for (q = p; sub(/\/[^\/]*$/, "", q); ) if (q in own || q in rest || q in from) return 0
  return 1
}
function offer(p, whose, at,  q) {
  if (!fits(p) || ((p in from) && num(from[p]) >= num(whose))) return
  from[p] = whose; where[p] = at
  for (q = p; sub(/\/[^\/]*$/, "", q); ) above[q]
}
BEGIN {
  m = ".towpath/tmp/mix/"; a = ".towpath/assets/"
  read(m "files", there); read(m "dirs", dirs); read(m "rest", rest)
  while ((getline l < (a t ".from")) > 0) { i = index(l, " "); was[substr(l, i + 1)] = substr(l, 1, i - 1) }
  for (p in there) if (!(p in was)) own[p]
  n = 0; while ((getline l < (a t)) > 0) if (n++) own[l]
  while ((getline o) > 0) { ids[o]; order[++last] = o }
  for (k = 1; k <= last; k++) {
    o = order[k]
    if (o == t) continue
    n = 0; while ((getline l < (a o)) > 0) if (n++) offer(l, o, o)
    if (num(o) == num(t)) while ((getline l < (a o ".from")) > 0) { i = index(l, " "); offer(substr(l, i + 1), substr(l, 1, i - 1), o) }
  }
  for (p in was) if ((p in there) && !(was[p] in ids) && num(was[p]) < num(t)) offer(p, was[p], t)
  for (p in from) {
    print from[p] " " p > (m "from")
    if (where[p] != t && (!(p in there) || was[p] != from[p])) print where[p] " " p > (m "link")
  }
  for (p in was) if ((p in there) && !(p in from) && !(p in own)) print p > (m "drop")
}'
# own ID: what a release has itself is written down before anything else comes there.
own() {
  l=.towpath/assets/$1
  if [ -f "$l" ] && IFS= read -r of <"$l" && [ "$of" = "$TW_ASSETS" ]; then return 0; fi
  { printf '%s\n' "$TW_ASSETS"; below "$1" -type f; } >"$l.new" && mv -f "$l.new" "$l"
}
# below ID TEST...: what is in the folder, but for names that no list can hold.
below() ( cd "releases/$1" || exit 0; shift; find "./$TW_ASSETS" "$@" ! -path "*$newline*" 2>/dev/null; : )
# mix ID gives a release what it lacks.
mix() {
  below "$1" -type f >"$m/files" && below "$1" -type d >"$m/dirs" && below "$1" ! -type f ! -type d >"$m/rest" || return 1
  for l in from link drop; do : >"$m/$l" || return 1; done
  awk -v t="$1" "$mixing" <"$m/ids" || return 1
  cut -d ' ' -f 1 "$m/link" | sort -u >"$m/givers" || return 1
  while read -r o; do
    sed -n "s/^$o //p" "$m/link" >"$m/given"
    tr '\n' '\0' <"$m/given" | ( cd "releases/$o" && xargs -0 cp -Plf --parents -t "$TW_PATH/releases/$1" ) 2>/dev/null ||
      join "$o" "$1" || return 1
  done <"$m/givers"
  [ ! -s "$m/drop" ] || tr '\n' '\0' <"$m/drop" | ( cd "releases/$1" && xargs -0 rm -f ) || return 1
  mv -f "$m/from" ".towpath/assets/$1.from"
}
# join FROM TO, where there is no GNU cp. What a release has lost itself, nobody misses elsewhere.
join() {
  while IFS= read -r p; do
    [ -f "releases/$1/$p" ] && ! [ "releases/$1/$p" -ef "releases/$2/$p" ] || continue
    mkdir -p "releases/$2/${p%/*}" && ln -f "releases/$1/$p" "releases/$2/$p" || return 1
  done <"$m/given"
}
# mingle [ID]: all that are placed, and one that is about to be.
mingle() (
  [ -n "$TW_ASSETS" ] || exit 0
  newline='
' m=.towpath/tmp/mix
  ( umask 077; mkdir -p .towpath/assets "$m" ) || exit 1
  { ls .towpath/instances; printf '%s\n' "$1"; } | sed -n 's/^r\([0-9]*-[0-9]*\)$/\1/p' | sort -t - -k 1,1nr -k 2,2nr | uniq | sed 's/^/r/' >"$m/ids"
  while read -r o; do own "$o" || exit 1; done <"$m/ids"
  while read -r t; do mix "$t" || exit 1; done <"$m/ids"
  rm -rf "$m"
)
`
