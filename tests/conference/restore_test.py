#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""An older backup of the event store is put back next to a newer relay checkpoint and read model: the web role is not ready, and says
which positions do not fit; the relay sends nothing, so that nothing of what is registered then is lost. After the place and the
queue have been deleted, and the read model was built anew, it shows what is in the log."""

import glob
import os
import shutil
import sqlite3
import tempfile
import time
import uuid

from conference_process import Conference
from conference_queue import open_queue, read_options


def register(conference, count):
    for _ in range(count):
        key = str(uuid.uuid4())
        status, body = conference.request("POST", "/api/attendee/register", {"email": f"{key}@example.org"},
                                          {"Idempotency-Key": key})
        assert status == 202, (status, body)


def await_(look, wanted, what):
    deadline = time.monotonic() + 30
    while (found := look()) != wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found == wanted, f"{what}: expected {wanted}, found {found}"


def listed(conference):
    status, page = conference.as_organiser("GET", "/api/attendees?limit=100")
    assert status == 200, page
    return len(page["attendees"])


def problems(conference):
    try:
        status, body = conference.request("GET", "/readyz")
    except OSError:
        return None
    return {problem["name"]: problem["problem"] for problem in body["problems"]} if status == 503 else {}


def main():
    options = read_options()
    with tempfile.TemporaryDirectory() as folder:
        queue = open_queue(options, folder)
        conference = Conference(options.conference, folder, queue)
        file = lambda name: os.path.join(folder, name)
        conference.start("all")
        conference.wait_until_ready()
        register(conference, 2)
        await_(lambda: listed(conference), 2, "in the read model")
        with sqlite3.connect(file("events.db")) as store, sqlite3.connect(file("backup.db")) as backup:
            store.backup(backup)
        register(conference, 5)
        await_(lambda: listed(conference), 7, "in the read model")
        conference.stop("all")

        for suffix in ("", "-wal", "-shm"):
            for name in glob.glob(file("events.db" + suffix)):
                os.remove(name)
        shutil.copy(file("backup.db"), file("events.db"))
        conference.start("all")
        await_(lambda: sorted(problems(conference) or []), ["read model", "relay"], "what is not in order")
        found = problems(conference)
        assert "position 7" in found["relay"] and "position 2" in found["relay"], found
        assert "position 7" in found["read model"] and "position 2" in found["read model"], found
        register(conference, 7)
        await_(lambda: list(problems(conference)), ["relay"], "what is not in order when the log has grown")
        conference.stop("all")

        for pattern in ("events.db-relay*", "queue.db*"):
            for name in glob.glob(file(pattern)):
                os.remove(name)
        conference.start("all", "--rebuild")
        conference.wait_until_ready()
        await_(lambda: listed(conference), 9, "in the read model, built anew")
        register(conference, 1)
        await_(lambda: listed(conference), 10, "in the read model")
        conference.stop("all")
    print("ok")


if __name__ == "__main__":
    main()
