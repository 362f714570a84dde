#!/usr/bin/env python3
"""Writes a CSV file of the tasks that did not end well, newest first.

usage: task_report.py [DAYS] > report.csv

It needs nothing but Python.
"""
import csv
import json
import os
import sys
import urllib.parse
import urllib.request
from datetime import datetime, timedelta, timezone

BASE = os.environ["SAIL_BASE_URL"].rstrip("/")
BAD = 'completionStatus in ("Error","TempError","Terminated","Warning")'


def sign_in():
    """Returns an access token."""
    form = urllib.parse.urlencode({
        "grant_type": "client_credentials",
        "client_id": os.environ["SAIL_CLIENT_ID"],
        "client_secret": os.environ["SAIL_CLIENT_SECRET"],
    })
    with urllib.request.urlopen(BASE + "/oauth/token", data=form.encode()) as answer:
        return json.load(answer)["access_token"]


def page(token, offset):
    """Returns a page of tasks and how many there are in all."""
    query = urllib.parse.urlencode(
        {"limit": 250, "offset": offset, "count": True, "filters": BAD, "sorters": "-created"},
        quote_via=urllib.parse.quote,
    )
    asked = urllib.request.Request(f"{BASE}/task-status/v1?{query}", headers={"Authorization": "Bearer " + token})
    with urllib.request.urlopen(asked) as answer:
        return json.load(answer), int(answer.headers["X-Total-Count"])


def main():
    since = datetime.now(timezone.utc) - timedelta(days=float(sys.argv[1]) if len(sys.argv) > 1 else 1)
    token = sign_in()
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["created", "status", "name", "launcher", "messages"])
    offset = 0
    while True:
        tasks, total = page(token, offset)
        for task in tasks:
            if datetime.strptime(task["created"], "%Y-%m-%dT%H:%M:%S.%f%z") < since:
                return
            texts = "; ".join(m["localizedText"]["message"] for m in task["messages"])
            out.writerow([task["created"], task["completionStatus"], task["uniqueName"], task["launcher"], texts])
        offset += len(tasks)
        if offset >= total or not tasks:
            return


if __name__ == "__main__":
    main()
