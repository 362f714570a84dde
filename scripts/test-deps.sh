#!/usr/bin/env bash
# Installs what the tests need beside Go: a C compiler, for the race detector;
# PostgreSQL's server, which they start themselves; for test/backup sqlite3; for
# test/examples systemd's verifier of units and Prometheus' of rules; for test/clients curl, jq, Python 3 and
# Node.js; for test/console Chromium; and what package-lock.json names.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
# need COMMAND PACKAGE…
need() {
	command -v "$1" >/dev/null || packages+=("${@:2}")
}
need "${CC:-gcc}" gcc libc6-dev
need curl curl ca-certificates
need jq jq
need python3 python3
need node nodejs
need npm npm
need systemd-analyze systemd
need sqlite3 sqlite3
need promtool prometheus
need chromium chromium fonts-dejavu-core
if ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
	need initdb postgresql
fi
if [ ${#packages[@]} -gt 0 ]; then
	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
		echo "The tests need a C compiler (gcc), PostgreSQL 15 or later (initdb, pg_ctl), systemd-analyze, sqlite3, promtool, curl, jq, python3, node, npm and chromium; please install what is missing: ${packages[*]}" >&2
		exit 1
	fi
	apt-get update -q
	if [[ " ${packages[*]} " == *" postgresql "* ]]; then
		# Debian's package would make a cluster and have it run from then on.
		apt-get install -yq --no-install-recommends postgresql-common
		echo 'create_main_cluster = false' >>/etc/postgresql-common/createcluster.conf
	fi
	if [[ " ${packages[*]} " == *" prometheus "* && ! -e /etc/systemd/system/prometheus.service ]]; then
		# Debian's package would run the server from then on, as soon as it is there.
		mkdir -p /etc/systemd/system
		ln -s /dev/null /etc/systemd/system/prometheus.service
	fi
	apt-get install -yq --no-install-recommends "${packages[@]}"
fi
if ! node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)'; then
	echo "The tests and the console need Node.js 20.19 or later; this is $(node --version)." >&2
	exit 1
fi

for folder in test/clients/js test/clients/oidc test/console; do
	# npm leaves this file when it is done.
	done=$folder/node_modules/.package-lock.json
	if [ ! -e "$done" ] || [ "$folder/package-lock.json" -nt "$done" ]; then
		(cd "$folder" && npm ci --ignore-scripts)
	fi
done
