#!/bin/sh
# Runs constant_time.c under valgrind and fails if a function under test uses a secret in a branch or an address, or if
# one of the planted leaks is not found.
#   constant_time.sh <program>
set -eu
command -v valgrind >/dev/null || { echo "This check needs the package valgrind: apt-get install valgrind" >&2; exit 1; }
log=$1.log
# The program asks valgrind for its count of errors after each check; the log says where they are.
if valgrind --quiet --error-limit=no --track-origins=no --log-file="$log" "$1"; then
  echo "constant time: as it should be"
else
  echo "constant time: NOT as it should be; where (the planted ones included): $log" >&2
  exit 1
fi
