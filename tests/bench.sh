#!/usr/bin/env bash
# Measures this machine with both databases; arguments go to `countersign bench`, which must have been built for release.
# A PostgreSQL server of its own is started, and gone afterwards. One that cannot be had is a failure, never a skip.
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
chmod 755 "$scratch"
cleanup() {
  tests/postgres.sh stop "$scratch/postgres" >/dev/null 2>&1 || true
  rm -rf "$scratch"
}
trap cleanup EXIT

echo "starting PostgreSQL" >&2
postgres=$(tests/postgres.sh start "$scratch/postgres" | tail -n 1)
"${CARGO_TARGET_DIR:-target}/release/countersign" bench --postgres "$postgres" "$@"
