#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""What open event streams cost commands: registrations a second over HTTP, by wrk on 64 and 1,000 kept connections, with no stream
open and with a thousand. Both roles in one process, with everything in memory and in SQLite. Prints a table.

    conference_streams.py CONFERENCE [--rounds N] [--seconds N] [--streams N]
"""

import argparse
import os
import resource
import socket
import statistics
import tempfile
import time

from conference_http import CONNECTIONS, HERE, load
from conference_roles import Client, Role

STORES = {"in memory": ["--store", "memory:", "--queue", "memory:"], "SQLite": []}


def watched_attendees(server, count):
    client = Client(server.port)
    answers = [client.ask("POST", "/api/attendee/register", {"email": f"watched{number}@example.org"}) for number in range(count)]
    assert all(status == 202 for status, _ in answers), answers
    return [answer["attendeeId"] for _, answer in answers]


def open_stream(server, attendee):
    """A connection that reads one event stream, or leaves it to the kernel's buffers."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.sendall(f"GET /api/attendee/{attendee}/stream HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    answer = b""
    while b"\r\n" not in answer:
        answer += connection.recv(4096)
    assert b" 200 " in answer.split(b"\r\n")[0], answer
    return connection


def measure(conference, arguments, streams, seconds, runs):
    with tempfile.TemporaryDirectory(dir=".") as folder:
        server = Role(conference, "all", folder, arguments)
        try:
            attendees = watched_attendees(server, 50)
            time.sleep(0.5)  # until they can be queried
            connections = [open_stream(server, attendees[number % len(attendees)]) for number in range(streams)]
            for count in CONNECTIONS:
                register = ["-s", os.path.join(HERE, "register.lua")]
                runs.setdefault((count, streams), []).append(load(server.url, count, seconds, *register, "--", f"v{count}-"))
            for connection in connections:
                connection.close()
        finally:
            server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("conference")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=1000)
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print("| store | connections | open streams | registrations/s | 99 % within | errors |\n|---|---:|---:|---:|---:|---:|")
    for name, arguments in STORES.items():
        runs = {}
        for _ in range(options.rounds):
            for streams in (0, options.streams):
                measure(options.conference, arguments, streams, options.seconds, runs)
        for (connections, streams), found in sorted(runs.items()):
            rate, p99 = (statistics.median(run[index] for run in found) for index in (0, 1))
            print(f"| {name} | {connections:,} | {streams:,} | {rate:,.0f} | {p99:.0f} ms | {sum(run[2] for run in found)} |", flush=True)


if __name__ == "__main__":
    main()
