#!/usr/bin/env bash
# Runs every test. A missing server or tool is a failure, never a skip.
source "$(dirname "$0")/with_postgres.sh"

# One test fills a disk of its own. Said now, rather than when everything else is done.
mounts() { "$@" --mount mount -t tmpfs -o size=1m tmpfs "$scratch" 2>/dev/null; }
if ! mounts unshare --user --map-root-user && ! mounts unshare; then
  echo "run.sh: a full disk is tested in a mount namespace, which is not allowed here: allow unprivileged user" \
    "namespaces, or run as root with CAP_SYS_ADMIN (in a container: docker run --cap-add SYS_ADMIN" \
    "--security-opt apparmor=unconfined)" >&2
  exit 1
fi

start_postgres
export TEST_POSTGRES_URL COUNTERSIGN_TESTS=all COUNTERSIGN_INTEROP=required

echo "== contracts"
contracts/check.sh

echo "== rust, rego, interop, end to end"
cargo test --locked --workspace --no-fail-fast

echo "== the demonstration"
# The binary is the one that the tests have just built. The story takes about 20 s; one that hangs is a failure.
timeout --kill-after=10 300 "${CARGO_TARGET_DIR:-target}/debug/countersign" demo
