#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""From the 202 of a command to its event in the read model: both roles, the queue an SQLite file or the emulator, store and read
model in SQLite files or a PostgreSQL server.

    conference_lag.py CONFERENCE [--postgres] [--service-bus MAIN_MJS] [--count N] [--rate COMMANDS_PER_SECOND]

Registers attendees at a steady rate and asks at once for each with its position, which is answered when the read model
has reached it. Prints what was measured, in JSON.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from conference_roles import Client, Role

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/conference"))
from postgres_server import PostgresServer  # noqa: E402


def measure(port, count, rate, lags, lock, start):
    client = Client(port)
    for number in range(count):
        time.sleep(max(0.0, start + number / rate - time.monotonic()))
        status, stored = client.ask("POST", "/api/attendee/register", {"email": f"visitor{number}@example.org"})
        assert status == 202, stored
        began = time.monotonic()
        status, seen = client.ask("GET", f"/api/attendee/{stored['attendeeId']}?position={stored['position']}")
        assert status == 200, seen
        with lock:
            lags.append((time.monotonic() - began) * 1000)


def queue_arguments(main_mjs, processes):
    if not main_mjs:
        return []
    emulator = subprocess.Popen(["node", main_mjs, "--key", "lag"], stdout=subprocess.PIPE, text=True)
    processes.append(emulator)
    ports = json.loads(emulator.stdout.readline())
    return ["--queue", f"Endpoint=sb://127.0.0.1:{ports['amqp']}/;SharedAccessKeyName=RootManageSharedAccessKey;"
            "SharedAccessKey=lag;EntityPath=lag;UseDevelopmentEmulator=true",
            "--queue-management", f"http://127.0.0.1:{ports['rest']}"]


def run(options, folder, processes, server):
    arguments = queue_arguments(options.service_bus, processes)
    if server:
        arguments += ["--store", server.address, "--read-model", server.address]
    web = Role(options.conference, "web", folder, arguments)
    processes.append(web.process)
    processes.append(Role(options.conference, "worker", folder, arguments).process)
    port = web.port
    measure(port, 20, 20, [], threading.Lock(), time.monotonic())  # until all is connected
    lags, lock, start = [], threading.Lock(), time.monotonic()
    threads = [threading.Thread(target=measure,  # in turn, not all at once
                                args=(port, options.count // 8, options.rate / 8, lags, lock, start + place / options.rate))
               for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    percentiles = statistics.quantiles(lags, n=100)
    name = "postgres" if server else "service_bus" if options.service_bus else "embedded"
    json.dump({f"lag/{name}": {"p50_ms": percentiles[49], "p99_ms": percentiles[98], "longest_ms": max(lags)}}, sys.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("conference")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--service-bus", metavar="MAIN_MJS")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--rate", type=int, default=100)
    options = parser.parse_args()
    options.conference = os.path.abspath(options.conference)
    with tempfile.TemporaryDirectory() as folder:
        processes = []
        server = PostgresServer(folder) if options.postgres else None
        try:
            run(options, folder, processes, server)
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()
            if server:
                server.stop()


if __name__ == "__main__":
    main()
