#!/usr/bin/env bash
# From a bare Debian 12 to a card that opens a door, in one command and without a question: installs the packages,
# builds, starts the service with the embedded store, makes the tenant `demo`, issues a card, prints its code.
# Ctrl-C ends it. Running it again is quick and keeps the data.
#   --with-membership  also starts a fake membership context (needs Node.js and npm), see docs/membership.md
#   DIGITALCARD_DATA   data directory (default ./var)
#   DIGITALCARD_HTTP   address (default 127.0.0.1:8080), DIGITALCARD_API, DIGITALCARD_EVENTS likewise
#   DIGITALCARD_MEMBERSHIP_PORT  of the fake context (default 8090; the two ports after it are its events and its ZeroMQ API)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A shell that was started in the background ignores SIGINT and can never trap it: begin again without that.
if [ -z "${DIGITALCARD_SIGNALS:-}" ]; then
  export DIGITALCARD_SIGNALS=default
  exec env --default-signal=INT,TERM bash deploy/quickstart.sh "$@"
fi

data=${DIGITALCARD_DATA:-./var}
http=${DIGITALCARD_HTTP:-127.0.0.1:8080}
api=${DIGITALCARD_API:-tcp://127.0.0.1:5555}
events=${DIGITALCARD_EVENTS:-tcp://127.0.0.1:5556}
url=http://$http
membership_port=${DIGITALCARD_MEMBERSHIP_PORT:-8090}
service=""
membership=""
more=()

say() { printf '%s\n' "$*"; }
fail() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }

stop() {
  local status=$?
  trap - EXIT INT TERM
  if [ -n "$membership" ] && kill -0 "$membership" 2>/dev/null; then kill -TERM "$membership"; wait "$membership" || true; fi
  if [ -n "$service" ] && kill -0 "$service" 2>/dev/null; then
    kill -TERM "$service"
    wait "$service" || true
    say "stopped; the data is in $data"
  fi
  exit "$status"
}

./deploy/packages.sh build
say "building (the first time takes about a minute) …"
cmake --preset release -DDIGITALCARD_TESTS=OFF >/dev/null
cmake --build --preset release --target digitalcard -- --quiet

if [ "${1:-}" = --with-membership ]; then
  command -v npm >/dev/null || ./deploy/packages.sh test
  (cd tests/end_to_end && npm ci --silent --no-audit --no-fund --ignore-scripts)
  set -m
  node tests/peers/membership.mjs --http "$membership_port" --events "tcp://127.0.0.1:$((membership_port + 1))" \
    --api "tcp://127.0.0.1:$((membership_port + 2))" &
  membership=$!
  set +m
  trap stop EXIT
  for _ in $(seq 1 200); do
    curl -fsS "http://127.0.0.1:$membership_port/events" >/dev/null 2>&1 && break
    kill -0 "$membership" 2>/dev/null || { membership=""; fail "the membership context did not start: is port $membership_port taken?"; }
    sleep 0.05
  done
  more=(--membership-url "http://127.0.0.1:$membership_port" --membership-events "tcp://127.0.0.1:$((membership_port + 1))")
elif [ $# -gt 0 ]; then
  fail "there is no option $1; there is --with-membership"
fi

log=$data/service.log
mkdir -p "$data"
chmod 700 "$data"
# Added to, never cut: another service on the same directory may be writing there, and what an earlier start said must
# not be taken for this one's (the shell opens the file only once the command has been forked).
(umask 077; : >>"$log")
log_start=$(($(wc -c <"$log") + 1))
said() { tail -c "+$log_start" "$log"; }
# The service ignores the terminal's Ctrl-C through its own process group; this script passes it on as SIGTERM.
set -m
./build/digitalcard serve --data "$data" --http "$http" --api "$api" --events "$events" "${more[@]}" >>"$log" 2>&1 &
service=$!
set +m
trap stop EXIT
trap 'exit 0' INT TERM

ready=""
# Its own word, not the port's: another service may be the one that answers there.
for _ in $(seq 1 200); do
  if grep -q '^digitalcard is ready' < <(said); then ready=yes; break; fi
  kill -0 "$service" 2>/dev/null || break
  sleep 0.05
done
[ -n "$ready" ] || { said | tail -n 5 >&2; fail "the service did not start; its log is $log"; }

digitalcard() { ./build/digitalcard "$@"; }
digitalcard tenant show demo --data "$data" >/dev/null 2>&1 || digitalcard tenant create demo --data "$data" >/dev/null
token=$(digitalcard token mint --data "$data" --tenant demo --role tenant_admin --subject quickstart --ttl 86400)

# What the command line changed is seen by the running service within a second.
for _ in $(seq 1 40); do
  cards=$(curl -fsS -H "Authorization: Bearer $token" "$url/demo/api/v1/cards?member_id=m-1&limit=1" 2>/dev/null) && break
  sleep 0.05
done
[ -n "${cards:-}" ] || fail "the service does not know the tenant demo; its log is $log"

field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1; }
if [ "${cards#*\"items\":\[\]}" != "$cards" ]; then
  cards=$(curl -fsS -X POST "$url/demo/api/v1/cards" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
    -H 'Idempotency-Key: quickstart-first-card' \
    -d "{\"member_id\":\"m-1\",\"holder_name\":\"Ada Lovelace\",\"tier\":\"gold\",\"expires_at\":\"$(date -u -d '+1 year' +%Y-%m-%dT%H:%M:%SZ)\",\"activate\":true}")
fi
card=$(field id <<<"$cards")
qr=$(sed -n 's/.*"qr":{"text":"\([^"]*\)".*/\1/p' <<<"$cards" | head -n 1)
[ -n "$card" ] && [ -n "$qr" ] || fail "the first card could not be issued: $cards"

say ""
say "The card of Ada Lovelace (member m-1 of the organisation demo):"
say ""
digitalcard qr "$qr"
say ""
say "DigitalCard runs at     $url   (health: $url/health/ready, metrics: $url/metrics)"
say "ZeroMQ API and events   $api   $events"
say "data and log            $data   $log"
say ""
say "A token for a day:"
say "$token"
say ""
say "Try (in another terminal):"
say ""
say "# Scan the card at a gate"
say "curl -s -X POST $url/demo/mapi/v1/scans -H 'Authorization: Bearer $token' -H 'Content-Type: application/json' -d '{\"qr\":\"$qr\",\"gate\":\"north\"}'"
say ""
say "# Read the card and what happened to it"
say "curl -s $url/demo/api/v1/cards/$card/history -H 'Authorization: Bearer $token'"
say ""
say "# Issue a card to another member"
say "curl -s -X POST $url/demo/api/v1/cards -H 'Authorization: Bearer $token' -H 'Content-Type: application/json' -d '{\"member_id\":\"m-2\",\"expires_at\":\"2035-01-01T00:00:00Z\",\"activate\":true}'"
say ""
if [ -n "$membership" ]; then
  say "# Suspend the member (or: reinstate, cancel), and scan the card again"
  say "curl -s -X POST http://127.0.0.1:$membership_port/demo/demo/m-1/suspend"
  say ""
  say "# Break the membership system (good mends it): the door goes on, and says fallback: true after half a minute"
  say "curl -s -X POST http://127.0.0.1:$membership_port/demo/mode/never"
  say ""
fi
say "The supervision tree: ./build/digitalcard tree --data $data      Ctrl-C ends everything."
wait "$service"
