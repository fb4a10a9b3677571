#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""Kills the web role and the worker role with SIGKILL again and again while people register, and counts what was lost or
doubled. Usage: crash_test.py CONFERENCE (--sqlite SEND_MESSAGE | --service-bus MAIN_MJS) [--kills N] [--seed N]

Each visitor sends a command again, with the same Idempotency-Key, until it is answered. So the history of every attendee is
known exactly, whatever was killed in between: at the end the store, the read model and the mails must agree with it. A
message that is no event goes the same way, and must be the only one dead-lettered.

Over Service Bus the broker fails as well: it drops all connections, detaches all links, and keeps outcomes to itself.
"""

import argparse
import email
import email.policy
import glob
import os
import random
import re
import sqlite3
import sys
import tempfile
import threading
import time
import uuid

from conference_process import Conference
from conference_queue import add_queue_options, open_queue, skip_without_programs


class Visitor(threading.Thread):
    """Registers attendees and changes, confirms and gives back their registrations, until told to stop."""

    def __init__(self, conference, number, seed, stop):
        super().__init__(daemon=True)
        self.conference = conference
        self.number = number
        self.random = random.Random(seed)
        self.stop_event = stop
        self.expected = {}  # attendee id -> list of (type, data)
        self.failure = None
        self.retries = 0

    def run(self):
        try:
            count = 0
            while not self.stop_event.is_set():
                self.live(count)
                count += 1
        except Exception as error:  # reported by the main thread
            self.failure = error

    def command(self, method, path, body):
        """Sends one command until it is answered; the answer may come from an earlier try."""
        key = str(uuid.uuid4())
        deadline = time.monotonic() + 120
        while True:
            try:
                status, answer = self.conference.request(method, path, body, {"Idempotency-Key": key})
            except OSError:
                status, answer = 0, "no answer"
            if status == 202:
                return answer
            if status not in (0, 503):
                raise AssertionError(f"{method} {path}: {status} {answer}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{method} {path}: no answer within two minutes, last {status} {answer}")
            self.retries += 1
            time.sleep(0.02)

    def live(self, count):
        address = f"visitor{self.number}.{count}@example.org"
        answer = self.command("POST", "/api/attendee/register", {"email": address})
        attendee = answer["attendeeId"]
        events = self.expected[attendee] = [("AttendeeRegistered", {"email": address})]
        self.check_version(answer, events)
        for change in range(self.random.randrange(3)):
            new_address = f"visitor{self.number}.{count}.{change}@example.net"
            answer = self.command("POST", f"/api/attendee/{attendee}/email", {"email": new_address})
            events.append(("EmailChangeRequested", {"email": new_address}))
            self.check_version(answer, events)
            if self.random.random() < 0.4:
                confirmation = self.confirmation_id(attendee, new_address)
                answer = self.command("POST", f"/api/attendee/{attendee}/email/{confirmation}", None)
                events.append(("EmailChangeConfirmed", {"email": new_address}))
                self.check_version(answer, events)
        if self.random.random() < 0.3:
            answer = self.command("DELETE", f"/api/attendee/{attendee}", {"reason": "other plans"})
            events.append(("AttendeeUnregistered", {"reason": "other plans"}))
            self.check_version(answer, events)

    def check_version(self, answer, events):
        if answer["version"] != len(events):
            raise AssertionError(f"answered version {answer['version']} after {len(events)} commands: {answer}")

    def confirmation_id(self, attendee, address):
        """Waits for the mail, as a person would."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            for mail in read_mails(self.conference.mail_folder):
                if mail["to"] == address:
                    assert attendee not in mail["text"], "the mail to a new address hands over the registration"
                    return mail["confirm"]
            time.sleep(0.1)
        raise AssertionError(f"no mail to {address} within two minutes")


mail_cache = {}
mail_lock = threading.Lock()


def read_mails(folder):
    with mail_lock:
        for path in glob.glob(os.path.join(folder, "*.eml")):
            if path in mail_cache:
                continue
            with open(path, "rb") as file:
                message = email.message_from_binary_file(file, policy=email.policy.default)
            link = re.search(r"#(confirm|registration)=([0-9a-f-]{36})\n", message.get_content())
            assert link, f"no link in {path}"
            mail_cache[path] = {"to": message["To"].addresses[0].addr_spec, link[1]: link[2],
                                "text": message.as_string()}
        return list(mail_cache.values())


def fold(events):
    """What the read model must show of an attendee with this history."""
    state = {"status": "registered", "email": None, "pendingEmail": None, "reason": None, "version": len(events)}
    for kind, data in events:
        if kind == "AttendeeRegistered":
            state["email"] = data["email"]
        elif kind == "EmailChangeRequested":
            state["pendingEmail"] = data["email"]
        elif kind == "EmailChangeConfirmed":
            state["email"], state["pendingEmail"] = data["email"], None
        elif kind == "AttendeeUnregistered":
            state["status"], state["reason"] = "unregistered", data["reason"]
    return state


