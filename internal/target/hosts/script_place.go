package hosts

// scriptStage says which files of a manifest have to be sent. Those that the instance placed last should have, by its own
// manifest, are linked, or copied where a script will write into them, once their digests are found right: whatever a release
// wrote into its own files travels no further. A line of the manifest is "x <sha256>  ./path", or "-" in place of "x" for what
// cannot be executed; lines are sorted by their bytes.
const scriptStage = scriptEnter + `
enter
if [ -f ".towpath/instances/$TW_ID" ] && [ -d "releases/$TW_ID" ]; then tell there; exit 0; fi
sweep
t=$TW_PATH/.towpath/tmp
undo() { rm -rf "$t"; }
mkdir -m 700 "$t" && mkdir "$t/files" || fail again "$t cannot be written$(full)"
cat >"$t/manifest" || fail again "the list of files cannot be written in $t$(full)"
[ "$(wc -l <"$t/manifest")" -eq "$TW_COUNT" ] || fail again "the list of files was cut off"
printf '%s\n' "$TW_ID" >"$t/id"
: >"$t/same"
base=
[ ! -f .towpath/last ] || read -r base <.towpath/last
[ -n "$base" ] && [ -f ".towpath/instances/$base" ] || base=$(ls -t .towpath/instances | head -n 1)
if [ -n "$base" ] && [ -f ".towpath/manifests/$base" ] && [ -d "releases/$base" ]; then
  comm -12 ".towpath/manifests/$base" "$t/manifest" >"$t/same"
  cd "releases/$base" || fail again "releases/$base cannot be entered"
  if [ -s "$t/same" ] && { ! cut -c 3- "$t/same" | sha256sum -c >"$t/sums" 2>/dev/null || [ -n "$(find . -type l)" ]; }; then
    # without those that somebody wrote into, or made links of
    find . -type f | sort >"$t/regular"
    sed -n 's/: OK$//p' "$t/sums" | sort | comm -12 - "$t/regular" >"$t/sound"
    awk 'FILENAME == ARGV[1] { sound[$0] = 1; next } substr($0, 69) in sound' "$t/sound" "$t/same" >"$t/same.new"
    mv "$t/same.new" "$t/same"
  fi
  cut -c 69- "$t/same" >"$t/ok"
  how=-p; [ -n "$TW_PREPARE" ] || ! may_give || how=-l # what is another's cannot be linked (protected_hardlinks, proc(5))
  if [ -s "$t/ok" ] && ! tr '\n' '\0' <"$t/ok" | xargs -0 cp -P "$how" --parents -t "$t/files" 2>/dev/null; then
    # not GNU's cp: all of it, and then without what is not wanted
    rm -rf "$t/files"; mkdir "$t/files"
    all=-RpP; [ "$how" = -p ] || all=-RpPl
    cp "$all" . "$t/files/" || fail again "files cannot be linked$(full)"
    cd "$t/files" || fail again "$t/files is gone"
    sort "$t/ok" >"$t/sorted"
    find . -type f | sort | comm -23 - "$t/sorted" | tr '\n' '\0' | xargs -0 rm -f
    find . -type l -exec rm -f {} +
    find . -depth -type d -exec rmdir {} + 2>/dev/null
    mkdir -p "$t/files"
  fi
fi
comm -23 "$t/manifest" "$t/same" >"$t/missing" || fail again "the list of files cannot be written in $t$(full)"
cut -c 69- "$t/missing" | sed "s/^/missing$tab/"
tell staged
`

