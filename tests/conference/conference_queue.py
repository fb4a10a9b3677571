# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""The queues that tests run the conference with: an SQLite file, or the Service Bus emulator. Standard library only."""

import argparse
import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request

from token_server import TokenServer

SERVICE_BUS_TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "service_bus")


def add_queue_options(parser):
    queue = parser.add_mutually_exclusive_group(required=True)
    queue.add_argument("--sqlite", metavar="SEND_MESSAGE",
                       help="the queue is an SQLite file; the program puts messages into it")
    queue.add_argument("--service-bus", metavar="MAIN_MJS", help="the queue is one of the emulator, which is started")
    parser.add_argument("--identity", action="store_true",
                        help="over TLS, with tokens of a managed identity instead of a key; with --service-bus")


def open_queue(options, folder):
    if options.service_bus:
        return ServiceBusQueue(folder, options.service_bus, options.identity)
    return SqliteQueue(folder, options.sqlite)


def skip_without_programs(options, *programs):
    """Exits with 77 where the queue, or one of the programs, can't be run, and says what is missing."""
    missing = [name for name in programs if not shutil.which(name)]
    if options.service_bus:
        if not shutil.which("node"):
            missing.append("node")
        if options.identity and not shutil.which("openssl"):
            missing.append("openssl")
        packages = (os.path.join(SERVICE_BUS_TESTS, "node_modules", name) for name in ("rhea", "@azure/service-bus"))
        if not all(os.path.isdir(package) for package in packages):
            missing.append("tests/service_bus/node_modules (npm ci)")
    if missing:
        print(f"skipped: not installed: {', '.join(missing)}")
        sys.exit(77)


