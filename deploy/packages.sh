#!/usr/bin/env bash
# Installs the Debian 12 packages of the named groups, only those that are missing, without a question.
# Usage: packages.sh [build] [test] [bench]
set -euo pipefail

build=(gcc libc6-dev cmake ninja-build pkg-config libuv1-dev libzmq3-dev libczmq-dev libmsgpack-dev libsqlite3-dev
  libsodium-dev libqrencode-dev libpng-dev libjansson-dev libcjose-dev libhttp-parser-dev libcyaml-dev libssl-dev
  libpq-dev libcurl4-openssl-dev libhiredis-dev libcmocka-dev curl ca-certificates)
# Tests start PostgreSQL and Redis servers of their own.
test=(postgresql redis-server openssl clang clang-format libclang-rt-14-dev valgrind zbar-tools zxing-cpp-tools jq sqlite3 procps libzmq3-dev systemd)
# Erlang and CAF: the peers of bench/compare-actors.sh.
bench=(wrk nginx erlang-base libcaf-dev g++)

wanted=()
for group in "$@"; do
  case "$group" in
    build) wanted+=("${build[@]}") ;;
    test) wanted+=("${test[@]}") ;;
    bench) wanted+=("${bench[@]}") ;;
    *) echo "packages.sh: no group '$group'; there are build, test and bench" >&2; exit 2 ;;
  esac
done
# A Node.js that is already there (18 or later) is used; Debian's is 18.
if [[ " $* " == *" test "* ]]; then
  if ! command -v node >/dev/null || [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 18 ]; then
    wanted+=(nodejs)
  fi
  command -v npm >/dev/null || wanted+=(npm)
fi

missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
done
[ "${#missing[@]}" -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "packages.sh: these packages are missing, and only root can install them: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
# The lists may be absent or old on a new machine: one update, then once more.
"${as_root[@]}" apt-get update -qq >/dev/null || true
install || { "${as_root[@]}" apt-get update -qq; install; }
