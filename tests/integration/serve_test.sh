#!/bin/sh
# `digitalcard serve` and its commands as a person meets them: what is refused at the start, each with one line and exit
# status 1 or 2; two services on one directory; the main road by curl; a kill -9 of every role; a clean end.
# Usage: serve_test.sh PATH-OF-digitalcard. Needs curl; uses free ports; leaves nothing behind.
set -u
program=$1
base=$(mktemp -d /tmp/serve-test-XXXXXX)
data=$base/data
service=
other=
checks=0

finish() {
    [ -n "$service" ] && kill -9 "$service" 2>/dev/null
    [ -n "$other" ] && kill "$other" 2>/dev/null
    rm -rf "$base"
}
trap finish EXIT

fail() {
    echo "FAILED: $*" >&2
    [ -f "$base/log" ] && tail -n 20 "$base/log" >&2
    exit 1
}

# refused EXPECTED-STATUS WORDS ARGUMENTS…: one line on standard error that says WORDS
refused() {
    expected=$1
    words=$2
    shift 2
    "$program" "$@" >"$base/out" 2>"$base/err" </dev/null
    status=$?
    [ "$status" -eq "$expected" ] || fail "$* ended with $status: $(cat "$base/err")"
    grep -q -- "$words" "$base/err" || fail "$* did not say '$words' but: $(cat "$base/err")"
    [ "$(wc -l <"$base/err")" -eq 1 ] || fail "$* said more than one line: $(cat "$base/err")"
    checks=$((checks + 1))
}

# until_true SECONDS COMMAND…
until_true() {
    tries=$(($1 * 50))
    shift
    while [ "$tries" -gt 0 ]; do
        "$@" >/dev/null 2>&1 && return 0
        tries=$((tries - 1))
        sleep 0.02
    done
    fail "in time: $*"
}

start() {
    : >"$base/ready"
    "$program" serve --data "$data" --http 127.0.0.1:0 --api tcp://127.0.0.1:0 --events "ipc://$base/events" \
        >"$base/ready" 2>>"$base/log" &
    service=$!
    until_true 10 grep -q "digitalcard is ready" "$base/ready"
    url=$(sed -n 's/^digitalcard is ready: \(http[^ ]*\) .*/\1/p' "$base/ready")
    api=$(sed -n 's/.* api tcp:\/\/\([^ ]*\) .*/\1/p' "$base/ready")
}

stop() {
    kill -TERM "$service"
    wait "$service"
    status=$?
    service=
    [ "$status" -eq 0 ] || fail "serve ended with $status"
    checks=$((checks + 1))
}

# --- refusals ---
refused 1 "only loopback" serve --data "$data" --api tcp://0.0.0.0:5555
refused 1 "only loopback" serve --data "$data" --events tcp://192.0.2.1:5556
refused 2 "must be ADDR:PORT" serve --data "$data" --http nowhere
refused 2 "there is no such store" serve --data "$data" --store mysql
refused 2 "TLS to Redis" serve --data "$data" --redis rediss://localhost
refused 2 "must begin with redis://" serve --data "$data" --redis localhost:6379
refused 2 "from 1 to 32" serve --data "$data" --shards 99
refused 2 "unknown option" serve --colour red
refused 2 "unknown command frobnicate" frobnicate
refused 2 "unknown command tenant frobnicate" tenant frobnicate
refused 2 "unknown command frobnicate" help frobnicate
refused 2 "tenant create: NAME is missing; see digitalcard tenant create --help" tenant create
refused 2 "tenant list: a value is missing after --data" tenant list --data
refused 2 "tenant list: unexpected argument acme" tenant list acme
refused 2 "token mint: --ttl must be a whole number, not soon" token mint --tenant acme --role issuer --ttl soon
refused 2 "webhooks add: --url URL is missing" webhooks add desk --tenant acme
refused 2 "store restore: --tenant x is no name of a tenant" store restore "$base/none" --tenant x
refused 1 "none.yaml: it cannot be opened: No such file" serve --config "$base/none.yaml"
"$program" --version | grep -q '^digitalcard [0-9]' || fail "--version"
"$program" help token | grep -q 'token mint' || fail "help of a group"
"$program" help token mint | grep -q -- '--ttl' || fail "help of a command"
printf 'data: %s\ncolour: red\n' "$data" >"$base/c.yaml"
refused 1 "colour" serve --config "$base/c.yaml"
touch "$base/file"
refused 1 "data directory $base/file" serve --data "$base/file/x"
refused 1 "data directory /proc/nothing" serve --data /proc/nothing
if [ "$(id -u)" -ne 0 ]; then
    mkdir -m 0500 "$base/readonly"
    refused 1 "not writable" serve --data "$base/readonly"
