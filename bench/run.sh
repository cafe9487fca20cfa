#!/usr/bin/env bash
# The whole comparison in one command: builds the release, starts PostgreSQL, the peers and the service, runs store × protocol × connections ×
# scenario beside the yardsticks, and writes docs/benchmarks.md (reports of single runs: bench/reports/, not committed).
# Usage: bench/run.sh [--quick] [--rounds N] [--seconds S] [--stores embedded,postgresql] [--out FILE] [--reports DIR]
#   --quick takes about four minutes, the whole about half an hour.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case " $* " in *" --help "*) sed -n '2,5s/^# //p' "${BASH_SOURCE[0]}"; exit 0 ;; esac
echo "run.sh: packages that are missing, then the release build (the first one takes some minutes)" >&2
./deploy/packages.sh build test bench
cmake --preset release >/dev/null
cmake --build --preset release --target digitalcard digitalcard-bench -- --quiet
(cd bench/peers/node && npm ci --silent --no-audit --no-fund --ignore-scripts)
case " $* " in *" --quick "*) time="four minutes" ;; *) time="half an hour" ;; esac
echo "run.sh: everything runs on this machine and is ended again; about $time, best with nothing else running. Ctrl-C ends it early, without a page" >&2
exec node bench/harness/matrix.mjs "$@"
