#!/bin/sh
# Runs the tests of `total`; exit code 1 when one fails.
total="$(dirname "$0")/../total"
failed=0

is() {
  wanted=$1
  shift
  got=$("$total" "$@")
  if [ "$got" != "$wanted" ]; then
    echo "total $*: $got instead of $wanted"
    failed=1
  fi
}

is 6 1 2 3
is 41 41
exit $failed
