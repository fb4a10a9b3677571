#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""The event store, and then the queue, can be read and not be written: here because another program holds the file's lock, as
with a full disk. /readyz names it while commands, or the relay, fail; and all goes on when the file can be written again."""

import contextlib
import os
import sqlite3
import tempfile

from conference_process import Conference
from conference_queue import open_queue, read_options
from restore_test import await_, problems, register


@contextlib.contextmanager
def locked(path):
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("ROLLBACK")


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
    print("ok")


if __name__ == "__main__":
    main()
