#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""The database falls silent: its connections stay up, and nothing answers. Commands and queries get a 503, /readyz says why in
time for a probe, /metrics shows what it knows, all continues when the database answers again, and SIGTERM ends the process while it is silent."""

import tempfile
import threading

from conference_process import Conference
from conference_queue import open_queue, read_options
from postgres_server import PostgresServer, skip_without_server
from restore_test import await_, listed, problems
from tcp_proxy import TcpProxy

PROBE = 1  # seconds that Kubernetes gives a probe
SCRAPE = 3  # what docs/conference.md promises for the metrics
CLIENT = 20  # what docs/conference.md promises for a command
DRAIN = 30


def register(conference, key):
    return conference.request("POST", "/api/attendee/register", {"email": f"{key}@example.org"},
                              {"Idempotency-Key": key}, timeout=CLIENT)[0]


def at_once(*calls):
    """The results of calls that are made at the same time."""
    results = [None] * len(calls)

    def run(index):
        results[index] = calls[index]()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def main():
    options = read_options()
    skip_without_server()
    with tempfile.TemporaryDirectory(prefix="conference-frozen-") as folder:
        server = PostgresServer(folder)
        proxy = TcpProxy(server.port)
        queue = open_queue(options, folder)
        address = server.address.replace(f":{server.port}/", f":{proxy.port}/")
        conference = Conference(options.conference, folder, queue)
        conference.store = conference.read_model = address
        try:
            conference.start("all")
            conference.wait_until_ready()
            assert register(conference, "first") == 202
            await_(lambda: listed(conference), 1, "in the read model")

            proxy.freeze()
            commands = [lambda number=number: register(conference, f"key-{number}") for number in range(70)]  # more than there are threads
            probe = lambda: conference.request("GET", "/readyz", timeout=PROBE)[0]
            query = lambda: conference.request("GET", "/api/attendee/" + "1" * 8 + "-1111-4111-8111-" + "1" * 12,
                                               timeout=CLIENT)[0]
            found = at_once(query, probe, *commands)
            assert found == [503] * len(found), found
            assert probe() == 503
            for _ in range(2):
                status, figures = conference.request("GET", "/metrics", timeout=SCRAPE)
                assert status == 200, status
                assert "conference_http_requests_total{" in figures, figures
                assert "# conference_projection_lag_events is not known just now" in figures, figures

            proxy.thaw()
            await_(lambda: problems(conference), {}, "what is not in order when the database answers")
            for number in range(len(commands)):
                assert register(conference, f"key-{number}") == 202
            await_(lambda: listed(conference), 1 + len(commands), "in the read model, each once")

            proxy.freeze()
            assert conference.stop("all", DRAIN) == 0
            assert "stopping where it stands" not in conference.log("all"), conference.log("all")
        finally:
            for role in list(conference.processes):
                print(conference.log(role))
                conference.kill(role)
            proxy.stop()
            server.stop()
    print("ok")


if __name__ == "__main__":
    main()
