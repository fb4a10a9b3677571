#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""Two web and three worker processes share one PostgreSQL, which has the events and the read model, and people register.
Web, worker, and the server itself are killed with SIGKILL again and again; then the log, the read model and the mails must
agree with what was answered.
Usage: postgres_crash_test.py CONFERENCE (--sqlite SEND_MESSAGE | --service-bus MAIN_MJS) [--kills N] [--seed N]
"""

import argparse
import glob
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

from conference_process import Conference, free_port
from conference_queue import add_queue_options, open_queue, skip_without_programs
from crash_test import Visitor, check_files, verify, verify_mails
from postgres_server import PostgresServer, skip_without_server

# What the roles need, when the tables have been made by their owner: docs/postgres.md.
GRANTS = """
    GRANT USAGE ON SCHEMA escqrs, conference TO application;
    GRANT SELECT ON ALL TABLES IN SCHEMA escqrs TO application;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA escqrs TO application;
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA escqrs TO application;
    GRANT INSERT (stream, version, recorded_at, index_in_append, kind, id, metadata, payload)
        ON escqrs.events TO application;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA conference TO application;
"""

WEBS = ["web1", "web2"]
WORKERS = ["worker1", "worker2", "worker3"]


class ManyProcesses(Conference):
    """Any number of processes of each role; a request goes to any of the pages."""

    def __init__(self, executable, folder, queue, address):
        super().__init__(executable, folder, queue)
        self.address = address
        self.ports = {name: free_port() for name in WEBS}
        self.restarts = 0

    def start(self, name):
        command = [
            self.executable, name.rstrip("0123456789"),
            "--store", self.address,
            "--read-model", self.address,
            "--mail", "dir:" + self.mail_folder,
            "--public-url", "http://127.0.0.1",
            "--organiser-token", self.token,
        ] + self.queue.arguments
        if name in self.ports:
            command += ["--listen", f"127.0.0.1:{self.ports[name]}"]
        with open(os.path.join(self.folder, name + ".log"), "ab") as log:
            self.processes[name] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def start_again_what_gave_up(self):
        """As an orchestrator does: a process that finds no database at its start ends with 1."""
        for name, process in list(self.processes.items()):
            code = process.poll()
            if code is not None:
                assert code == 1, f"{name} ended with {code}:\n{self.log(name)}"
                self.restarts += 1
                self.start(name)

    def request(self, *arguments, **named):
        self.port = random.choice(list(self.ports.values()))
        return super().request(*arguments, **named)

    def wait_until_all_ready(self, seconds=60):
        deadline = time.monotonic() + seconds
        for port in self.ports.values():
            while True:
                self.start_again_what_gave_up()
                try:
                    page = Conference(self.executable, self.folder, self.queue)
                    page.port = port
                    if page.request("GET", "/readyz")[0] == 200:
                        break
                except OSError:
                    pass
                assert time.monotonic() < deadline, "not ready:\n" + "\n".join(self.log(name) for name in self.ports)
                time.sleep(0.05)


def run_once_as_owner(conference, server):
    """Makes the tables, and lets a role use them that can do nothing else."""
    for name in WEBS:
        conference.start(name)
    conference.wait_until_all_ready()
    codes = conference.stop_all()
    assert set(codes.values()) == {0}, codes
    server.query(f"CREATE ROLE application LOGIN PASSWORD '{server.password}'; {GRANTS}")


def torment(conference, server, kills, chance):
    actions = ["web", "worker"] * kills + ["server"] * max(kills // 3, 2)
    chance.shuffle(actions)
    actions.insert(len(actions) // 2, "poison")
    for action in actions:
        time.sleep(chance.uniform(0.05, 0.9))
        conference.start_again_what_gave_up()
        if action == "poison":
            conference.queue.send_poison("<b>not an event</b>")
        elif action == "server":
            server.kill()
            time.sleep(chance.choice([0, 0.2, 1]))
            server.start()
        else:
            name = chance.choice(WEBS if action == "web" else WORKERS)
            conference.kill(name)
            time.sleep(chance.choice([0, 0, 0.2]))
            conference.start(name)


def check_relay_moves(conference, server):
    """Kills the process that relays: the other web process must take over."""
    def relaying():
        """The name of the process; None if there is none, or it was killed and its lease has not run out yet."""
        found = server.query("SELECT holder FROM conference.leases WHERE expires_at > clock_timestamp()")
        assert len(found) <= 1, f"expected one process at most that relays, found {len(found)}"
        pids = [int(holder.split(":")[1]) for [holder] in found]  # a holder is HOST:PROCESS:NUMBER
        living = conference.processes.items()
        return next((name for name, process in living if name in WEBS and process.pid in pids), None)

    def wait_for_another(than):
        deadline = time.monotonic() + 30
        while (now := relaying()) is None or now == than:
            assert time.monotonic() < deadline, "no process took over the relay"
            time.sleep(0.1)
        return now

    before = wait_for_another(None)
    conference.kill(before)
    wait_for_another(before)
    conference.start(before)
    conference.wait_until_all_ready()


def check_read_model(server, expected):
    """The tables themselves: each stream once, as far as its history goes."""
    streams = {stream: int(version) for stream, version in
               server.query("SELECT stream, version FROM conference.stream_checkpoints")}
    wanted = {"attendee-" + attendee: len(events) for attendee, events in expected.items()}
    assert streams == wanted, f"expected {len(wanted)} streams, found {len(streams)}"
    stored = int(server.query("SELECT count(*) FROM escqrs.events")[0][0])
    assert stored == sum(wanted.values()), f"expected {sum(wanted.values())} events in the log, found {stored}"


def check_password_is_unseen(folder, password):
    for path in glob.glob(os.path.join(folder, "*.log")):
        with open(path, errors="replace") as file:
            assert password not in file.read(), f"the password is in {path}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("conference")
    add_queue_options(parser)
    parser.add_argument("--kills", type=int, default=15, help="of each role")
    parser.add_argument("--visitors", type=int, default=8)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    skip_without_programs(options)
    skip_without_server()
    print(f"seed {options.seed}", flush=True)

    with tempfile.TemporaryDirectory(prefix="conference-postgres-") as folder:
        server = PostgresServer(folder)
        queue = open_queue(options, folder)
        conference = ManyProcesses(options.conference, folder, queue, server.address)
        try:
            run_once_as_owner(conference, server)
            conference.address = server.address_of("application")
            for name in WEBS + WORKERS:
                conference.start(name)
            conference.wait_until_all_ready()
            stop = threading.Event()
            visitors = [Visitor(conference, number, options.seed + number, stop) for number in range(options.visitors)]
            for visitor in visitors:
                visitor.start()
            torment(conference, server, options.kills, random.Random(options.seed))
            time.sleep(1)
            conference.wait_until_all_ready()
            check_relay_moves(conference, server)
            stop.set()
            for visitor in visitors:
                visitor.join(150)
                assert not visitor.is_alive(), "a visitor hangs"
                if visitor.failure:
                    raise visitor.failure
            expected = {}
            for visitor in visitors:
                expected.update(visitor.expected)
            events = verify(conference, expected)
            check_read_model(server, expected)
            verify_mails(conference, expected)
            codes = conference.stop_all()
            assert set(codes.values()) == {0}, codes
            mails = verify_mails(conference, expected)  # nothing came late
            assert queue.log() == "", f"the queue complained:\n{queue.log()}"
            check_files(folder, queue.files)
            check_password_is_unseen(folder, server.password)
            retries = sum(visitor.retries for visitor in visitors)
            print(f"{options.kills} kills of each role, {len(expected)} attendees, {events} events, {mails} mails, "
                  f"{retries} commands sent again, {conference.restarts} processes that found no database; "
                  f"queue: {queue.summary()}: nothing lost, nothing doubled")
        except BaseException:
            for name in list(conference.processes):
                print(f"--- {name}\n{conference.log(name)}", file=sys.stderr)
                conference.kill(name)
            print(f"--- queue\n{queue.log()}\n--- server\n{server.log()}", file=sys.stderr)
            raise
        finally:
            queue.stop()
            server.stop()


if __name__ == "__main__":
    main()
