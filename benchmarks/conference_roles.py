# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""The roles of the conference as processes, and a client of its API, for the benchmarks."""

import http.client
import json
import os
import re
import subprocess
import threading


class Role:
    """A running role, which listens on a free port: `url` is the page's, or that of the worker's health."""

    def __init__(self, executable, role, folder, arguments=()):
        command = [os.path.abspath(executable), role, "--listen", "127.0.0.1:0", "--public-url", "http://127.0.0.1",
                   *arguments]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.url = None
        while self.url is None:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(f"the {role} role ended")
            found = re.search(r"http://127\.0\.0\.1:[1-9]\d*", line)
            self.url = found and found[0]
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Client:
    """One kept connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask(self, method, path, body=None, headers=()):
        headers = dict(headers)
        if body:
            headers["Content-Type"] = "application/json"
        self.connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        is_json = answer.headers.get("Content-Type", "").endswith("json")
        return answer.status, json.loads(text) if is_json else text.decode()
