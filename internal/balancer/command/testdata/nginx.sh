#!/bin/sh
# A balancer for Towpath's `command`: nginx, without what the balancer `nginx` does beside. FILE has the upstream, DIR is nginx's.
set -eu
PATH="$PATH:/usr/sbin"
nginx() { command nginx -p "$DIR" -c nginx.conf "$@"; }
master() { read -r pid <"$DIR/nginx.pid" && kill -0 "$pid" 2>/dev/null; }
title() { { tr -d '\0' <"/proc/$1/cmdline"; } 2>/dev/null || :; }
leaving() { for p in $(cat "/proc/$pid/task/$pid/children"); do title "$p"; echo; done | grep -c '^nginx: worker process is shutting down' || :; }

master || { echo "nginx does not run" >&2; exit 75; }
exec 9>>"$FILE.lock"
case $TOWPATH_OPERATION in
observe)
  awk 'BEGIN { printf "{\"members\": [" }
    /# epoch/ { epoch = sprintf(", \"epoch\": {\"number\": %d, \"holder\": \"%s\"}", $3, $4) }
    /# member/ { printf "%s{\"id\": \"%s\", \"address\": \"%s\", \"share\": %d}", n++ ? ", " : "", $3, $4, $5 }
    END { print "]" epoch "}" }' "$FILE"
  ;;
shift)
  flock 9
  set -- $(sed -n 's/^# epoch //p' "$FILE") 0 ''
  if [ "$TOWPATH_EPOCH" -lt "$1" ] || { [ "$TOWPATH_EPOCH" -eq "$1" ] && [ "$TOWPATH_HOLDER" != "$2" ]; }; then
    printf '{"epoch": {"number": %d, "holder": "%s"}}\n' "$1" "$2"
    exit 77
  fi
  {
    echo "# epoch $TOWPATH_EPOCH $TOWPATH_HOLDER"
    printf '%s' "$TOWPATH_MEMBERS" | sed 's/^/# member /'
    echo 'upstream shop {'
    echo '  server 127.0.0.1:1 down;'
    printf '%s' "$TOWPATH_MEMBERS" | awk '$3 > 0 { print "  server " $2 " weight=" $3 ";" }'
    echo '}'
  } >"$FILE.new"
  mv "$FILE.new" "$FILE"
  nginx -t >&2
  before=$(cat "/proc/$pid/task/$pid/children")
  nginx -s reload
  for p in $before; do while [ "$(title "$p")" = "nginx: worker process" ]; do sleep 0.02; done; done
  ;;
drain)
  while [ "$(leaving)" -gt 0 ]; do sleep 0.02; done
  ;;
esac
