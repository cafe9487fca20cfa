#!/usr/bin/env bash
# Load while roles, PostgreSQL, Redis and the membership context are killed, stopped and slowed, on a schedule from a seed. Tells availability, kinds
# of errors and the time to recover from each fault, and fails when anything acknowledged is missing, a sequence has a gap or an answer was wrong.
# Usage: bench/chaos.sh [--seconds N] [--seed N] [--store embedded|postgresql] [--redis] [--rate R] [--faults TEXT[,TEXT]] [--reports DIR]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case " $* " in *" --help "*) sed -n '2,4s/^# //p' "${BASH_SOURCE[0]}"; exit 0 ;; esac
echo "chaos.sh: packages that are missing, then the release build (the first one takes some minutes)" >&2
./deploy/packages.sh build test bench
cmake --preset release >/dev/null
cmake --build --preset release --target digitalcard digitalcard-bench -- --quiet
exec node bench/harness/chaos.mjs "$@"
