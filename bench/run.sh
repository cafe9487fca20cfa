#!/usr/bin/env bash
# The whole comparison in one command: builds the release, starts PostgreSQL, the peers and the service, runs store × protocol × connections ×
# scenario beside the yardsticks, and writes docs/benchmarks.md (reports of single runs: bench/reports/, not committed).
# Usage: bench/run.sh [--quick] [--rounds N] [--seconds S] [--stores embedded,postgresql] [--out FILE] [--reports DIR]
#   --quick takes about four minutes, the whole about half an hour.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case " $* " in *" --help "*) sed -n '2,5s/^# //p' "${BASH_SOURCE[0]}"; exit 0 ;; esac
./deploy/packages.sh build test bench
cmake --preset release >/dev/null
cmake --build --preset release --target digitalcard digitalcard-bench -- --quiet
(cd bench/peers/node && npm ci --silent --no-audit --no-fund --ignore-scripts)
exec node bench/harness/matrix.mjs "$@"
