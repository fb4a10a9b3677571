#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""SIGHUP drains as SIGTERM does; a second SIGTERM ends the process where it stands, unless it comes together with the first."""

import contextlib
import os
import signal
import socket
import tempfile
import time

from conference_process import Conference
from conference_queue import open_queue, read_options

TOGETHER = 1  # second after which a signal is a second one


def half_a_request(conference):
    """A request that the server has begun to read, and waits for."""
    client = socket.create_connection(("127.0.0.1", conference.port), timeout=10)
    client.sendall(b"POST /api/attendee/register HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                   b"Content-Type: application/json\r\nContent-Length: 27\r\n\r\n")
    assert client.recv(100).startswith(b"HTTP/1.1 100"), "expected to be asked for the body"
    return client


def main():
    options = read_options()
    with tempfile.TemporaryDirectory() as folder:
        conference = Conference(options.conference, folder, open_queue(options, folder))

        def start():
            conference.start("web")
            conference.wait_until_ready()
            return conference.processes["web"]

        process = start()
        with contextlib.closing(half_a_request(conference)) as client:
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGTERM)
            while "stopping on" not in conference.log("web"):
                time.sleep(0.01)
            client.sendall(b'{"email":"ada@example.org"}')
            assert client.recv(1000).startswith(b"HTTP/1.1 202"), "expected what has begun to be finished"
        assert conference.processes.pop("web").wait(30) == 0, conference.log("web")

        os.remove(os.path.join(folder, "web.log"))
        process = start()
        with contextlib.closing(half_a_request(conference)):
            process.send_signal(signal.SIGTERM)
            while "stopping on" not in conference.log("web"):
                time.sleep(0.01)
            time.sleep(TOGETHER)
            process.send_signal(signal.SIGTERM)
            assert conference.processes.pop("web").wait(30) == 128 + signal.SIGTERM, conference.log("web")
    print("ok")


if __name__ == "__main__":
    main()