// scriptFill takes what was missing, and makes the instance: what is in common, what the pipeline file prepares, and at
// last the file that says that it is placed.
const scriptFill = scriptEnter + scriptAssets + `
share() {
  s=shared/$1 r=$t/files/$1
  if [ ! -e "$s" ] && [ ! -L "$s" ]; then
    mkdir -p "$(dirname "$s")" || return 1
    discard "$s.new"
    said=$( { if [ -e "$r" ]; then cp -RpP "$r" "$s.new" && chmod -R u+w "$s.new"; else mkdir "$s.new"; fi &&
      give "$TW_PATH/$s.new" && mv "$s.new" "$s"; } 2>&1 ) || {
      said=$(printf '%s' "$said" | tail -n 3)$(full) # before there is room again
      discard "$s.new"; printf '%s\n' "$said" >&2
      return 1
    }
  fi
  rm -rf "$r" && mkdir -p "$(dirname "$r")" && ln -s "$TW_PATH/$s" "$r"
}
enter
t=$TW_PATH/.towpath/tmp
undo() {
  cd "$TW_PATH" || return
  rm -rf "$t" ".towpath/manifests/$TW_ID" ".towpath/instances/$TW_ID.new" ".towpath/log/$TW_ID"
  discard "tmp/$TW_ID"
}
[ -f "$t/id" ] && [ "$(cat "$t/id")" = "$TW_ID" ] || fail again "what was staged is gone"
said=$(tar -xf - -C "$t/files" 2>&1) || fail again "unpack in $TW_PATH: $(printf '%s' "$said" | tail -n 3)$(full)"
mv "$t/manifest" ".towpath/manifests/$TW_ID" && printf '%s\n' "$now $TW_SLOT" >".towpath/instances/$TW_ID.new" ||
  fail again "it cannot be written down what $TW_ID is made of$(full)"
# The disk has work to do while the digests are looked at.
flush() { sync -f "$t/files" 2>/dev/null || sync; }
flush </dev/null >/dev/null 2>&1 9>&- &
flushing=$!
if [ -s "$t/missing" ] && ! ( cd "$t/files" && cut -c 3- "$t/missing" | sha256sum -c >/dev/null 2>"$t/said" ); then
  fail again "what came differs from what was sent: $(tail -n 3 "$t/said")"
fi
wait "$flushing"
[ "$(find "$t/files" -type f | wc -l)" -eq "$TW_COUNT" ] || fail again "not all files came"
[ -z "$TW_PREPARE" ] || chmod -R u+w "$t/files" || fail again "files cannot be made writable"
printf '%s\n' "$TW_SHARED" | while IFS= read -r p; do
  [ -z "$p" ] || share "$p" 2>>"$t/said" || exit 1
done || fail again "share files: $(tail -n 3 "$t/said")$(full)"
[ -d "tmp/$TW_ID" ] || mkdir "tmp/$TW_ID" || fail again "tmp/$TW_ID cannot be made$(full)"
log=.towpath/log/$TW_ID
( umask 077; : >"$log" )
if [ -n "$TW_PREPARE" ] && ! act "$t/files" "$TW_ENV" "$TW_PREPARE"; then
  tail_of "$log"; fail broken "prepare failed$(full)"
fi
[ -z "$TW_PREPARE$TW_SHARED" ] || flush
discard "releases/$TW_ID"
mv "$t/files" "releases/$TW_ID" || fail again "releases/$TW_ID cannot be made$(full)"
mingle "$TW_ID" 2>.towpath/said || fail again "the files of $TW_ASSETS cannot be linked: $(tail -n 3 .towpath/said)$(full)"
said=$(give "$TW_PATH/releases/$TW_ID" 2>&1 && give "$TW_PATH/tmp/$TW_ID" 2>&1) || fail again "files cannot be given to $TW_OWNER: $said"
mv -f ".towpath/instances/$TW_ID.new" ".towpath/instances/$TW_ID" || fail again "it cannot be written down that $TW_ID is placed$(full)"
put .towpath/last "$TW_ID"
rm -rf "$t"
tell done
`

// scriptRemove takes instances away, the word that they are placed first: what is left of one is swept away.
const scriptRemove = scriptEnter + scriptAssets + `
remove() {
  for s in .towpath/slots/*; do
    [ -f "$s" ] && [ "$s" = "${s%.new}" ] || continue
    read -r how which since _ <"$s"
    d=${s##*/}; [ "$d" != current ] || d=.
    leads=$(readlink "$d/current")
    if [ "${leads##*/}" = "$id" ] || { [ "$which" = "$id" ] && [ "$how" != stopped ] && [ "$since" = "$boot" ]; }; then
      fail broken "$id runs in ${s##*/}"
    fi
  done
  lower && lowered || fail again "$why"
  for w in "$singles/$id"@*; do
    [ ! -d "$w" ] || has_ended "$w" || fail again "${w##*@} runs beside $id still"
  done
  rm -f ".towpath/instances/$id" && discard "releases/$id" && discard "tmp/$id" && rm -rf ".towpath/log/$id" ".towpath/manifests/$id" ".towpath/assets/$id" ".towpath/assets/$id.from" "$beside/$id"@* "$singles/$id"@* || fail again "$id cannot be removed"
}
enter
each remove
mingle 2>.towpath/said || fail again "the files of $TW_ASSETS cannot be linked: $(tail -n 3 .towpath/said)$(full)"
tell done
`
