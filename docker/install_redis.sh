#!/usr/bin/env bash
# Install redis-server where that needs no question; elsewhere say in one line how.
set -euo pipefail
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    # RUNLEVEL=1 keeps the package from starting a server: the tests start their own.
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    apt-get install -y -qq --no-install-recommends redis-server >/dev/null 2>&1 ||
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server; } >/dev/null
    exit 0
fi
echo "redis-server is missing: 'sudo apt-get install redis-server' or 'brew install redis'" >&2
exit 1
