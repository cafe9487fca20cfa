#!/usr/bin/env bash
# Installs what the tests need, builds, and runs all of them. Ends with "N passed, N failed".
#   release   tidy, unit, contract, integration and end-to-end tests on the binary that ships
#   asan      unit, contract and integration tests under AddressSanitizer and UBSan
#   fuzz      each fuzz target for 10 s on its seed corpus
# Long tests (label `long`) run here with a reduced count, in full by tests/long.sh.
# Usage: tests/run.sh [release] [asan] [fuzz]   (all when none is named)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

phases=("$@")
[ "${#phases[@]}" -gt 0 ] || phases=(release asan fuzz)
started=$SECONDS

./deploy/packages.sh build test
(cd tests/end_to_end && npm ci --silent --no-audit --no-fund --ignore-scripts)

passed=0
failed=0
cases=0

# Adds what one ctest run says to the totals. A run without tests is a failure.
run_phase() {
  local preset=$1 status=0 log
  shift
  echo "== $preset: build"
  cmake --preset "$preset" >"/tmp/digitalcard-$preset-configure.$$" 2>&1 || { cat "/tmp/digitalcard-$preset-configure.$$"; exit 1; }
  rm -f "/tmp/digitalcard-$preset-configure.$$"
  cmake --build --preset "$preset" -- --quiet
  echo "== $preset: tests"
  local folder=build-$preset
  [ "$preset" = release ] && folder=build
  ctest --test-dir "$folder" --output-on-failure --no-tests=error "$@" | tee "$folder/tests.log" || status=$?
  local summary failed_here total
  summary=$(grep -E 'tests passed, [0-9]+ tests failed out of [0-9]+' "$folder/tests.log" | tail -n 1)
  failed_here=$(sed -E 's/.* ([0-9]+) tests failed.*/\1/' <<<"$summary")
  total=$(sed -E 's/.* out of ([0-9]+).*/\1/' <<<"$summary")
  failed_here=${failed_here:-1}
  total=${total:-1}
  [ "$status" -eq 0 ] || [ "$failed_here" -gt 0 ] || failed_here=1
  failed=$((failed + failed_here))
  passed=$((passed + total - failed_here))
  # Single cases within the programs: cmocka prints one OK line each, Node's runner a count.
  log="$folder/Testing/Temporary/LastTest.log"
  cases=$((cases + $(grep -c '^\[       OK \]' "$log" || true) + $(awk '/^# pass /{n+=$3} END{print n+0}' "$log")))
}

for phase in "${phases[@]}"; do
  case "$phase" in
    release) run_phase release -j 2 ;;
    asan) run_phase asan -j 2 -L 'unit|contract|integration' ;;
    fuzz) run_phase fuzz -j 2 -L fuzz ;;
    *) echo "run.sh: no phase '$phase'; there are release, asan and fuzz" >&2; exit 2 ;;
  esac
done

echo "$cases single cases in $((passed + failed)) test programs, $((SECONDS - started)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
