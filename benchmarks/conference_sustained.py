#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""What both roles sustain: registrations a second while 64 connections send one after the other, and how far the read model lags
meanwhile. The queue is an SQLite file or the emulator, store and read model are SQLite files or a PostgreSQL server.

    conference_sustained.py CONFERENCE [--postgres] [--service-bus MAIN_MJS] [--seconds N] [--connections N]

Twice a second one more attendee is registered and asked for with its position: the time until the answer is the lag. Prints what
was measured, in JSON: the rate is sustained if the longest lag is below a second.
"""

import argparse
import json
import os
import re
import resource
import sys
import tempfile
import threading
import time

from conference_http import HERE, load
from conference_lag import queue_arguments
from conference_roles import Client, Role

sys.path.append(os.path.join(HERE, "../tests/conference"))
from postgres_server import PostgresServer  # noqa: E402


class Probe(threading.Thread):
    """Registers attendees at leisure, and notes how long each takes to be in the read model."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.client = Client(port)
        self.lags = []
        self.stop = threading.Event()

    def run(self):
        number = 0
        while not self.stop.wait(0.5):
            number += 1
            status, stored = self.client.ask("POST", "/api/attendee/register", {"email": f"probe{number}@example.org"})
            assert status == 202, stored
            began = time.monotonic()
            path = f"/api/attendee/{stored['attendeeId']}?position={stored['position']}"
            while self.client.ask("GET", path)[0] == 503:  # it waits for a few seconds only
                pass
            self.lags.append((time.monotonic() - began) * 1000)


def lag_of(client):
    status, metrics = client.ask("GET", "/metrics")
    assert status == 200, metrics
    return float(re.search(r"^conference_projection_lag_events (\S+)$", metrics, re.MULTILINE)[1])


def measure(options, folder, processes, server):
    arguments = queue_arguments(options.service_bus, processes)
    if server:
        arguments += ["--store", server.address, "--read-model", server.address]
    web = Role(options.conference, "web", folder, arguments)
    processes.append(web.process)
    processes.append(Role(options.conference, "worker", folder, arguments).process)
    register = ["-s", os.path.join(HERE, "register.lua")]
    client = Client(web.port)
    load(web.url, options.connections, 2, *register, "--", "w")  # until all is connected, and the worker's pace known
    while lag_of(client) > 0:
        time.sleep(0.02)
    probe = Probe(web.port)
    probe.start()
    per_second, p99, errors = load(web.url, options.connections, options.seconds, *register, "--", "v")
    probe.stop.set()
    ended = time.monotonic()
    client = Client(web.port)  # the server has closed what was idle for so long
    while lag_of(client) > 0:
        time.sleep(0.02)
    drained = time.monotonic() - ended
    probe.join()
    name = "postgres" if server else "service_bus" if options.service_bus else "embedded"
    return {f"sustained/{name}": {"items_per_second": per_second, "p99_ms": p99, "errors": errors, "seconds": options.seconds,
                                  "longest_ms": max(probe.lags), "drained_ms": drained * 1000}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("conference")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--service-bus", metavar="MAIN_MJS")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    options.conference = os.path.abspath(options.conference)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(dir=".") as folder:
        processes = []
        server = PostgresServer(folder) if options.postgres else None
        try:
            json.dump(measure(options, folder, processes, server), sys.stdout, indent=1)
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()
            if server:
                server.stop()


if __name__ == "__main__":
    main()
