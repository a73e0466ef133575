# Read by the scripts that need a PostgreSQL server of their own: brings them to the root of the project, and gives them the
# folder $scratch and the function start_postgres. Both go when the script ends. A server that cannot be had is a failure,
# never a skip.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scratch=$(mktemp -d)
chmod 755 "$scratch"
cleanup() {
  tests/postgres.sh stop "$scratch/postgres" >/dev/null 2>&1 || true
  rm -rf "$scratch"
}
trap cleanup EXIT

# Sets TEST_POSTGRES_URL.
start_postgres() {
  echo "== PostgreSQL" >&2
  TEST_POSTGRES_URL=$(tests/postgres.sh start "$scratch/postgres" | tail -n 1)
}
