#!/usr/bin/env bash
# Measures this machine with both databases; arguments go to `countersign bench`, which must have been built for release.
source "$(dirname "$0")/with_postgres.sh"

start_postgres
"${CARGO_TARGET_DIR:-target}/release/countersign" bench --postgres "$TEST_POSTGRES_URL" "$@"
