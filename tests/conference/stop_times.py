#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""Measures how long each role of the conference takes from SIGTERM to its end, at rest, under load, and while what it works with
has frozen. Prints the table of docs/conference.md; fails if anything takes longer than is promised there.
Usage: stop_times.py CONFERENCE SEND_MESSAGE [STATE...]
Needs PostgreSQL's server, wrk, node with the emulator's packages, and root for the full disk; passes over what is not there.
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import types
import urllib.request

from conference_process import Conference
from conference_queue import SERVICE_BUS_TESTS, open_queue
from postgres_server import PostgresServer, programs
from tcp_proxy import TcpProxy

LIMIT = 30  # seconds that docs/conference.md promises
ROLES = ("web", "worker", "all")
HERE = os.path.dirname(os.path.abspath(__file__))
EMULATOR = os.path.join(SERVICE_BUS_TESTS, "emulator", "main.mjs")
REGISTER = os.path.join(HERE, "..", "..", "benchmarks", "register.lua")


class SilentMailServer:
    """Speaks SMTP up to a point, and is silent from there."""

    def __init__(self, greets):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"smtp://127.0.0.1:{self.listener.getsockname()[1]}"
        self.greets = greets
        self.is_silent = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with contextlib.suppress(OSError):
            if self.greets:
                client.sendall(b"220 here\r\n")
                for line in client.makefile("rb"):
                    client.sendall(b"354 go on\r\n" if line.startswith(b"DATA") else b"250 ok\r\n")
                    if line.startswith(b"DATA"):
                        break
            self.is_silent.set()
            while client.recv(65536):
                pass


class Place:
    """What a state is made in: an installation, and what must end with it."""

    def __init__(self, executable, send_message, stack):
        self.stack = stack
        self.folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="conference-stop-"))
        self.options = types.SimpleNamespace(sqlite=send_message, service_bus=None, identity=False)
        self.queue = open_queue(self.options, self.folder)
        self.conference = Conference(executable, self.folder, self.queue)
        stack.callback(self.kill_all)

    def kill_all(self):
        for role in list(self.conference.processes):
            self.conference.kill(role)

    def file(self, name):
        return os.path.join(self.folder, name)

    def use_emulator(self):
        self.options.service_bus = EMULATOR
        self.queue = self.conference.queue = open_queue(self.options, self.folder)
        self.stack.callback(self.queue.stop)

    def use_postgres(self):
        server = PostgresServer(self.folder)
        self.stack.callback(server.stop)
        proxy = TcpProxy(server.port)
        self.stack.callback(proxy.stop)
        self.conference.store = self.conference.read_model = server.address.replace(f":{server.port}/", f":{proxy.port}/")
        return proxy

    def start(self, role):
        """The role, after a web role that gives a lone worker its work."""
        for each in ("web", "worker") if role == "worker" else (role,):
            self.conference.start(each)
            self.wait_until_ready(each)

    def wait_until_ready(self, role):
        deadline = time.monotonic() + 60
        url = self.conference.url + "/readyz"
        while True:
            if role == "worker":
                found = re.search(r"worker health +(\S+)", self.conference.log(role))
                url = found and found[1]
            with contextlib.suppress(OSError):
                if url and urllib.request.urlopen(url, timeout=5).status == 200:
                    return
            assert self.conference.is_running(role) and time.monotonic() < deadline, self.conference.log(role)
            time.sleep(0.05)

    def register(self):
        status, body = self.conference.request("POST", "/api/attendee/register", {"email": "ada@example.org"}, timeout=60)
        assert status == 202, body
        return body

    def ask_for_mail(self):
        attendee = self.register()["attendeeId"]
        self.conference.request("POST", f"/api/attendee/{attendee}/email", {"email": "new@example.org"})

    def in_background(self, count):
        """Commands that are under way."""
        def run():
            with contextlib.suppress(OSError, AssertionError):
                self.register()
        for _ in range(count):
            threading.Thread(target=run, daemon=True).start()
        time.sleep(0.5)


def idle(place, role):
    place.start(role)


