#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""Commands a second over HTTP, by wrk on 64 and 1,000 kept connections: registrations with the store in memory and in durable
SQLite, against the same server's /healthz. Prints an array of measurements, in JSON.

    conference_http.py CONFERENCE [--rounds N] [--seconds N]
"""

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

from conference_roles import Client, Role

HERE = os.path.dirname(os.path.abspath(__file__))
CONNECTIONS = (64, 1000)


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]


def load(url, connections, seconds, *script):
    """One run of wrk, on one thread: requests a second, the 99th percentile in ms, and errors."""
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency", *script[:2], url, *script[2:]],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    errors = sum(int(number) for number in re.findall(r"(?:connect|read|write|timeout) (\d+)", out))
    errors += sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", out))
    return (float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), milliseconds(re.search(r"^\s+99%\s+(\S+)", out, re.MULTILINE)[1]), errors)


def catch_up(name, server):
    """Waits until nothing is left to do for what was registered before, with which the next would share the cores."""
    gauges = ["conference_relay_lag_events"] + (["conference_projection_lag_events"] if name == "in_memory" else [])
    client = Client(server.port)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        status, metrics = client.ask("GET", "/metrics")
        if status == 200 and all(re.search(rf"^{gauge} 0$", metrics, re.MULTILINE) for gauge in gauges):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{name}: the relay or the read model does not catch up")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("conference")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    folders = [tempfile.TemporaryDirectory(dir=".") for _ in range(2)]
    servers = {"in_memory": Role(options.conference, "all", folders[0].name, ["--store", "memory:", "--queue", "memory:"]),
               "sqlite": Role(options.conference, "web", folders[1].name)}
    runs = {}
    try:
        for count in range(options.rounds):
            for connections in CONNECTIONS:
                register = ["-s", os.path.join(HERE, "register.lua")]
                for name, server in servers.items():
                    for each in servers.items():
                        catch_up(*each)
                    healthz = load(server.url + "/healthz", connections, options.seconds)
                    runs.setdefault(f"http/healthz_beside_{name}/{connections}", []).append(healthz)
                    registered = load(server.url, connections, options.seconds, *register, "--", f"v{count}-{connections}-")
                    runs.setdefault(f"http/{name}/{connections}", []).append(registered)
                    print(f"{name}, {connections} connections: {registered}, /healthz {healthz}", file=sys.stderr, flush=True)
    finally:
        for server in servers.values():
            server.stop()
        for folder in folders:
            folder.cleanup()
    json.dump({name: {"items_per_second": statistics.median(run[0] for run in found),
                      "p99_ms": statistics.median(run[1] for run in found),
                      "errors": sum(run[2] for run in found)} for name, found in runs.items()}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
