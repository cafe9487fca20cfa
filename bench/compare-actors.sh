#!/usr/bin/env bash
# Runs the actor yardsticks on DigitalCard's runtime (one thread), Erlang and CAF in turn, several times, and prints medians, spreads and
# ratios. Peers run with one scheduler thread and with one per core; the better of the two counts. Every result is compared with what must
# come out. Usage: compare-actors.sh [--rounds N] [--only NAME] [--no-install]
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=5
only=""
install=1
while [ $# -gt 0 ]; do
  case "$1" in
    --rounds) rounds=$2; shift 2 ;;
    --only) only=$2; shift 2 ;;
    --no-install) install=0; shift ;;
    --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
    *) echo "compare-actors.sh: cannot use '$1'" >&2; exit 2 ;;
  esac
done

[ "$install" -eq 0 ] || ./deploy/packages.sh build bench
cmake --preset release >/dev/null
cmake --build --preset release --target digitalcard-bench >/dev/null
peers=build/peers
mkdir -p "$peers"
erlc +deterministic -o "$peers" bench/peers/erlang/actors.erl
if [ "$peers/caf-actors" -ot bench/peers/caf/actors.cpp ]; then
  g++ -O3 -DNDEBUG -std=c++17 -o "$peers/caf-actors" bench/peers/caf/actors.cpp -lcaf_core -lpthread
fi

cores=$(nproc)
results=$(mktemp)
trap 'rm -f "$results"' EXIT

# name, count, and the result that must come out
yardsticks() {
  cat <<'TABLE'
skynet 1000000 499999500000
senders 1000000 10000010000000
create 19 1048575
pingpong 2000000 2000000
ring 100000 0
TABLE
}

# record WHO NAME "NAME ELAPSED RESULT" EXPECTED
record() {
  local elapsed result
  read -r _ elapsed result <<<"$3"
  if [ "$result" != "$4" ]; then
    echo "compare-actors.sh: $1 $2 gave '$3' instead of $4" >&2
    exit 1
  fi
  echo "$2 $1 $elapsed" >>"$results"
}

ours() {
  local json
  # The program compares the result itself and fails when it differs.
  json=$(build/digitalcard-bench actors "$1" --count "$2" --json)
  record ours "$1" "$1 $(sed -E 's/.*"elapsed_us":([0-9]+).*/\1/' <<<"$json") $3" "$3"
}

erlang() {
  record "erlang-$4" "$1" \
    "$(timeout 120 erl +S "$4" +P 4000000 -noshell -pa "$peers" -run actors main "$1" "$2" </dev/null)" "$3"
}

caf() {
  record "caf-$4" "$1" "$(timeout 120 "$peers/caf-actors" "$1" "$2" "$4")" "$3"
}

for round in $(seq "$rounds"); do
  while read -r name count expected; do
    [ -z "$only" ] || [ "$only" = "$name" ] || continue
    echo "round $round: $name" >&2
    ours "$name" "$count" "$expected"
    for threads in $(printf '1\n%s\n' "$cores" | sort -un); do
      erlang "$name" "$count" "$expected" "$threads"
      caf "$name" "$count" "$expected" "$threads"
    done
  done < <(yardsticks)
done

echo "$rounds rounds, $cores cores; milliseconds: median (min-max); peers: the better of 1 and $cores scheduler threads"
sort -k1,1 -k2,2 -k3,3n "$results" | awk '
  function close_group() {
    if (n == 0) return
    median = n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
    split(who, part, "-")
    key = name SUBSEP part[1]
    if (!(key in best) || median < best[key]) {
      best[key] = median; low[key] = v[1]; high[key] = v[n]; threads[key] = part[2]
    }
    names[name] = 1
    n = 0
  }
  { if ($1 != name || $2 != who) close_group(); name = $1; who = $2; v[++n] = $3 }
  END {
    close_group()
    printf "%-9s %22s %28s %28s %8s %8s\n", "", "DigitalCard", "Erlang", "CAF", "Erlang/", "CAF/"
    count = split("skynet senders create pingpong ring", order, " ")
    for (i = 1; i <= count; i++) {
      if (!(order[i] in names)) continue
      o = order[i] SUBSEP "ours"; e = order[i] SUBSEP "erlang"; c = order[i] SUBSEP "caf"
      printf "%-9s %9.0f (%4.0f-%5.0f) %10.0f (%5.0f-%5.0f) x%s %10.0f (%5.0f-%5.0f) x%s %8.1f %8.1f\n", order[i],
        best[o] / 1000, low[o] / 1000, high[o] / 1000, best[e] / 1000, low[e] / 1000, high[e] / 1000, threads[e],
        best[c] / 1000, low[c] / 1000, high[c] / 1000, threads[c], best[e] / best[o], best[c] / best[o]
    }
  }'
build/digitalcard-bench actors idle
build/digitalcard-bench actors resident
