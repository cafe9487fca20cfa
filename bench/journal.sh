#!/usr/bin/env bash
# Events per second through the journal's port, on both stores, beside pgbench inserting one row at a time on the same
# PostgreSQL server; in turn, so that all see the same machine. Starts a server of its own and removes it.
# Usage: bench/journal.sh [--rounds N] [--seconds S] [--clients N] [--directory DIR] [--json]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
rounds=3 seconds=5 clients=32 directory=${TMPDIR:-/tmp} json=no
while [ $# -gt 0 ]; do
  case "$1" in
    --rounds) rounds=$2; shift 2 ;;
    --seconds) seconds=$2; shift 2 ;;
    --clients) clients=$2; shift 2 ;;
    --directory) directory=$2; shift 2 ;;
    --json) json=yes; shift ;;
    *) echo "journal.sh: '$1' cannot be used" >&2; exit 2 ;;
  esac
done
program=$root/build/digitalcard-bench
postgres=/usr/lib/postgresql/15/bin
for needed in "$program" "$postgres/initdb" "$postgres/pgbench"; do
  [ -x "$needed" ] || { echo "journal.sh: $needed is missing: build, and deploy/packages.sh test" >&2; exit 1; }
done

# PostgreSQL refuses root.
as=()
[ "$(id -u)" -ne 0 ] || as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
place=$(mktemp -d "$directory/digitalcard-journal-XXXXXX")
server=
finish() {
  if [ -n "$server" ]; then
    kill -INT "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$place"
}
trap finish EXIT
port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
echo super >"$place/password"
[ "${#as[@]}" -eq 0 ] || chown -R postgres:postgres "$place"
chmod 711 "$place"
cd "$place"
"${as[@]}" "$postgres/initdb" -D "$place/data" -U postgres -E UTF8 --no-locale --auth=scram-sha-256 --pwfile="$place/password" >/dev/null
"${as[@]}" "$postgres/postgres" -D "$place/data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
  -c max_connections=200 -c shared_buffers=256MB -c max_wal_size=4GB >"$place/log" 2>&1 &
server=$!
export PGPASSWORD=super PGHOST=127.0.0.1 PGPORT=$port PGUSER=postgres
for _ in $(seq 200); do
  "$postgres/pg_isready" -q && break
  read -rt 0.1 <> <(:) || true
done
"$postgres/psql" -qAt -d postgres -c "CREATE ROLE digitalcard LOGIN CREATEDB CREATEROLE PASSWORD 'secret'" \
  -c "CREATE DATABASE digitalcard OWNER digitalcard" -c "CREATE DATABASE rows"
# What people build: a row per event, with the indexes that it needs, one transaction each.
"$postgres/psql" -qAt -d rows -c "CREATE TABLE event (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, card uuid NOT NULL,
  name smallint NOT NULL, occurred_at timestamptz NOT NULL, body bytea NOT NULL)"
cat >"$place/insert.sql" <<'SQL'
INSERT INTO event (card, name, occurred_at, body) VALUES (gen_random_uuid(), 10, now(), '\x0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef');
SQL
url=postgresql://digitalcard:secret@127.0.0.1:$port/digitalcard

results=$place/results
touch "$results"
measure() { # name, then the options of digitalcard-bench
  local name=$1
  shift
  "$program" journal --json --runs 1 --seconds "$seconds" "$@" | sed "s/^{/{\"name\":\"$name\",/" >>"$results"
}
for ((round = 1; round <= rounds; round++)); do
  rate=$("$postgres/pgbench" -n -M prepared -c "$clients" -j 2 -T "$seconds" -f "$place/insert.sql" rows 2>/dev/null |
    sed -n 's/^tps = \([0-9.]*\).*/\1/p')
  echo "{\"name\":\"pgbench\",\"events_per_second\":$rate}" >>"$results"
  measure postgresql --store "$url" --partitions 4
  measure sqlite --store sqlite --directory "$place" --partitions 4
  measure "postgresql, $clients clients" --store "$url" --clients "$clients"
  measure "sqlite, $clients clients" --store sqlite --directory "$place" --clients "$clients"
done

node -e '
const rows = require("fs").readFileSync(process.argv[1], "utf8").trim().split("\n").map((line) => JSON.parse(line));
const names = [...new Set(rows.map((row) => row.name))];
const of = (name) => rows.filter((row) => row.name === name).map((row) => row.events_per_second).sort((a, b) => a - b);
const median = (list) => (list.length % 2 ? list[list.length >> 1] : (list[list.length / 2 - 1] + list[list.length / 2]) / 2);
const peer = of("pgbench");
const table = names.map((name) => {
  const rates = of(name);
  const ratios = rows.filter((row) => row.name === name).map((row, round) => row.events_per_second / rows.filter((other) => other.name === "pgbench")[round].events_per_second);
  return { name, median: Math.round(median(rates)), min: Math.round(rates[0]), max: Math.round(rates.at(-1)), ratio: Number(median(ratios.sort((a, b) => a - b)).toFixed(2)) };
});
if (process.argv[2] === "yes") console.log(JSON.stringify({ rounds: peer.length, results: table, runs: rows }));
else for (const row of table) console.log(`${row.name.padEnd(24)} ${String(row.median).padStart(8)} events/s  (min ${row.min}, max ${row.max})  ${row.ratio.toFixed(2)} x pgbench`);
' "$results" "$json"