fi
[ -e "$data" ] && fail "a refused start left a data directory"
refused 1 "cannot be found" tenant list --data "$data"
refused 1 "there is no such directory; name another with --data" tree --data "$data"
mkdir "$base/idle"
refused 1 "nobody answers on its control.sock" tree --data "$base/idle"
refused 1 "cannot be found" store backup "$data.backup" --tenant acme --data "$data"
[ -e "$data.backup" ] && fail "a refused backup left a file"
refused 1 "audit verify: not built yet" audit verify --data "$data"

# --- without a service ---
"$program" tenant create acme --data "$data" --partitions 4 >/dev/null || fail "tenant create without a service"
refused 1 "exists already" tenant create acme --data "$data"
refused 2 "reserved" tenant create api --data "$data"
refused 2 "reserved" tenant create ../x --data "$data"
refused 2 "--yes" tenant delete acme --data "$data"
refused 1 "There is no tenant nobody" token mint --tenant nobody --role issuer --data "$data"
refused 2 "must be platform_admin, tenant_admin" token mint --tenant acme --role king --data "$data"
refused 2 "1 to 86400 seconds" token mint --tenant acme --role issuer --ttl 0 --data "$data"
refused 2 "--tenant T is missing" token mint --role issuer --data "$data"
refused 2 "--subject S is missing" token mint --tenant acme --role member --data "$data"
refused 2 "control characters" token mint --tenant acme --role issuer --subject "$(printf 'a\r\nb')" --data "$data"
refused 2 "1 to 64" tenant create many --partitions 65 --data "$data"
[ "$(stat -c %a "$data")" = 700 ] || fail "the data directory is not private"
[ "$(stat -c %a "$data/master.key")" = 600 ] || fail "the master key is not private"
chmod 0644 "$data/master.key"
refused 1 "mode 0600" serve --data "$data" --http 127.0.0.1:0 --api tcp://127.0.0.1:0 --events tcp://127.0.0.1:0
chmod 0600 "$data/master.key"
mv "$data/master.key" "$base/kept.key"
refused 1 "restore it from a backup" serve --data "$data" --http 127.0.0.1:0 --api tcp://127.0.0.1:0 --events tcp://127.0.0.1:0
head -c 32 /dev/urandom >"$data/master.key" && chmod 0600 "$data/master.key"
refused 1 "does not open what control.db holds" serve --data "$data" --http 127.0.0.1:0 --api tcp://127.0.0.1:0 --events tcp://127.0.0.1:0
refused 1 "does not open what control.db holds" tenant create other --data "$data"
head -c 31 "$base/kept.key" >"$data/master.key"
refused 1 "exactly 32 bytes" serve --data "$data" --http 127.0.0.1:0 --api tcp://127.0.0.1:0 --events tcp://127.0.0.1:0
mv "$base/kept.key" "$data/master.key"

# --- a service ---
start
refused 1 "is in use by process $service" serve --data "$data" --http 127.0.0.1:0
refused 1 "the address is in use" serve --data "$base/second" --http "${url#http://}"
[ ! -e "$base/second/master.key" ] || fail "a start that failed made a master key"
refused 1 "the address is in use" serve --data "$base/second" --http 127.0.0.1:0 --api "tcp://$api"
refused 1 "the address is in use" serve --data "$base/second" --http 127.0.0.1:0 --api tcp://127.0.0.1:0 \
    --events "ipc://$base/events"
