#!/usr/bin/env bash
# The long tests in full (the ordinary run has them with a reduced count). Takes about half an hour.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
./deploy/packages.sh build test
(cd tests/end_to_end && npm ci --silent --no-audit --no-fund --ignore-scripts)
cmake --preset release >/dev/null
cmake --build --preset release -- --quiet
DIGITALCARD_TEST_FULL=1 ctest --test-dir build --output-on-failure --no-tests=error -L long --timeout 3600
