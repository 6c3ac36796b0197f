#!/bin/sh
# Installs the Debian packages that building and testing need and that this machine lacks; says which.
set -eu
missing=
[ "$(uname -m)" = x86_64 ] && set -- libipsec-mb-dev "$@"
for package in build-essential pkg-config libsodium-dev libevent-dev libzstd-dev libinih-dev libjansson-dev \
               libssl-dev libcriterion-dev curl python3 "$@"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "Installing missing packages:$missing"
if ! command -v apt-get >/dev/null; then
  echo "This is not a Debian machine: install the equivalents of these packages by hand and try again." >&2
  exit 1
fi
as_root=
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "Run as root, or install them first: apt-get install$missing" >&2; exit 1; }
  as_root=sudo
fi
log=$(mktemp)
if ! { $as_root apt-get update && DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
  tail -n 15 "$log" >&2
  echo "Could not install:$missing (see above; is the package archive reachable?)" >&2
  rm -f "$log"
  exit 1
fi
rm -f "$log"
