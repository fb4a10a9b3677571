# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""Runs the conference executable for tests, and speaks to its HTTP API. Standard library only."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import time


def free_port():
    """A port that no process has and that the kernel gives to none: others must not take it between two processes of ours."""
    while True:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", random.randint(20_000, 32_000)))
            except OSError:
                continue
            return probe.getsockname()[1]


class Conference:
    """One installation: its files in one folder, its page on one port, its roles as processes, a queue between them."""

    def __init__(self, executable, folder, queue, extra=()):
        self.executable = executable
        self.folder = folder
        self.queue = queue
        self.port = free_port()
        self.token = "organiser-token-of-a-test"
        self.extra = list(extra)
        self.store = "sqlite:" + os.path.join(folder, "events.db")
        self.read_model = "sqlite:" + os.path.join(folder, "read-model.db")
        self.mail = "dir:" + self.mail_folder
        self.processes = {}

    @property
    def mail_folder(self):
        return os.path.join(self.folder, "mail")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self, role, *arguments):
        path = lambda name: os.path.join(self.folder, name)
        command = [
            self.executable, role,
            "--listen", f"127.0.0.1:{self.port}",
            "--public-url", self.url,
            "--store", self.store,
            "--read-model", self.read_model,
            "--mail", self.mail,
            "--organiser-token", self.token,
        ] + self.queue.arguments + self.extra + list(arguments)
        log = open(path(role + ".log"), "ab")
        self.processes[role] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        log.close()

    def kill(self, role):
        """SIGKILL, as a power cut would: no handler runs."""
        process = self.processes.pop(role)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self, role, seconds=20):
        """SIGTERM: the role drains and stops; returns its exit code."""
        process = self.processes.pop(role)
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{role} did not stop within {seconds} s of SIGTERM")

    def stop_all(self):
        return {role: self.stop(role) for role in list(self.processes)}

    def is_running(self, role):
        return self.processes[role].poll() is None

    def wait_until_ready(self, seconds=30):
        deadline = time.monotonic() + seconds
        while True:
            try:
                status, _ = self.request("GET", "/readyz")
                if status == 200:
                    return
            except OSError:
                pass
            for role, process in self.processes.items():
                if process.poll() is not None:
                    raise AssertionError(f"{role} ended with {process.returncode}:\n{self.log(role)}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not ready after {seconds} s:\n{self.log('web')}")
            time.sleep(0.02)

    def log(self, role):
        try:
            with open(os.path.join(self.folder, role + ".log"), errors="replace") as file:
                return file.read()[-4000:]
        except FileNotFoundError:
            return "(no log)"

    def request(self, method, path, body=None, headers=None, timeout=15):
        """One request on its own connection; returns status and decoded body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            headers = dict(headers or {})
            data = None
            if body is not None:
                data = json.dumps(body).encode()
                headers["Content-Type"] = "application/json"
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            text = response.read().decode()
            kind = response.headers.get("Content-Type", "")
            return response.status, json.loads(text) if "json" in kind and text else text
        except http.client.HTTPException as error:
            raise ConnectionError(repr(error)) from error
        finally:
            connection.close()

    def as_organiser(self, method, path, body=None):
        return self.request(method, path, body, {"Authorization": "Bearer " + self.token})
