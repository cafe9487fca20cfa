#!/usr/bin/env bash
# The same load for a long time: memory, descriptors and latency of every second, drawn on one page; fails when they are not flat.
# Usage: bench/soak.sh [--minutes N] [--rate R] [--store embedded|postgresql] [--scenario NAME[,NAME]] [--reports DIR]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case " $* " in *" --help "*) sed -n '2,3s/^# //p' "${BASH_SOURCE[0]}"; exit 0 ;; esac
echo "soak.sh: packages that are missing, then the release build (the first one takes some minutes)" >&2
./deploy/packages.sh build test bench
cmake --preset release >/dev/null
cmake --build --preset release --target digitalcard digitalcard-bench -- --quiet
exec node bench/harness/soak.mjs "$@"
