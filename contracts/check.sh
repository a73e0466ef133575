#!/bin/sh
# Everything there is to check about the contracts. Needs Node 20 and npm; works from a clean clone.
set -u
cd "$(dirname -- "$0")" || exit 1
summary=
failed=0

step() {
  name=$1
  shift
  echo "== $name"
  if "$@"; then
    summary="$summary
  ok    $name"
  else
    summary="$summary
  FAIL  $name"
    failed=1
  fi
}

installed() {
  # npm writes this file last, as a copy of the lock file it installed.
  [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-fund --no-audit
}

same_snapshots() {
  # `forge test` compares the gas that it measures; this finds entries that no test measures any more.
  [ "$(ls snapshots)" = "Escrow.json" ]
}

finish() {
  echo
  echo "contracts:$summary"
  exit "$failed"
}

step "install" installed
# Without the tools every further step would fail for the same reason.
[ "$failed" = 0 ] || finish
step "format" ./tool.sh forge fmt --check
step "build" ./tool.sh forge build --deny warnings
step "artifacts match the build" node artifacts.mjs --check
# Unit, fuzz and invariant tests, the Rust crate's vectors, the two gas limits and the gas snapshot.
step "tests, gas limits and gas snapshot" ./tool.sh forge test
step "no stray snapshots" same_snapshots
finish
