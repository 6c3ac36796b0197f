#!/bin/sh
# A whole network on this machine, and a real transfer through it: `make demo`. Stays until Ctrl-C; with ONCE=1 it ends
# after the transfer, with the transfer's status. Everything it starts it stops, by process id.
#
#   demo.sh BUILD     BUILD has the programs
#   AUTHORITIES=4 RELAYS=3 EXITS=1 SOCKS=127.0.0.1:9150 PORT_BASE=9300 BYTES=20000000 FOLDER=demo
set -eu
build=$1
folder=${FOLDER:-demo} socks=${SOCKS:-127.0.0.1:9150} bytes=${BYTES:-20000000}
authorities=${AUTHORITIES:-4} relays=${RELAYS:-3} exits=${EXITS:-1}
network=$build/tunic-network
web_server='' started='' pause=''

say() { printf '%s\n' "$*"; }

# The lock is this shell's alone (9>&- keeps it from children), so it is gone when the shell is, however that ends.
exec 9>"$build/demo.lock"
if ! flock -n 9; then
  say "A demo runs already from this folder: use its proxy, or stop it with Ctrl-C where it was started." >&2
  exit 71
fi

finish() {
  status=$?
  trap - EXIT INT TERM HUP
  for pid in $web_server $pause; do kill "$pid" 2>/dev/null || true; done
  [ -z "$started" ] || "$network" down "$folder" 9>&- || true
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# What a demo that was killed left behind; nobody else uses this folder, since the lock was free.
[ ! -e "$folder/pids" ] || "$network" down "$folder" 9>&- || true
rm -rf "$folder"

# Nothing runs then.
up_failed() {
  started=''
  [ "$1" != 68 ] || say "Other ports for this demo: PORT_BASE=9400 SOCKS=127.0.0.1:9151 make demo" >&2
  exit "$1"
}

say "1. A network (authorities: $authorities, relays: $relays, exits: $exits) and a client"
started=yes
"$network" up "$folder" --authorities "$authorities" --relays "$relays" --exits "$exits" \
  --port-base "${PORT_BASE:-9300}" --socks "$socks" 9>&- || up_failed "$?"

say
say "2. $bytes bytes through three hops"
"$build/tests/web-server" >"$folder/web-server" 9>&- &
web_server=$!
while ! grep -q '^port ' "$folder/web-server"; do
  kill -0 "$web_server" 2>/dev/null || { say "The web server did not start." >&2; exit 1; }
  sleep 0.02
done
port=$(sed -n 's/^port //p' "$folder/web-server")
address=http://127.0.0.1:$port/$bytes
figures='%{size_download} bytes in %{time_total} s, the first after %{time_starttransfer} s, %{speed_download} bytes/s\n'
printf '   directly:           '
curl --silent --show-error --fail --max-time 120 --noproxy '*' --output "$folder/direct" --write-out "$figures" "$address" 9>&-
printf '   through the proxy:  '
curl --silent --show-error --fail --max-time 300 --socks5-hostname "$socks" --output "$folder/through" --write-out "$figures" "$address" 9>&-
if ! cmp "$folder/direct" "$folder/through"; then
  say "   The bytes are NOT the same." >&2
  exit 1
fi
say "   the same bytes:     sha256 $(sha256sum "$folder/through" | cut -d' ' -f1)"
"$build/tunic" status --data "$folder/c1" 9>&- | sed -n 's/^ *\(path\)/   \1/p'
rm -f "$folder/direct" "$folder/through"
[ -z "${ONCE:-}" ] || exit 0

say
say "3. Yours until Ctrl-C. To try:"
say "   curl --socks5-hostname $socks -o /dev/null $address"
say "   curl --socks5-hostname $socks https://example.org/"
say "   $network status $folder"
sleep infinity 9>&- &
pause=$!
wait "$pause"
