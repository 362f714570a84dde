#!/usr/bin/env python3
"""Clears the tasks that a filter selects, of those in progress.

usage: clear_tasks.py FILTER [--status STATUS] [--yes]

    clear_tasks.py 'launcher eq "sweep"'                  # says what it would clear
    clear_tasks.py 'launcher eq "sweep"' --status Error --yes

It needs nothing but Python.
"""
import argparse
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timezone

BASE = os.environ["SAIL_BASE_URL"].rstrip("/")


def request(path, token=None, method="GET", body=None, content_type=None):
    """Sends a request and returns what its answer says."""
    headers = {"Accept": "application/json"}
    if token:
        headers["Authorization"] = "Bearer " + token
    if content_type:
        headers["Content-Type"] = content_type
    asked = urllib.request.Request(BASE + path, data=body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as err:
        sys.exit(f"{method} {path}: {err.code} {err.read().decode()}")


def sign_in():
    """Returns an access token."""
    form = urllib.parse.urlencode({
        "grant_type": "client_credentials",
        "client_id": os.environ["SAIL_CLIENT_ID"],
        "client_secret": os.environ["SAIL_CLIENT_SECRET"],
    })
    return request("/oauth/token", method="POST", body=form.encode())["access_token"]


def in_progress(token, selected):
    """Returns the tasks in progress that a filter selects."""
    tasks = []
    while True:
        query = urllib.parse.urlencode({
            "filters": f"completionStatus isnull and ({selected})",
            "sorters": "created",
            "offset": len(tasks),
        })
        page = request("/task-status/v1?" + query, token)
        tasks += page
        if len(page) < 250:
            return tasks


def clear(token, task, status):
    """Ends a task, now."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    patch = [
        {"op": "replace", "path": "/completionStatus", "value": status},
        {"op": "replace", "path": "/completed", "value": now},
    ]
    return request(f"/task-status/v1/{task['id']}", token, "PATCH", json.dumps(patch).encode(), "application/json-patch+json")


def main():
    parser = argparse.ArgumentParser(description="Clears the tasks that a filter selects, of those in progress.")
    parser.add_argument("filter", help='like: launcher eq "sweep"')
    parser.add_argument("--status", default="Success", help="what they end with (default: Success)")
    parser.add_argument("--yes", action="store_true", help="clear them; without it, only say which")
    args = parser.parse_args()
    token = sign_in()
    for task in in_progress(token, args.filter):
        if args.yes:
            task = clear(token, task, args.status)
        print(task["id"], task["completionStatus"] or "in progress", task["uniqueName"])


if __name__ == "__main__":
    main()
