#!/usr/bin/env bash
# Starts Stint on an embedded database under .stint/, aggregates an example
# source, runs an example program as a tracked task, shows how to look at it all,
# and goes on serving. Run again, it aggregates again.
#
# usage: scripts/run.sh [ADDRESS [OPS_ADDRESS]]
set -euo pipefail
cd "$(dirname "$0")/.."

listen=${1:-127.0.0.1:8080}
ops=${2:-127.0.0.1:8081}
stint=bin/stint
state=.stint
export STINT_URL=http://$listen
export STINT_SPOOL=$PWD/$state/spool

if "$stint" task list --limit 1 >/dev/null 2>&1; then
	echo "A server answers at $STINT_URL already: stop it, or choose another address (make run LISTEN=127.0.0.1:8090 OPS=127.0.0.1:8091)." >&2
	exit 1
fi
mkdir -p -m 700 "$state"
"$stint" serve --db "$state/stint.db" --listen "$listen" --ops-listen "$ops" --insecure-no-auth \
	2>"$state/server.log" &
server=$!
# Whatever ends this script ends the server, which then closes its database.
trap 'kill "$server" 2>/dev/null; wait "$server"' EXIT
trap 'exit 0' INT TERM

for _ in $(seq 100); do
	"$stint" task list --limit 1 >/dev/null 2>&1 && break
	if ! kill -0 "$server" 2>/dev/null; then
		echo "The server did not start:" >&2
		cat "$state/server.log" >&2
		trap - EXIT
		exit 1
	fi
	sleep 0.1
done
echo "Stint serves $STINT_URL on $state/stint.db (log: $state/server.log)."
echo
# source NAME FLAGS… makes a source unless it is there.
source_of() {
	"$stint" source get "$1" >/dev/null 2>&1 || "$stint" source create "$@" >/dev/null
}
echo "Aggregating examples/hr-source into the source HR (two rows have something wrong on purpose):"
source_of HR --account-id employeeId --display-name fullName --entitlements groups \
	--description "The example of examples/hr-source"
"$stint" source aggregate HR examples/hr-source/accounts.csv
echo
"$stint" source aggregate HR examples/hr-source/entitlements.csv --entitlements
echo
echo "Aggregating 30,000 made-up accounts into the source Directory:"
source_of Directory --account-id id --display-name name --entitlements groups \
	--description "Made up by examples/hr-source/generate.sh"
examples/hr-source/generate.sh 30000 >"$state/directory.csv"
"$stint" source aggregate Directory "$state/directory.csv"
echo
echo "Running examples/identity-refresh/refresh.sh as a tracked task:"
rm -f "$state/task-id"
# The program knows its task; it leaves the id for the progress bar below.
"$stint" exec --type IDENTITY_REFRESH --name "Nightly identity refresh" -- sh -c \
	'echo "$STINT_TASK_ID" >"$1"; shift; exec "$@"' sh "$state/task-id" \
	examples/identity-refresh/refresh.sh examples/identity-refresh/identities.csv "$state/refreshed.csv" \
	>"$state/refresh.log" 2>&1 &
program=$!
for _ in $(seq 100); do
	[ -s "$state/task-id" ] && break
	sleep 0.1
done
id=$(cat "$state/task-id")
"$stint" task wait "$id"
wait "$program"
echo
"$stint" task get "$id"
cat <<END

Try:
  curl -s $STINT_URL/task-status/v1/$id
  curl -sG $STINT_URL/task-status/v1 --data-urlencode 'filters=type eq "IDENTITY_REFRESH" and completionStatus eq "WARNING"'
  curl -sG -o /dev/null -D - $STINT_URL/task-status/v1 --data-urlencode 'filters=completionStatus isnull' -d count=true -d limit=0
  bin/stint task list --url $STINT_URL
  bin/stint account list --url $STINT_URL --source HR --filter 'attributes.department eq "Finance"'

Serving until Ctrl-C.
END
wait "$server"
