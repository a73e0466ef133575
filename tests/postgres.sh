#!/bin/sh
# Starts or stops a throwaway PostgreSQL for tests, in a folder of its own.
#
#   tests/postgres.sh start DIR    prints the URL of a new server whose data is in DIR
#   tests/postgres.sh stop DIR     stops it and removes DIR
#   tests/postgres.sh crash DIR    stops it as a power cut would, and keeps its data
#   tests/postgres.sh resume DIR   starts it again after that, on the same port
#
#   export TEST_POSTGRES_URL="$(tests/postgres.sh start /tmp/countersign-pg)"
#
# The server is reached through a Unix socket in DIR and through 127.0.0.1 on a free port, and it keeps its promise to
# sync (fsync is on), so that what the tests measure and kill is what an operator runs. PostgreSQL refuses to run as
# root; then another user runs it. Messages go to stderr: stdout is the URL alone.
set -eu

say() { echo "postgres.sh: $*" >&2; }
die() { say "$*"; exit 1; }

find_binaries() {
    for found in /usr/lib/postgresql/*/bin; do
        [ -x "$found/initdb" ] && bin=$found
    done
    if [ -z "${bin:-}" ] && command -v initdb >/dev/null; then
        bin=$(dirname "$(command -v initdb)")
    fi
    [ -n "${bin:-}" ]
}

install_binaries() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || die "PostgreSQL is not installed"
    say "installing Debian's package postgresql"
    apt-get update -q >&2
    # The package would otherwise start a server of its own.
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends postgresql >&2
}

# Runs a command as a user that PostgreSQL accepts.
as_server() {
    if [ "$(id -u)" != 0 ]; then
        "$@"
    elif command -v runuser >/dev/null; then
        runuser -u "$user" -- "$@"
    else
        command=$1; shift
        su -s "$command" "$user" -- "$@"
    fi
}

server_user() {
    user=$(id -un)
    if [ "$(id -u)" = 0 ]; then
        user=nobody
        if id postgres >/dev/null 2>&1; then user=postgres; fi
    fi
}

free_port() {
    if command -v python3 >/dev/null; then
        python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
    else
        # Below the ports that the kernel hands out for outgoing connections; `start` tries again if it is taken.
        echo $((20000 + $(od -An -N2 -tu2 /dev/urandom) % 10000))
    fi
}

start() {
    find_binaries || { install_binaries; find_binaries; } || die "PostgreSQL is not installed"
    if [ -e "$dir/data/postmaster.pid" ]; then die "a server already runs in $dir"; fi
    mkdir -p "$dir"
    if [ "$(id -u)" = 0 ]; then chown "$user" "$dir"; fi
    cd "$dir"
    as_server "$bin/initdb" -D "$dir/data" -U countersign -A trust -E UTF8 --locale=C >&2
    for _ in 1 2 3 4 5; do
        port=$(free_port)
        if as_server "$bin/pg_ctl" -D "$dir/data" -l "$dir/server.log" -w -t 60 \
            -o "-c listen_addresses=127.0.0.1 -p $port -k $dir -c fsync=on -c max_connections=300" start >&2
        then
            echo "$port" >"$dir/port"
            echo "postgres://countersign@127.0.0.1:$port/postgres"
            return
        fi
    done
    cat "$dir/server.log" >&2
    die "the server did not start"
}

crash() {
    find_binaries || die "PostgreSQL is not installed"
    cd "$dir"
    as_server "$bin/pg_ctl" -D "$dir/data" -m immediate -w -t 60 stop >&2
}

resume() {
    find_binaries || die "PostgreSQL is not installed"
    cd "$dir"
    as_server "$bin/pg_ctl" -D "$dir/data" -l "$dir/server.log" -w -t 60 \
        -o "-c listen_addresses=127.0.0.1 -p $(cat "$dir/port") -k $dir -c fsync=on -c max_connections=300" start >&2
}

stop() {
    find_binaries || die "PostgreSQL is not installed"
    if [ -e "$dir/data/postmaster.pid" ]; then
        cd "$dir"
        as_server "$bin/pg_ctl" -D "$dir/data" -m immediate -w -t 60 stop >&2
    fi
    # Only what `start` made: DIR may have been there before, with something else in it.
    rm -rf "$dir/data" "$dir/server.log" "$dir/port"
    cd /
    rmdir "$dir" 2>/dev/null || say "left $dir in place: it holds other files"
}

[ $# = 2 ] || die "usage: postgres.sh start|stop|crash|resume DIR"
case $2 in
    /*) dir=$2 ;;
    *) dir=$PWD/$2 ;;
esac
server_user
case $1 in
    start) start ;;
    stop) stop ;;
    crash) crash ;;
    resume) resume ;;
    *) die "usage: postgres.sh start|stop|crash|resume DIR" ;;
esac
