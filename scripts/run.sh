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
# The commands below sign in with the token that this script keeps, whoever else
# has one.
export STINT_PROFILE=$PWD/$state/token.json
unset STINT_CLIENT_ID STINT_CLIENT_SECRET STINT_CLIENT_SECRET_FILE STINT_TOKEN

if curl -s -o /dev/null "$STINT_URL/oauth/info"; then
	echo "A server answers at $STINT_URL already: stop it, or choose another address (make run LISTEN=127.0.0.1:8090 OPS=127.0.0.1:8091)." >&2
	exit 1
fi
mkdir -p -m 700 "$state"
if ! [ -s "$state/token.json" ] || ! [ -e "$state/stint.db" ]; then
	(umask 077 && "$stint" token create --db "$state/stint.db" --user admin --name "make run" --level ORG_ADMIN -o json \
		>"$state/token.json")
fi
"$stint" serve --db "$state/stint.db" --listen "$listen" --ops-listen "$ops" 2>"$state/server.log" &
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
echo "Stint serves $STINT_URL on $state/stint.db (log: $state/server.log; an administrator's token: $state/token.json)."
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

The console: open $STINT_URL in a browser and sign in with
  client id      $(sed -n 's/.*"id": *"\([^"]*\)".*/\1/p' "$state/token.json" | head -1)
  client secret  in $state/token.json

Try, in another terminal:
  export STINT_URL=$STINT_URL STINT_PROFILE=$STINT_PROFILE
  bin/stint task list
  bin/stint account list --source HR --filter 'attributes.department eq "Finance"'
  bin/stint audit report --since 1d

or with curl:
  token=\$(bin/stint access-token)
  curl -s -H "Authorization: Bearer \$token" $STINT_URL/task-status/v1/$id
  curl -sG -H "Authorization: Bearer \$token" $STINT_URL/task-status/v1 --data-urlencode 'filters=type eq "IDENTITY_REFRESH" and completionStatus eq "WARNING"'

Serving until Ctrl-C.
END
wait "$server"
