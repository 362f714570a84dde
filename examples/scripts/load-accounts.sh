#!/usr/bin/env bash
# Aggregates a file of accounts, waits until that has ended, and prints what came of
# it. It needs curl and jq.
#
# usage: load-accounts.sh SOURCE_ID FILE
#
# Exit code 0 is SUCCESS, 3 is WARNING, 1 is anything else.
set -euo pipefail
: "${SAIL_BASE_URL:?}" "${SAIL_CLIENT_ID:?}" "${SAIL_CLIENT_SECRET:?}"
source=${1:?usage: load-accounts.sh SOURCE_ID FILE}
file=${2:?usage: load-accounts.sh SOURCE_ID FILE}
base=${SAIL_BASE_URL%/}

token=$(curl -sS --fail-with-body "$base/oauth/token" -F grant_type=client_credentials \
	-F client_id="$SAIL_CLIENT_ID" -F client_secret="$SAIL_CLIENT_SECRET" | jq -er .access_token)
api() {
	curl -sS --fail-with-body -H "Authorization: Bearer $token" "$@"
}

if ! launched=$(api "$base/v2025/sources/$source/load-accounts" -F "file=@$file;type=text/csv"); then
	jq -r '(.causes + .messages)[0].text // .error' <<<"$launched" >&2
	exit 1
fi
id=$(jq -er .task.id <<<"$launched")
until task=$(api "$base/task-status/v1/$id") && jq -e '.completionStatus != null' <<<"$task" >/dev/null; do
	sleep "${POLL_SECONDS:-2}"
done

jq -r '"\(.uniqueName): \(.completionStatus)",
	(. as $task | .returns[] | "  \(.attributeName): \($task.attributes[.attributeName] | tostring)"),
	(.messages[] | "  \(.type): \(.localizedText.message)")' <<<"$task"
case $(jq -r .completionStatus <<<"$task") in
SUCCESS) ;;
WARNING) exit 3 ;;
*) exit 1 ;;
esac