def streams(place, role):
    if role == "worker":
        return None
    place.start("all" if role == "all" else "worker")  # which comes with a web role
    created = place.register()
    attendee = created["attendeeId"]
    place.conference.request("GET", f"/api/attendee/{attendee}?position={created['position']}")
    for _ in range(200):
        client = place.stack.enter_context(socket.create_connection(("127.0.0.1", place.conference.port)))
        client.sendall(f"GET /api/attendee/{attendee}/stream HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        while b"event:" not in client.recv(65536):
            pass


def load(place, role):
    if not shutil.which("wrk"):
        return None
    place.start(role)
    wrk = subprocess.Popen(["wrk", "-t2", "-c64", "-d60", "-s", REGISTER, place.conference.url, "--", "load-"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    place.stack.callback(wrk.wait)
    place.stack.callback(wrk.kill)
    time.sleep(5)


def frozen_postgres(place, role, commands=0):
    if programs() is None:
        return None
    proxy = place.use_postgres()
    place.start(role)
    place.register()
    proxy.freeze()
    place.in_background(commands)
    time.sleep(1)


def frozen_postgres_under_way(place, role):
    return None if role == "worker" else frozen_postgres(place, role, 100)


def silent_mail_server(place, role, greets):
    if role == "web":
        return None
    server = SilentMailServer(greets)
    place.stack.callback(server.listener.close)
    place.conference.mail = server.address
    place.start(role)
    place.ask_for_mail()
    assert server.is_silent.wait(30), "no mail"
    time.sleep(0.2)


def mail_server_after_data(place, role):
    return silent_mail_server(place, role, True)


def mail_server_at_connect(place, role):
    return silent_mail_server(place, role, False)


def frozen_broker(place, role):
    if not shutil.which("node") or not os.path.isdir(os.path.join(SERVICE_BUS_TESTS, "node_modules", "rhea")):
        return None
    place.use_emulator()
    place.start(role)
    emulator = place.queue.process.pid
    os.kill(emulator, signal.SIGSTOP)
    place.stack.callback(os.kill, emulator, signal.SIGCONT)
    place.register()
    time.sleep(1)


def locked(place, role, name):
    if (name, role) in (("events.db", "worker"), ("read-model.db", "web")):
        return None
    place.start(role)
    place.register()
    database = sqlite3.connect(place.file(name), isolation_level=None, check_same_thread=False, timeout=30)
    place.stack.callback(database.close)
    database.execute("BEGIN IMMEDIATE")
    place.in_background(20)
    time.sleep(1)


def locked_store(place, role):
    return locked(place, role, "events.db")


def locked_read_model(place, role):
    return locked(place, role, "read-model.db")


def locked_queue(place, role):
    return locked(place, role, "queue.db")


def full_disk(place, role):
    disk = place.file("disk")
    os.mkdir(disk)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk]).returncode != 0:
        return None
    place.stack.callback(subprocess.run, ["umount", "-l", disk])
    place.conference.store = "sqlite:" + os.path.join(disk, "events.db")
    place.conference.read_model = "sqlite:" + os.path.join(disk, "read-model.db")
    place.start(role)
    place.register()
    with contextlib.suppress(OSError), open(os.path.join(disk, "rest"), "wb", buffering=0) as rest:
        while True:
            rest.write(bytes(4096))
    place.in_background(20)
    time.sleep(1)


STATES = {
    "idle": idle,
    "200 open streams": streams,
    "64 connections that register": load,
    "PostgreSQL frozen": frozen_postgres,
    "PostgreSQL frozen, 100 commands under way": frozen_postgres_under_way,
    "mail server silent after DATA": mail_server_after_data,
    "mail server silent when connected to": mail_server_at_connect,
    "Service Bus frozen": frozen_broker,
    "SQLite store locked": locked_store,
    "SQLite read model locked": locked_read_model,
    "SQLite queue locked": locked_queue,
    "disk full": full_disk,
}


def measure(executable, send_message, prepare, role):
    """Seconds until the end; None if the role knows no such state."""
    with contextlib.ExitStack() as stack:
        place = Place(executable, send_message, stack)
        before = set(place.conference.processes)
        prepare(place, role)
        if place.conference.processes.keys() == before:
            return None
        process = place.conference.processes.pop(role)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(4 * LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = "killed"
        seconds = time.monotonic() - started
        if code != 0:
            print(f"{role} ended with {code}:\n{place.conference.log(role)}", file=sys.stderr)
        return seconds if code == 0 else float("inf")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("conference")
    parser.add_argument("send_message")
    parser.add_argument("state", nargs="*", help="words of the states to measure; all if there are none")
    options = parser.parse_args()
    print("| state | " + " | ".join(f"`{role}`" for role in ROLES) + " | limit |\n|---|" + "---:|" * (len(ROLES) + 1))
    longest = 0
    for name, prepare in STATES.items():
        if options.state and not any(word in name for word in options.state):
            continue
        cells = []
        for role in ROLES:
            seconds = measure(os.path.abspath(options.conference), os.path.abspath(options.send_message), prepare, role)
            longest = max(longest, seconds or 0)
            cells.append("" if seconds is None else f"{seconds:.1f} s")
        print(f"| {name} | " + " | ".join(cells) + f" | {LIMIT} s |", flush=True)
    sys.exit(longest > LIMIT)


if __name__ == "__main__":
    main()
