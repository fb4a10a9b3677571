#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""What the process does at the limits of its machine: a port that is taken, descriptors that are used up. It says so,
answers the clients that it can, and continues when it has room again."""

import os
import socket
import sqlite3
import subprocess
import tempfile
import time

from conference_process import Conference
from conference_queue import open_queue, read_options

DEADLINE = 30


def register(conference):
    return conference.request("POST", "/api/attendee/register", {"email": "ada@example.org"})[0]


def await_(look, what):
    deadline = time.monotonic() + DEADLINE
    while not look():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def status_of(conference):
    """The status of GET /healthz; none if the connection was closed without an answer."""
    try:
        return conference.request("GET", "/healthz", timeout=5)[0]
    except ConnectionError:
        return None


def relayed(folder):
    with sqlite3.connect(os.path.join(folder, "queue.db")) as queue:
        return queue.execute("SELECT count(*) FROM seen").fetchone()[0]


def port_in_use(options, folder):
    """A start that fails because its port is taken has relayed and handled nothing."""
    conference = Conference(options.conference, folder, open_queue(options, folder))
    conference.start("web")
    conference.wait_until_ready()
    assert register(conference) == 202
    conference.stop("web")
    for name in os.listdir(folder):
        if name.startswith(("queue.db", "events.db-relay", "web.log")):
            os.remove(os.path.join(folder, name))
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", conference.port))
        taken.listen()
        for role in ("web", "all"):
            conference.start(role)
            assert conference.processes.pop(role).wait(DEADLINE) == 1
            assert f"cannot listen on 127.0.0.1:{conference.port}: Address already in use" in conference.log(role)
            assert "this process relays" not in conference.log(role), conference.log(role)
    assert relayed(folder) == 0, relayed(folder)


def secrets_stay_here(options, folder):
    """A start with an address that would get a token or password unencrypted fails, and names it."""
    broker = "Endpoint=sb://{};SharedAccessKeyName=n;SharedAccessKey=k{}"
    emulator = ";UseDevelopmentEmulator=true"
    for arguments, expected in (
            (["--queue", broker.format("broker.example", emulator)], "--queue: connection string: expected TLS, or a loopback "
             "address, because a token or password would travel unencrypted; found 'sb://broker.example:5672/"),
            (["--queue", broker.format("127.0.0.1", emulator), "--queue-management", "http://rest.example"],
             "--queue-management: address of the Service Bus REST API: expected https://host, or http:// with a loopback address, "
             "because what is sent and answered is secret; found 'http://rest.example'")):
        ended = subprocess.run([options.conference, "web", "--listen", "127.0.0.1:0", *arguments], cwd=folder, timeout=DEADLINE,
                               capture_output=True, text=True, check=False)
        assert ended.returncode == 2, ended
        assert f"conference: {expected}" in ended.stderr, ended.stderr


def no_descriptors(options, folder):
    """Without a descriptor for it a client gets a 503 at once, and the log says why."""
    conference = Conference(options.conference, folder, open_queue(options, folder))
    conference.start("all")
    conference.wait_until_ready()
    process = conference.processes["all"].pid
    in_use = len(os.listdir(f"/proc/{process}/fd"))
    subprocess.run(["prlimit", f"--pid={process}", f"--nofile={in_use + 20}"], check=True)
    idle = [socket.create_connection(("127.0.0.1", conference.port)) for _ in range(40)]
    await_(lambda: status_of(conference) in (503, None), "a client without a descriptor is answered")
    await_(lambda: "cannot accept a client: Too many open files" in conference.log("all"), "the log says why")
    for connection in idle:
        connection.close()
    await_(lambda: status_of(conference) == 200, "with descriptors it serves again")
    assert conference.stop("all") == 0


def main():
    options = read_options()
    with open(options.conference, "rb") as program:
        text = program.read()
    is_sanitized = any(name in text for name in (b"__asan_init", b"__tsan_init"))
    if is_sanitized:
        print("without no_descriptors: a sanitizer needs some itself, and takes anything for a fault without")
    checks = (port_in_use, secrets_stay_here)
    for check in checks if is_sanitized else (*checks, no_descriptors):
        with tempfile.TemporaryDirectory() as folder:
            check(options, folder)
        print(check.__name__, "ok")


if __name__ == "__main__":
    main()
