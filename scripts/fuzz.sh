#!/usr/bin/env bash
# Runs every fuzz test for a while: `go test` takes one at a time.
#
# usage: scripts/fuzz.sh [TIME]
set -euo pipefail
cd "$(dirname "$0")/.."
grep -rlE '^func Fuzz' --include='*_test.go' . | while read -r file; do
	package=$(dirname "$file")
	sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$file" | while read -r name; do
		echo "== $package $name"
		go test -run '^$' -fuzz "^$name\$" -fuzztime "${1:-20s}" "$package"
	done
done