def read_options():
    """The command line of a test that takes the conference and its queue. Exits with 77 where the queue can't be run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("conference")
    add_queue_options(parser)
    options = parser.parse_args()
    skip_without_programs(options)
    return options


def wait_for(look, wanted, seconds):
    deadline = time.monotonic() + seconds
    while (found := look()) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found == wanted, f"expected {wanted} in the queue, found {found}"


class SqliteQueue:
    """A file that both roles share."""

    files = ["queue.db"]
    faults = ()
    poison_id = "poison-0"

    def __init__(self, folder, send_message):
        self.path = os.path.join(folder, self.files[0])
        self.send_message = send_message
        self.arguments = ["--queue", "sqlite:" + self.path]

    def send_poison(self, body):
        """Puts a message on the queue that is no event."""
        subprocess.run([self.send_message, self.path, self.poison_id, body], check=True)

    def counts(self):
        with contextlib.closing(sqlite3.connect(self.path)) as database:
            count = lambda table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            return {"messages": count("message"), "deadLettered": count("dead_letter")}

    def check_left(self, dead_letters):
        """Nothing is left but so many dead letters. What a killed worker held is locked for another minute."""
        wait_for(self.counts, {"messages": 0, "deadLettered": dead_letters}, 90)

    def check_stored_once(self, messages):
        """What was completed has left nothing here that could be counted."""

    def summary(self):
        return "an SQLite file"

    def log(self):
        return ""

    def stop(self):
        pass


class ServiceBusQueue:
    """A queue in the emulator, which runs as long as this object does. The conference creates the queue."""

    files = []
    poison_id = "poison-0"
    name = "registrations"
    key = "key-of-a-test"

    def __init__(self, folder, emulator, with_identity):
        self.fault_counts = {}
        self.tokens = None
        self.complaints = os.path.join(folder, "emulator.log")
        command = ["node", emulator, "--key", self.key, "--entra-key", self.key]
        if with_identity:
            certificate, private_key = (os.path.join(folder, name) for name in ("certificate.pem", "key.pem"))
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                            "-keyout", private_key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
            command += ["--certificate", certificate, "--private-key", private_key]
        with open(self.complaints, "wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        try:
            self.ports = self._read_ports()
        except BaseException:
            self.stop()
            raise
        self.connection_string = (f"Endpoint=sb://127.0.0.1:{self.ports['amqp']};"
                                  f"SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey={self.key};"
                                  "UseDevelopmentEmulator=true")
        self.arguments = ["--queue", self.connection_string, "--queue-name", self.name,
                          "--queue-management", f"http://127.0.0.1:{self.ports['rest']}"]
        if with_identity:
            self.tokens = TokenServer(self.key, "conference")
            self.control("PUT", "/identities/conference", {"rights": ["Manage", "Send", "Listen"]})
            self.arguments = ["--queue", f"sb://localhost:{self.ports['amqps']}/{self.name}", "--azure-identity", "managed",
                              "--queue-management", f"https://localhost:{self.ports['rest']}",
                              "--queue-certificates", certificate]
        # What a crash test does to it, besides killing those who use it.
        self.faults = [self.drop_connections, self.detach_links, self.lose_outcome]

    def _read_ports(self, seconds=15):
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        try:
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            raise AssertionError(f"the emulator did not start:\n{self.log()}")
        return json.loads(line)

    def control(self, method, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports['control']}{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=15) as response:
            return json.load(response)

    def _fault(self, name, body):
        self.fault_counts[name] = self.fault_counts.get(name, 0) + 1
        self.control("POST", "/faults/" + name, body)

    def drop_connections(self):
        """Ends every connection without a word."""
        self._fault("drop", {})

    def detach_links(self):
        """Detaches every link; the connections stay."""
        self._fault("detach", {"condition": "amqp:link:detach-forced"})

    def lose_outcome(self):
        """Stores the next message that comes, and ends its sender's connection instead of confirming it."""
        self._fault("lose-outcomes", {"count": 1})

    def send_poison(self, body):
        """Puts a message on the queue that is no event, with Microsoft's SDK."""
        peer = os.path.join(SERVICE_BUS_TESTS, "sdk", "peer.mjs")
        subprocess.run(["node", peer, "send", "--connection-string", self.connection_string, "--queue", self.name,
                        "--count", "1", "--prefix", "poison", "--sessions", "1", "--body", body],
                       check=True, stdout=subprocess.DEVNULL)

    def check_left(self, dead_letters):
        """Nothing waits, is locked, scheduled or deferred, and nothing is left but so many dead letters."""
        wanted = dict.fromkeys(("active", "locked", "scheduled", "deferred", "sessions"), 0)
        wait_for(lambda: self.control("GET", "/queues/" + self.name), wanted | {"deadLettered": dead_letters}, 20)

    def check_stored_once(self, messages):
        """So many messages were ever stored: what was sent again, its outcome unknown, was dropped as a duplicate."""
        stats = self.control("GET", "/stats")
        stored = stats["transfersIn"] - stats["duplicatesDropped"]
        assert stored == messages, f"expected {messages} messages stored by the queue, found {stored}: {stats}"
        lost = self.fault_counts.get("lose-outcomes", 0)
        assert not lost or stats["duplicatesDropped"] > 0, f"{lost} outcomes lost, and nothing was sent again: {stats}"

    def summary(self):
        stats = self.control("GET", "/stats")
        faults = ", ".join(f"{count} times {name}" for name, count in sorted(self.fault_counts.items()))
        keys = f"{self.tokens.requests} requests for tokens, " if self.tokens else ""
        return (f"the Service Bus emulator ({stats['connections']} connections, {keys}"
                f"{stats['duplicatesDropped']} duplicates dropped; {faults or 'no faults'})")

    def log(self):
        """What the emulator complained of; that a connection ended before it opened, as the AMQP stack says, is none."""
        with open(self.complaints, errors="replace") as file:
            text = file.read()
        # Of a client that was killed, it says so in one line, or in a stack trace and an object in braces.
        disconnected = r"^\[connection-\d+\] disconnected.*\n(?:    at .*\n)*(?:(?<=\{\n)(?:  .*\n)*\}\n)?"
        text = re.sub(disconnected, "", text, flags=re.M)
        return "\n".join(line for line in text.splitlines() if line.strip())[-4000:]

    def stop(self):
        if self.tokens:
            self.tokens.stop()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
