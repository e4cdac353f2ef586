#!/bin/sh
# tools/run.sh [--stay] - starts a server on a fresh data directory and walks through the main job on it.
# --stay leaves the server running until it is interrupted; otherwise it is stopped and the directory removed.
set -eu
cd "$(dirname "$0")/.."
stay=no
[ "${1:-}" = --stay ] && stay=yes
port=${PORT:-8443}
vault_port=${VAULT_PORT:-8444}
if [ -n "${DATA:-}" ]; then
    data=$DATA
    mkdir -p "$data"
else
    data=$(mktemp -d /tmp/keystead-XXXXXX)
fi
log=$data.log
ready=$data.ready
: >"$ready"
build/keystead up --data "$data" --listen "127.0.0.1:$port" --vault-listen "127.0.0.1:$vault_port" --probe-seconds 6 \
    >"$ready" 2>"$log" &
server=$!
finish() {
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    rm -f "$ready"
    [ "$stay" = yes ] || [ -n "${DATA:-}" ] || rm -rf "$data" "$log"
}
trap finish EXIT
trap 'exit 130' INT TERM
n=0
until [ -s "$ready" ]; do
    if ! kill -0 "$server" 2>/dev/null || [ "$n" -ge 300 ]; then
        echo "the server did not start; the last lines of $log:" >&2
        tail -n 20 "$log" >&2
        exit 1
    fi
    n=$((n + 1))
    sleep 0.1
done
if ! build/keystead walk --data "$data"; then
    echo "the walk failed; the last lines of $log:" >&2
    tail -n 20 "$log" >&2
    exit 1
fi
if [ "$stay" = yes ]; then
    echo
    echo "The server stays up. Its log: $log. Ctrl-C stops it."
    wait "$server"
fi