def verify(conference, expected):
    positions = set()
    for attendee, events in expected.items():
        status, answer = conference.request("GET", f"/api/attendee/{attendee}/history")
        assert status == 200, (status, answer)
        history = answer["events"]
        assert [(e["type"], e["data"]) for e in history] == events, f"{attendee}: expected {events}, found {history}"
        assert [e["version"] for e in history] == list(range(1, len(events) + 1)), history
        positions.update(e["position"] for e in history)
        last = history[-1]["position"]
        for attempt in range(20):
            status, view = conference.request("GET", f"/api/attendee/{attendee}?position={last}", timeout=60)
            if status != 503:
                break
        assert status == 200, f"{attendee} at position {last} of the log: {status} {view}"
        wanted = fold(events)
        assert {key: view[key] for key in wanted} == wanted, f"{attendee}: expected {wanted}, found {view}"

    total = sum(len(events) for events in expected.values())
    assert len(positions) == total, f"expected {total} different positions, found {len(positions)}"

    seen, after = set(), ""
    while after is not None:
        status, page = conference.as_organiser("GET", f"/api/attendees?limit=500&after={after}")
        assert status == 200, (status, page)
        ids = [view["attendeeId"] for view in page["attendees"]]
        assert not seen.intersection(ids), "an attendee is on two pages"
        seen.update(ids)
        after = page["next"]
    assert seen == set(expected), f"the read model has {len(seen)} attendees, expected {len(expected)}"

    status, dead = conference.as_organiser("GET", "/api/dead-letters")
    assert status == 200, (status, dead)
    assert [letter["messageId"] for letter in dead["deadLetters"]] == [conference.queue.poison_id], dead

    conference.queue.check_left(dead_letters=1)
    conference.queue.check_stored_once(total + 1)
    return total


def verify_mails(conference, expected):
    """Each registration and each request for another address has one mail; it may have none if a later event made it
    useless."""
    asked, needed, keys = set(), set(), {}
    for attendee, events in expected.items():
        address = events[0][1]["email"]
        asked.add(address)
        keys[address] = attendee
        if not {"EmailChangeConfirmed", "AttendeeUnregistered"} & {kind for kind, _ in events}:
            needed.add(address)
        for (kind, data), following in zip(events, events[1:] + [("nothing", {})]):
            if kind == "EmailChangeRequested":
                asked.add(data["email"])
                if following[0] in ("nothing", "EmailChangeConfirmed"):
                    needed.add(data["email"])
    found = lambda: [mail["to"] for mail in read_mails(conference.mail_folder)]
    deadline = time.monotonic() + 60
    while not needed <= set(found()) and time.monotonic() < deadline:
        time.sleep(0.1)
    mails = found()
    assert len(mails) == len(set(mails)), "a mail was handed out twice"
    for mail in read_mails(conference.mail_folder):
        assert mail.get("registration") == keys.get(mail["to"]), f"the key in the mail to {mail['to']} is another one"
    assert needed <= set(mails) <= asked, f"expected {len(needed)} to {len(asked)} mails, found {len(mails)}"
    # Only of a mail that became useless between a kill and the next attempt does the half-written file stay.
    names = [name.split(".", 1) for name in os.listdir(conference.mail_folder)]
    written = {mail for mail, ending in names if ending == "eml"}
    leftovers = [mail for mail, ending in names if ending != "eml"]
    assert not written & set(leftovers), f"half-written mails next to whole ones: {leftovers}"
    assert len(leftovers) <= len(asked) - len(mails), f"half-written mails: {leftovers}"
    return len(mails)


def check_files(folder, names):
    for name in ("mail", *names):
        mode = os.stat(os.path.join(folder, name)).st_mode
        assert mode & 0o077 == 0, f"{name} is open to others: {mode:o}"
    for name in names:
        with sqlite3.connect(os.path.join(folder, name)) as database:
            result = database.execute("PRAGMA integrity_check").fetchone()[0]
            assert result == "ok", f"{name}: {result}"


def torment(conference, kills, chance):
    """Kills the roles and has the queue fail, in any order; and fail once more, with no restart to repair it."""
    actions = ["web", "worker"] * kills + list(conference.queue.faults) * (kills // 2)
    chance.shuffle(actions)
    actions.insert(len(actions) // 2, lambda: conference.queue.send_poison("<b>not an event</b>"))
    for action in actions:
        time.sleep(chance.uniform(0.05, 0.9))
        for role in conference.processes:
            assert conference.is_running(role), f"{role} ended by itself:\n{conference.log(role)}"
        if callable(action):
            action()
        else:
            conference.kill(action)
            time.sleep(chance.choice([0, 0, 0.2]))
            conference.start(action)
    for fault in conference.queue.faults:
        conference.wait_until_ready()
        fault()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("conference")
    add_queue_options(parser)
    parser.add_argument("--kills", type=int, default=22, help="of each role")
    parser.add_argument("--visitors", type=int, default=8)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    skip_without_programs(options)
    print(f"seed {options.seed}", flush=True)

    with tempfile.TemporaryDirectory(prefix="conference-crash-") as folder:
        queue = open_queue(options, folder)
        conference = Conference(options.conference, folder, queue)
        try:
            conference.start("web")
            conference.start("worker")
            conference.wait_until_ready()
            stop = threading.Event()
            visitors = [Visitor(conference, number, options.seed + number, stop) for number in range(options.visitors)]
            for visitor in visitors:
                visitor.start()
            torment(conference, options.kills, random.Random(options.seed))
            time.sleep(1)
            conference.wait_until_ready()
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
            verify_mails(conference, expected)
            codes = conference.stop_all()
            assert codes == {"web": 0, "worker": 0}, codes
            mails = verify_mails(conference, expected)  # nothing came late
            assert queue.log() == "", f"the queue complained:\n{queue.log()}"
            check_files(folder, ["events.db", "read-model.db"] + queue.files)
            retries = sum(visitor.retries for visitor in visitors)
            print(f"{options.kills} kills of each role, {len(expected)} attendees, {events} events, {mails} mails, "
                  f"{retries} commands sent again; queue: {queue.summary()}: nothing lost, nothing doubled")
        except BaseException:
            for role in list(conference.processes):
                print(f"--- {role}\n{conference.log(role)}", file=sys.stderr)
                conference.kill(role)
            print(f"--- queue\n{queue.log()}", file=sys.stderr)
            raise
        finally:
            queue.stop()


if __name__ == "__main__":
    main()
