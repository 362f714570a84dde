#!/usr/bin/env bash
# Installs what the tests need beside Go: a C compiler, for the race detector.
set -euo pipefail
command -v "${CC:-gcc}" >/dev/null && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
	apt-get update -q
	apt-get install -yq --no-install-recommends gcc libc6-dev
	exit 0
fi
echo "The tests need a C compiler (gcc) for the race detector; please install one." >&2
exit 1
