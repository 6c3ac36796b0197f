#!/bin/sh
# Compares our ML-KEM-768 with an independent one (npm @noble/post-quantum), both ways, on random inputs.
#   mlkem_peer.sh <build folder> <our program>     KEEP=1 also renews the fixed file that `make test` checks
set -eu
build=$1/peer
program=$(realpath "$2")
here=$(dirname "$(realpath "$0")")
for tool in node npm; do
  command -v "$tool" >/dev/null || { echo "This check needs $tool: install the package nodejs (or npm) first." >&2; exit 1; }
done
mkdir -p "$build"
cd "$build"
if [ ! -d node_modules/@noble/post-quantum ]; then
  [ -f package.json ] || echo '{"private": true}' >package.json
  npm install --silent --no-audit --no-fund --ignore-scripts @noble/post-quantum@0.7.1 ||
    { echo "npm could not install @noble/post-quantum: is the package registry reachable?" >&2; exit 1; }
fi
node "$here/mlkem_peer.mjs" make 200 cases.json
"$program" cases.json ours.json
node "$here/mlkem_peer.mjs" open ours.json
if [ -n "${KEEP:-}" ]; then
  node "$here/mlkem_peer.mjs" make 20 "$here/mlkem768_noble.json"
fi