[ "$(stat -c %a "$data/control.sock")" = 600 ] || fail "the control socket is not private"
"$program" tenant create demo --data "$data" >/dev/null || fail "tenant create through the service"
[ "$("$program" tenant list --data "$data" --json | grep -c '"name"')" -eq 2 ] || fail "tenant list"
token=$("$program" token mint --tenant demo --role tenant_admin --data "$data") || fail "token mint"
[ "$(printf '%s' "$token" | wc -l)" -eq 0 ] || fail "token mint printed more than a token"

call() { # METHOD PATH [BODY]
    curl -sf -m 10 -X "$1" "$url$2" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
        ${3:+-d "$3"}
}
until_true 5 call GET /demo/api/v1/cards # a change is seen within 1 s
issued=$(call POST /demo/api/v1/cards '{"member_id":"m-1","expires_at":"2035-01-01T00:00:00Z","activate":true}') ||
    fail "issue"
card=$(printf '%s' "$issued" | sed 's/^{"id":"\([^"]*\)".*/\1/')
code=$(printf '%s' "$issued" | sed 's/.*"text":"\([^"]*\)".*/\1/')
scan() {
    call POST /demo/mapi/v1/scans "{\"qr\":\"$code\",\"gate\":\"north\"}" | grep -q "\"reason\":\"$1\""
}
scan valid || fail "first scan"
"$program" qr "$code" >"$base/out" && [ "$(wc -l <"$base/out")" -gt 10 ] || fail "qr"

for role in front-0 shard-0 relay; do
    pid=$("$program" tree --data "$data" --json | tr -d ' \n' | sed "s/.*\"name\":\"$role\",\"pid\":\([0-9]*\).*/\1/")
    kill -9 "$pid" || fail "no process of $role"
    until_true 10 scan valid
    until_true 10 sh -c "'$program' tree --data '$data' | grep -q '$role *ready.*killed by SIGKILL'"
    checks=$((checks + 1))
done
"$program" key rotate --tenant demo --data "$data" >/dev/null || fail "key rotate"
refused 1 "rotate first" key retire --tenant demo --kid 2 --data "$data"
refused 1 "has no key 9" key retire --tenant demo --kid 9 --data "$data"
"$program" key retire --tenant demo --kid 1 --data "$data" >/dev/null || fail "key retire"
until_true 5 scan key_retired
call POST "/demo/api/v1/cards/$card/revoke" '{"reason":"lost"}' >/dev/null || fail "revoke"
"$program" events replay --tenant demo --data "$data" >"$base/out" || fail "events replay"
grep -q CardRevoked "$base/out" || fail "the revocation is not in the replay"
"$program" top --once --data "$data" | grep -q shard-0 || fail "top"
call GET /metrics | grep -q '^digitalcard_role_restarts_total{role="supervisor",name="relay"} 1$' || fail "metrics"
kill -HUP "$service"
until_true 10 sh -c "'$program' tree --data '$data' | grep -q 'relay *ready.*restarts 2'"
"$program" store verify --data "$data" | grep -q 'sound .* events of .* cards' || fail "store verify"
stop
[ -e "$data/control.sock" ] && fail "the control socket is left behind"
[ -n "$(ls "$data/run")" ] && fail "sockets are left behind: $(ls "$data/run")"

# --- the same data again, ended by Ctrl-C of the whole terminal group ---
start
token=$("$program" token mint --tenant demo --role auditor --data "$data")
call GET "/demo/api/v1/cards/$card" | grep -q '"status":"revoked"' || fail "the card is lost"
for pid in $(ps -o pid= --ppid "$service"); do kill -INT "$pid"; done
call GET "/demo/api/v1/cards/$card" | grep -q '"status":"revoked"' || fail "a role obeyed SIGINT"
kill -INT "$service"
wait "$service" || fail "Ctrl-C did not end it cleanly"
service=
"$program" tenant delete demo --yes --data "$data" >"$base/deleted" || fail "tenant delete"
backup=$(sed -n 's/^backup of it: //p' "$base/deleted")
"$program" store verify "$backup" | grep -q "backup of demo" || fail "tenant delete left no sound backup"
refused 1 "There is no tenant demo" tenant show demo --data "$data"
grep -q '"level":"error"' "$base/log" && fail "errors in the log: $(grep -m3 '"level":"error"' "$base/log")"
echo "$checks refusals and recoveries checked"
