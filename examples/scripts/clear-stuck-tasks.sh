#!/usr/bin/env bash
# Clears the tasks that have been in progress for too long, and prints their ids.
# It needs curl and jq.
#
# usage: clear-stuck-tasks.sh HOURS [STATUS]
#
# STATUS is what they end with: Terminated (the default), Error, Warning, Success or
# TempError.
set -euo pipefail
: "${SAIL_BASE_URL:?}" "${SAIL_CLIENT_ID:?}" "${SAIL_CLIENT_SECRET:?}"
hours=${1:?usage: clear-stuck-tasks.sh HOURS [STATUS]}
status=${2:-Terminated}
base=${SAIL_BASE_URL%/}

token=$(curl -sS --fail-with-body "$base/oauth/token" -u "$SAIL_CLIENT_ID:$SAIL_CLIENT_SECRET" \
	-d grant_type=client_credentials | jq -er .access_token)
api() {
	curl -sS --fail-with-body -H "Authorization: Bearer $token" "$@"
}

# The oldest first: after the first page that is not full there is nothing more.
stuck=()
for ((offset = 0; ; offset += 250)); do
	page=$(api -G "$base/task-status/v1" -d limit=250 -d offset="$offset" -d sorters=created \
		--data-urlencode 'filters=completionStatus isnull')
	mapfile -t ids < <(jq -r --argjson hours "$hours" '.[]
		| select((.created | sub("\\.[0-9]+Z$"; "Z") | fromdateiso8601) < now - $hours * 3600)
		| .id' <<<"$page")
	stuck+=("${ids[@]}")
	[ "$(jq length <<<"$page")" -eq 250 ] || break
done

patch=$(jq -nc --arg status "$status" '[
	{op: "replace", path: "/completionStatus", value: $status},
	{op: "replace", path: "/completed", value: (now | todateiso8601)}]')
for id in "${stuck[@]}"; do
	api -X PATCH "$base/task-status/v1/$id" -H 'Content-Type: application/json-patch+json' -d "$patch" >/dev/null
	echo "$id"
done
