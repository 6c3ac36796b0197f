#!/bin/sh
# Checks the model of the agreement in full, and that each mutant of it is caught. Needs spin (Debian: apt-get install spin).
# About a minute and 400 MB. Folder for what it makes: the first argument.
set -eu
model=$(cd "$(dirname "$0")" && pwd)/agreement.pml
folder=${1:-$(mktemp -d)}
if ! command -v spin >/dev/null; then
  echo "model: spin is missing; get it with: apt-get install spin" >&2
  exit 69
fi
mkdir -p "$folder"
cd "$folder"

# check NAME VIEWS FLAGS...: leaves the verifier's report in NAME.txt
check() {
  name=$1 views=$2
  shift 2
  mkdir -p "$name"
  (
    cd "$name"
    spin -DVIEWS="$views" "$@" -a "$model"
    ${CC:-cc} -w -O1 -DSAFETY -DNOREDUCE -DCOLLAPSE -DMEMLIM=4000 -o pan pan.c
    ./pan -m1000000 -w24 >../"$name.txt" 2>&1 || true
  )
}

fail() {
  echo "model: $1" >&2
  sed -n 1,20p "$2" >&2
  exit 1
}

# The model: every state reached, no view bound but VIEWS, nothing cut off.
for views in 3 4; do
  check "agreement-$views" "$views"
  grep -q 'errors: 0' "agreement-$views.txt" || fail "the agreement fails with $views views" "agreement-$views.txt"
  if grep -qE 'not completed|too small|out of memory' "agreement-$views.txt"; then fail "the search was cut off" "agreement-$views.txt"; fi
  echo "model agreement, $views views: holds in all $(awk '/states, stored/ {print $1}' "agreement-$views.txt") states"
done

# The mutants: each must break it. Signatures counted across views need a fourth view to do harm.
for mutant in NO_LOCK LATE_SIGN ANY_VIEW FORGETS SMALL_QUORUM; do
  views=3
  [ "$mutant" = ANY_VIEW ] && views=4
  check "mutant-$mutant" "$views" "-DMUTANT_$mutant"
  grep -q 'assertion violated  *!((valid_a&&valid_b))' "mutant-$mutant.txt" || fail "the mutant $mutant is not caught" "mutant-$mutant.txt"
  echo "model mutant $mutant: caught"
done
