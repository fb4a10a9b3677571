#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""Whether the memory of the web and worker roles grows under a steady load: both on embedded defaults, with
their files in their own folder. Prints what was measured, in JSON.

    conference_soak.py CONFERENCE [--minutes N] [--rate REQUESTS_PER_SECOND] [--warm-up ATTENDEES]

Visitors come one after the other on eight connections: they register, wait for the read model, change their address,
look at themselves and their history, follow their stream, ask for what is refused, and some give their place back; the
organiser lists them. First, three times as many attendees are registered as the store remembers streams (65,536), which
also fills SQLite's page caches: that much is by design, and what grows afterwards is not.

`last_third` and `middle_third` are medians of the resident memory (RSS) over these parts of the run; `mb_per_hour` is
the slope of a line through its second half.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from conference_roles import Client, Role

HERE = os.path.dirname(os.path.abspath(__file__))
CONNECTIONS = 8
FAILURES = (OSError, http.client.HTTPException, ValueError)  # of a connection or an answer; counted as errors
TOKEN = "organiser-of-the-soak"


class Load:
    """What all connections share: the pace, and what was counted."""

    def __init__(self, port, requests, rate):
        self.port, self.requests, self.rate = port, requests, rate
        self.lock = threading.Lock()
        self.asked = self.accepted = self.refused = self.errors = 0
        self.start = time.monotonic()

    def is_over(self):
        return self.asked >= self.requests

    def turn(self):
        with self.lock:
            self.asked += 1
            due = self.start + self.asked / self.rate
        time.sleep(max(0.0, due - time.monotonic()))

    def count(self, status, expected, what):
        with self.lock:
            if status != expected:
                self.errors += 1
                print(f"{what}: expected {expected}, found {status}", file=sys.stderr, flush=True)
            elif status == 202:
                self.accepted += 1
            elif status >= 400:
                self.refused += 1


class Visitor:
    """One attendee after the other, on one connection."""

    def __init__(self, load):
        self.load, self.client = load, Client(load.port)

    def ask(self, expected, method, path, body=None, headers=()):
        self.load.turn()
        try:
            status, answer = self.client.ask(method, path, body, headers)
        except FAILURES as error:
            status, answer = repr(error), {}
            self.client = Client(self.load.port)
        self.load.count(status, expected, f"{method} {path}")
        return answer if status == expected else {}

    def come(self, number):
        email = f"visitor{number}@example.org"
        registered = self.ask(202, "POST", "/api/attendee/register", {"email": email})
        if not registered:
            return
        me = f"/api/attendee/{registered['attendeeId']}"
        self.ask(200, "GET", f"{me}?position={registered['position']}")
        changed = self.ask(202, "POST", f"{me}/email", {"email": "new." + email})
        if changed:
            self.ask(200, "GET", f"{me}/history?position={changed['position']}")
        self.ask(200, "GET", me)
        if number % 4 == 0:
            self.ask(400, "POST", f"{me}/email", {"email": email})  # the address already in use
            self.ask(400, "POST", f"{me}/email/{registered['attendeeId']}")  # not the id that was mailed
        if number % 5 == 0:
            self.ask(202, "DELETE", me, {"reason": "The soak is over for me."})
            self.ask(400, "POST", f"{me}/email", {"email": "late." + email})
        if number % 10 == 0:
            self.ask(200, "GET", "/api/attendees?limit=50", headers={"Authorization": f"Bearer {TOKEN}"})
            self.ask(200, "GET", "/metrics")
            self.ask(404, "GET", "/api/attendee/00000000-0000-4000-8000-000000000000")
            self.follow(me)

    def follow(self, me):
        """The stream of an attendee, until its first message."""
        self.load.turn()
        follower = Client(self.load.port)
        try:
            follower.connection.request("GET", f"{me}/stream")
            answer = follower.connection.getresponse()
            answer.read(1)
            status = answer.status
        except FAILURES as error:
            status = repr(error)
        self.load.count(status, 200, f"GET {me}/stream")
        follower.connection.close()

    def run(self, place):
        for number in range(place, self.load.requests, CONNECTIONS):
            if self.load.is_over():
                return
            self.come(number)


def resident_mb(process):
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) / 1024


def sample(roles, seconds, stop):
    """Seconds from the start, and the memory of each role."""
    start = time.monotonic()
    samples = []
    while not stop.wait(seconds):
        samples.append((time.monotonic() - start, [resident_mb(role.process) for role in roles]))
    return samples


def slope(points):
    """Of the line that fits best by least squares."""
    middle_x, middle_y = (statistics.fmean(values) for values in zip(*points))
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / sum((x - middle_x) ** 2 for x, _ in points)


def lag(client):
    _, text = client.ask("GET", "/metrics")
    name = "conference_projection_lag_events "
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name))


def warm_up(web, attendees):
    """By wrk, until there are so many, and the worker has caught up."""
    client = Client(web.port)
    position = 0
    while position < attendees:
        register = ["-s", os.path.join(HERE, "register.lua"), web.url, "--", f"at{position}-"]
        subprocess.run(["wrk", "-t1", "-c64", "-d2s", *register], check=True, stdout=subprocess.DEVNULL)
        _, registered = client.ask("POST", "/api/attendee/register", {"email": "last.of.them@example.org"})
        position = registered["position"]
    while lag(client) > 0:
        time.sleep(0.2)


def measured(samples, load, minutes):
    thirds = len(samples) // 3
    found = {}
    for place, role in enumerate(("web", "worker")):
        curve = [(seconds, memory[place]) for seconds, memory in samples]
        found[f"soak/middle_third/{role}"] = {"rss_mb": statistics.median(memory for _, memory in curve[thirds:2 * thirds])}
        found[f"soak/last_third/{role}"] = {
            "rss_mb": statistics.median(memory for _, memory in curve[2 * thirds:]),
            "mb_per_hour": slope(curve[len(curve) // 2:]) * 3600, "minutes": minutes,
            "accepted": load.accepted, "refused": load.refused, "requests": load.asked, "errors": load.errors}
    return found


def run(options, folder, roles):
    for role in ("web", "worker"):
        roles.append(Role(options.conference, role, folder, ["--organiser-token", TOKEN]))
    warm_up(roles[0], options.warm_up)
    load = Load(roles[0].port, round(options.minutes * 60 * options.rate), options.rate)
    stop, samples = threading.Event(), []
    sampler = threading.Thread(target=lambda: samples.extend(sample(roles, max(0.1, options.minutes / 10), stop)))
    visitors = [threading.Thread(target=Visitor(load).run, args=(place,)) for place in range(CONNECTIONS)]
    for thread in (sampler, *visitors):
        thread.start()
    for thread in visitors:
        thread.join()
    stop.set()
    sampler.join()
    json.dump(measured(samples, load, options.minutes), sys.stdout, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("conference")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=200_000, metavar="ATTENDEES")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        roles = []
        try:
            run(options, folder, roles)
        finally:
            for role in reversed(roles):
                role.stop()


main()
