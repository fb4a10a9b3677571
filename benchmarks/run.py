#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""Runs the benchmarks of a release build, and writes results.json, the plots and the tables of docs/performance.md.

    run.py BUILD [--quick] [--peers] [--only micro,compiling,sqlite,postgres,conference,soak,memory,growth,peers]
           [--largest 10000000] [--minutes 10]

What is measured has a name like `sqlite_append/escqrs/8`: work, contestant, size; report.py tells what is held against what.
With --only, the other measurements are kept as they were last. The peers in other languages are measured only if asked for,
by --peers or by name.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

import report
from report import SIZES, STREAMS

HERE = os.path.dirname(os.path.abspath(__file__))
PARTS = "micro,compiling,sqlite,postgres,conference,soak,memory,growth"
sys.path.append(os.path.join(HERE, "../tests/conference"))
from postgres_server import PostgresServer  # noqa: E402


def progress(text):
    print(text, file=sys.stderr, flush=True)


def canonical(name):
    """Google Benchmark's name without what it says about how it was run."""
    name = re.sub(r"/(iterations:\d+|real_time|process_time|min_time:[\d.]+)", "", name)
    return re.sub(r"/threads:(\d+)", r"/\1", name)


def run_google_benchmark(program, arguments, environment):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run([program, f"--benchmark_out={out.name}", "--benchmark_out_format=json", *arguments], check=True,
                       env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return json.load(out)["benchmarks"]


def medians(rows):
    """What each benchmark measured: a time in ns, or items a second, and its counters; medians of the repetitions."""
    repetitions = {}
    for row in rows:
        if row.get("error_occurred"):
            raise RuntimeError(f"{row['name']}: {row['error_message']}")
        if row["run_type"] == "iteration":
            repetitions.setdefault(canonical(row["run_name"]), []).append(row)
    known = {"items_per_second", "p50_ms", "p99_ms", "bytes", "allocations", "conflicts"}
    found = {}
    for name, runs in repetitions.items():
        scale = {"ns": 1, "us": 1e3, "ms": 1e6}[runs[0]["time_unit"]]
        found[name] = {"ns": statistics.median(run["real_time"] for run in runs) * scale}
        for counter in known & runs[0].keys():
            found[name][counter] = statistics.median(run[counter] for run in runs)
        if "items_per_second" in found[name] and "calls" in runs[0]:
            found[name]["ns"] = 1e9 / found[name]["items_per_second"]
    return found


def count_instructions(program, name):
    """Instructions of one call, by callgrind."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind.out")
        json_out = os.path.join(folder, "run.json")
        subprocess.run(["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={out}", program,
                        f"--benchmark_filter=^{name}(/iterations:[0-9]+)?$", "--benchmark_min_time=0.01",
                        f"--benchmark_out={json_out}", "--benchmark_out_format=json"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(out, encoding="utf-8") as file:
            total = next(int(line.split()[1]) for line in file if line.startswith("totals:"))
        with open(json_out, encoding="utf-8") as file:
            run = json.load(file)["benchmarks"][0]
        items = run["items_per_second"] * run["real_time"] / 1e9 if "items_per_second" in run else 1
        return total / run["calls"] / max(1, round(items))


class Bench:
    def __init__(self, options):
        self.options = options
        self.folder = os.path.join(options.build, "benchmarks")
        self.environment = dict(os.environ, ESCQRS_BENCHMARK_FOLDER=self.folder)
        self.measured = os.path.join(options.build, "measured.json")
        self.found = {}
        if os.path.exists(self.measured):
            with open(self.measured, encoding="utf-8") as file:
                self.found = json.load(file)

    def program(self, name):
        path = os.path.join(self.folder, name)
        return path if os.path.exists(path) else None

    def google(self, name, repetitions, seconds, *arguments, instructions=False):
        program = self.program(name)
        if not program:
            progress(f"{name} was not built: left out")
            return
        progress(f"{name} {' '.join(arguments)}")
        quick = self.options.quick
        rows = run_google_benchmark(
            program, [f"--benchmark_repetitions={3 if quick else repetitions}", "--benchmark_enable_random_interleaving=true",
                      f"--benchmark_min_time={seconds / 5 if quick else seconds}", *arguments], self.environment)
        found = medians(rows)
        if instructions and not quick:
            for measured in found:
                found[measured]["instructions"] = count_instructions(program, measured)
        self.keep(found)

    def keep(self, found):
        """At once, so that what was measured is not lost if something later fails."""
        self.found.update(found)
        with open(self.measured, "w", encoding="utf-8") as file:
            json.dump(self.found, file, indent=1, sort_keys=True)

    def script(self, name, *arguments, interpreter=sys.executable):
        """A script prints its measurements as they are kept here."""
        progress(f"{name} {' '.join(arguments)}")
        done = subprocess.run([interpreter, os.path.join(HERE, name), *arguments], check=True, cwd=self.folder,
                              stdout=subprocess.PIPE, text=True)
        self.keep(json.loads(done.stdout))

    def micro(self):
        for name in ("fold", "codec", "buses"):
            self.google(name, 15, 0.05, instructions=True)
        self.google("command", 31, 0.05, instructions=True)

    def sqlite(self):
        self.google("sqlite", 5, 0.5)
        self.google("rocksdb", 5, 0.5)

    def postgres(self):
        self.google("postgres", 5, 0.5)

    def growth(self):
        largest = 10**5 if self.options.quick else self.options.largest
        for program in ("growth", "postgres_growth"):
            for size in [size for size in SIZES if size <= largest]:
                self.google(program, 9, 0.05, f"--benchmark_filter=^growth/.*/{size}(/|$)")
            for streams in STREAMS if largest >= 10**6 else []: # each log has that many events
                self.google(program, 9, 0.05, f"--benchmark_filter=^growth_by_streams/.*/{streams}(/|$)")

    def conference_executable(self):
        return os.path.abspath(os.path.join(self.options.build, "examples/conference/conference"))

    def conference(self):
        executable = self.conference_executable()
        quick = ["--rounds", "1", "--seconds", "1"] if self.options.quick else []
        self.script("conference_http.py", executable, *quick)
        few = ["--count", "200"] if self.options.quick else []
        self.script("conference_lag.py", executable, *few)
        self.script("conference_lag.py", executable, "--postgres", *few)
        short = ["--seconds", "2"] if self.options.quick else []
        for way in ([], ["--postgres"], ["--service-bus", os.path.join(HERE, "../tests/service_bus/emulator/main.mjs")]):
            self.script("conference_sustained.py", executable, *way, *short)

    def soak(self):
        quick = ["--minutes", "0.34", "--warm-up", "2000"]
        length = quick if self.options.quick else ["--minutes", str(self.options.minutes)]
        self.script("conference_soak.py", self.conference_executable(), *length)

    def memory(self):
        """Each in its own process, whose memory is all its own."""
        streams = 100_000 if self.options.quick else 1_000_000
        for events in (1, 10):
            for contestant in ("escqrs", "by_hand"):
                progress(f"memory {contestant} {streams} {events}")
                out = subprocess.run([self.program("memory"), contestant, str(streams), str(events)], check=True,
                                     stdout=subprocess.PIPE, text=True).stdout
                self.keep({f"memory_per_million_streams/{contestant}/{events}": {"mb": float(out)}})

    def compiling(self):
        self.script("compile_cost.py", *(["--rounds", "1"] if self.options.quick else []))

    def peers(self):
        """By Node.js; what it runs is installed by scripts/bench."""
        quick = ["--quick"] if self.options.quick else []
        for name in ("memory", "sqlite"):
            self.script(f"peers/{name}.mjs", *quick, interpreter="node")
        with tempfile.TemporaryDirectory() as folder:
            server = PostgresServer(folder)
            try:
                self.script("peers/postgres.mjs", server.address, *quick, interpreter="node")
            finally:
                server.stop()


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), platform.machine())
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory = int(file.readline().split()[1]) / 2**20
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, Linux {platform.release().split('-')[0]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--only", default=PARTS)
    parser.add_argument("--peers", action="store_true", help="the peers in other languages, too")
    parser.add_argument("--quick", action="store_true", help="few repetitions, small logs: to see that all works")
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="number of events up to which growth is measured")
    parser.add_argument("--minutes", type=float, default=10, help="of the soak")
    options = parser.parse_args()
    bench = Bench(options)
    parts = options.only.split(",")
    for part in parts + (["peers"] if options.peers and "peers" not in parts else []):
        getattr(bench, part)()
    report.write(bench.found, f"{machine()}; {time.strftime('%Y-%m-%d')}")


if __name__ == "__main__":
    main()
