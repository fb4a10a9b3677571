#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""The read model is deleted while people change their registrations: the worker takes no more messages, says what to do,
and dead-letters nothing. `--rebuild` builds it anew while a web role runs, sends no mail a second time, and continues."""

import glob
import os
import re
import tempfile

from conference_process import Conference
from conference_queue import open_queue, read_options
from crash_test import read_mails
from restore_test import await_, listed


def post(conference, path, body):
    status, answer = conference.request("POST", path, body)
    assert status == 202, (status, answer)
    return answer


def recipients(conference):
    return sorted(mail["to"] for mail in read_mails(conference.mail_folder))


def lag(conference):
    return float(re.search(r"^conference_projection_lag_events (\S+)$", conference.request("GET", "/metrics")[1], re.M)[1])


def main():
    options = read_options()
    with tempfile.TemporaryDirectory() as folder:
        queue = open_queue(options, folder)
        conference = Conference(options.conference, folder, queue)
        conference.start("web")
        conference.start("worker")
        conference.wait_until_ready()
        ids = [post(conference, "/api/attendee/register", {"email": f"visitor{number}@example.org"})["attendeeId"]
               for number in range(30)]
        for place, attendee in enumerate(ids[:5]):
            post(conference, f"/api/attendee/{attendee}/email", {"email": f"new{place}@example.org"})
        await_(lambda: listed(conference), 30, "in the read model")
        mails = sorted([f"visitor{number}@example.org" for number in range(30)] +
                       [f"new{place}@example.org" for place in range(5)])
        await_(lambda: recipients(conference), mails, "mails")
        assert lag(conference) == 0
        conference.stop("worker")

        for name in glob.glob(os.path.join(folder, "read-model.db*")):
            os.remove(name)
        for attendee in ids[5:8]:
            post(conference, f"/api/attendee/{attendee}/email", {"email": f"{attendee}@example.net"})
        newest = post(conference, "/api/attendee/register", {"email": "newest@example.org"})["attendeeId"]
        conference.start("worker")
        await_(lambda: "conference worker --rebuild" in conference.log("worker"), True, "what to do")
        status, body = conference.request("GET", "/readyz")
        assert status == 503 and "conference worker --rebuild" in body["problems"][0]["problem"], body
        assert conference.request("GET", f"/api/attendee/{newest}")[0] == 200
        assert lag(conference) == 38, lag(conference)  # though the newest event is handled
        assert conference.as_organiser("GET", "/api/dead-letters")[1]["deadLetters"] == []
        conference.stop("worker")

        conference.start("worker", "--rebuild")
        await_(lambda: listed(conference), 31, "in the read model, built anew")
        assert lag(conference) == 0, lag(conference)
        conference.wait_until_ready()
        for attendee, version in [(ids[0], 2), (ids[7], 2), (ids[20], 1)]:
            status, view = conference.request("GET", f"/api/attendee/{attendee}")
            assert status == 200 and view["version"] == version, (status, view)
        answer = post(conference, "/api/attendee/register", {"email": "last@example.org"})
        post(conference, f"/api/attendee/{answer['attendeeId']}/email", {"email": "later@example.org"})
        mails = sorted(mails + ["newest@example.org", "last@example.org", "later@example.org"])
        await_(lambda: recipients(conference), mails, "mails")
        conference.stop_all()
        assert recipients(conference) == mails, recipients(conference)
        queue.check_left(dead_letters=0)
    print("ok")


if __name__ == "__main__":
    main()
