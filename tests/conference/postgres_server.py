# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""A PostgreSQL server of a test's own, on a loopback port. Standard library only."""

import glob
import os
import shutil
import signal
import subprocess
import sys
import time

from conference_process import free_port


def programs():
    """Folder of the server's programs, the newest there is; None if there is none."""
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: float(path.split("/")[4]), reverse=True)
    on_path = shutil.which("postgres")
    return next(iter(folders + ([os.path.dirname(on_path)] if on_path else [])), None)


def skip_without_server():
    if programs() is None:
        print("skipped: not installed: PostgreSQL's server")
        sys.exit(77)


class PostgresServer:
    """Has one user that needs a password, so that a test can see where the password turns up."""

    password = "a-password-that-nobody-may-see"

    def __init__(self, folder):
        self.folder = os.path.join(folder, "postgres")
        os.mkdir(self.folder)
        os.chmod(folder, 0o755)
        os.chmod(self.folder, 0o777)
        self.data = os.path.join(self.folder, "data")
        self.log_path = os.path.join(self.folder, "log")
        self.port = free_port()
        password_file = os.path.join(self.folder, "password")
        with open(password_file, "w") as file:
            file.write(self.password)
        os.chmod(password_file, 0o644)
        result = subprocess.run(
            self.as_server("initdb", "-D", self.data, "-U", "conference", "-A", "scram-sha-256",
                           "--pwfile", password_file, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert result.returncode == 0, result.stdout
        self.start()

    @property
    def address(self):
        return self.address_of("conference")

    def address_of(self, role):
        return f"postgresql://{role}:{self.password}@127.0.0.1:{self.port}/postgres?connect_timeout=5"

    def as_server(self, program, *arguments):
        """PostgreSQL does not run as root; it gets SIGQUIT when the test dies."""
        prefix = ["setpriv", "--pdeathsig=QUIT"]
        if os.geteuid() == 0:
            prefix += ["--reuid=postgres", "--regid=postgres", "--init-groups"]
        return prefix + [os.path.join(programs(), program), *arguments]

    def start(self):
        command = self.as_server("postgres", "-D", self.data, "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
                                 "-c", "unix_socket_directories=", "-c", "max_connections=200")
        ready = [os.path.join(programs(), "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        deadline = time.monotonic() + 60
        self.process = None
        while subprocess.run(ready).returncode != 0:
            # Again, if it ends: of a server that was killed some process may not have ended yet.
            if self.process is None or self.process.poll() is not None:
                with open(self.log_path, "ab") as log:
                    self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT,
                                                    start_new_session=True)
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def kill(self):
        """SIGKILL to the server and to each of its processes."""
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            children = [int(child) for child in file.read().split()]
        self.process.kill()
        for child in children:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)

    def query(self, sql):
        """Rows of a query, as lists of texts."""
        result = subprocess.run([os.path.join(programs(), "psql"), self.address, "-XAtq", "-F", "\t", "-c", sql],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert result.returncode == 0, result.stderr
        return [line.split("\t") for line in result.stdout.splitlines()]

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()[-4000:]
