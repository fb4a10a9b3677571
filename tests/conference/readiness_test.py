#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""The event store, and then the queue, can be read and not be written: here because another program holds the file's lock, as
with a full disk. /readyz names it while commands, or the relay, fail; and all goes on when the file can be written again.
The same with pages of the event store, and of the read model, that are damaged."""

import contextlib
import os
import sqlite3
import tempfile

from conference_process import Conference
from conference_queue import open_queue, read_options
from restore_test import await_, listed, problems, register


@contextlib.contextmanager
def locked(path):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("ROLLBACK")


PAGE_SIZE = 4096


@contextlib.contextmanager
def damaged(path, text):
    """Overwrites the pages that hold a text."""
    with open(path, "rb") as file:
        whole = file.read()
    pages = {index // PAGE_SIZE for index in range(len(whole)) if whole.startswith(text, index)}
    assert pages, text
    with open(path, "r+b") as file:
        for page in pages:
            file.seek(page * PAGE_SIZE)
            file.write(b"\xff" * PAGE_SIZE)
    yield
    with open(path, "r+b") as file:
        file.write(whole)


def check_damage(conference, folder):
    """Of pages in the middle of a file, which no readiness check reads by itself."""
    email = "page@example.org"
    status, body = conference.request("POST", "/api/attendee/register", {"email": email})
    assert status == 202, (status, body)
    path = f"/api/attendee/{body['attendeeId']}"
    register(conference, 60)
    await_(lambda: listed(conference), 63, "in the read model")
    for name, file, history in (("event store", "events.db", "/history"), ("read model", "read-model.db", "")):
        assert conference.stop("all") == 0
        with damaged(os.path.join(folder, file), email.encode()):
            conference.start("all")
            conference.wait_until_ready()
            status, _ = conference.request("GET", path + history)
            assert status == 503, status
            assert list(problems(conference)) == [name], problems(conference)
            assert conference.stop("all") == 0
        conference.start("all")
        conference.wait_until_ready()
        status, _ = conference.request("GET", path + history)
        assert status == 200, status
        assert problems(conference) == {}, problems(conference)


def main():
    options = read_options()
    with tempfile.TemporaryDirectory() as folder:
        queue = open_queue(options, folder)
        conference = Conference(options.conference, folder, queue)
        conference.start("web")
        conference.wait_until_ready()
        with locked(os.path.join(folder, "events.db")):
            status, _ = conference.request("POST", "/api/attendee/register", {"email": "ada@example.org"}, timeout=40)
            assert status == 503, status
            await_(lambda: list(problems(conference)), ["event store"], "what is not in order")
        register(conference, 1)
        await_(lambda: problems(conference), {}, "what is not in order when the store can be written")
        with locked(queue.path):
            register(conference, 1)
            await_(lambda: list(problems(conference)), ["relay"], "what is not in order")
        await_(lambda: problems(conference), {}, "what is not in order when the queue can be written")
        assert queue.counts()["messages"] == 2, queue.counts()
        assert conference.stop("web") == 0
        conference.start("all")
        conference.wait_until_ready()
        check_damage(conference, folder)
        assert conference.stop("all") == 0
    print("ok")


if __name__ == "__main__":
    main()
