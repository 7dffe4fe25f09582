#!/usr/bin/env bash
# Install programs that tests and benchmarks need, by the names of their packages (redis-server,
# dcmtk), where that needs no question; elsewhere say in one line how.
set -euo pipefail
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    # RUNLEVEL=1 keeps packages from starting servers: the tests start their own.
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 ||
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"; } >/dev/null
    exit 0
fi
echo "missing: $*. 'sudo apt-get install $*' or 'brew install ${*/redis-server/redis}'" >&2
exit 1
