#!/bin/sh
# Makes the secrets of a new deployment, once.
set -eu
cd "$(dirname "$0")"
if [ -e secrets ]; then
	echo "secrets is there already: another key would make the database useless" >&2
	exit 1
fi
umask 077
mkdir secrets
random() { head -c "$1" /dev/urandom | base64 | tr -d '\n'; }
random 24 | tr '+/' '-_' >secrets/password
chmod 444 secrets/password # of PostgreSQL's own user; this folder lets nobody else through
printf 'postgres://stint:%s@postgres:5432/stint?sslmode=disable\n' "$(cat secrets/password)" >secrets/database
printf 'stint-key-1:%s\n' "$(random 32)" >secrets/key
