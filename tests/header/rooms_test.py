#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""Checks the plan of include/escqrs: where each header is, what it includes, and what the umbrellas leave out and cost.

    rooms_test.py <compiler>
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "include"

# A room includes only rooms before it in this list.
ROOMS = ["core", "domain", "store", "codec", "commands", "events", "projections", "messaging", "in_memory", "sqlite", "postgres", "testing"]
IN_UMBRELLA = ROOMS[: ROOMS.index("in_memory")]  # of escqrs.hpp
BESIDE_ROOMS = {"config.hpp", "escqrs.hpp", "fwd.hpp", "src.hpp", "version.hpp"}

# Public headers that their room's umbrella leaves to those who need them.
LEFT_OUT = {
    "core": {"check_option", "group_queue", "hash", "recent_map", "object_pool", "takes_copy", "text", "readable_text", "type_identity", "rfc3339"},
    "codec": {"archive/boost", "archive/boost_text", "archive/boost_xml", "describe", "fold"},
    "commands": {"dispatcher/command_dispatcher", "dispatcher/keyed_executor"},
    "events": {"event_bus"},
    # Each comes with its database's room.
    "projections": {"sql/any_database", "sql/checkpoint", "sql/dialect", "sql/parking_lot", "sql/read_model", "sql/stream_checkpoint"},
    "messaging": {"message_processor", "message_processor_options"},
    "sqlite": {"src"},
    "testing": {"catch2", "catch2_scenario", "event_store_conformance", "message_queue_conformance"},
}

# Thousands of lines after preprocessing with g++ 12, with line markers left out.
BUDGETS = {
    "fwd.hpp": 1,
    "domain.hpp": 33,
    "store.hpp": 64,
    "codec.hpp": 62,
    "commands.hpp": 76,
    "projections.hpp": 76,
    "escqrs.hpp": 85,
    "events/event_bus.hpp": 106,
}

# Folders of the example that know nothing of it, so that other programs can copy them, and the libraries that each may include
# besides what the system has.
EXAMPLE = ROOT / "examples" / "conference"
SYSTEM = ("sys/", "arpa/")
COPIED = {
    "http": ("boost/",),
    "mail": ("boost/", "curl/"),
    "service_bus": ("escqrs/", "boost/property_tree/", "curl/", "openssl/", "proton/"),
}

faults = []


def room_of(header):
    """The room of a path in include/escqrs, which may be the room's umbrella; None for what is beside the rooms."""
    return pathlib.PurePath(header).parts[0].removesuffix(".hpp") if header not in BESIDE_ROOMS else None


def includes_of(path):
    return re.findall(r'^#include <escqrs/([^>]+)>', path.read_text(encoding="utf-8"), re.M)


def reached_from(header):
    """All headers of the library that the header includes, directly or through others."""
    reached, waiting = set(), [header]
    while waiting:
        for name in includes_of(INCLUDE / "escqrs" / waiting.pop()):
            if name not in reached:
                reached.add(name)
                waiting.append(name)
    return reached


def check_place(header):
    room = room_of(header)
    if room is not None and room not in ROOMS:
        faults.append(f"{header}: there is no room '{room}'")


def check_includes(header, path):
    room = room_of(header)
    if room not in ROOMS:
        return
    for name in includes_of(path):
        other = room_of(name)
        if other is None:
            if name in ("escqrs.hpp", "fwd.hpp"):
                faults.append(f"{header} includes {name}, which includes all rooms")
        elif other in ROOMS and ROOMS.index(other) > ROOMS.index(room):
            faults.append(f"{header} includes {name}: {other}/ comes after {room}/")
        elif other != room and "/detail/" in name:
            faults.append(f"{header} includes {name}: detail/ is for {other}/ alone")


def check_namespace(header, path):
    for line in re.findall(r"^namespace escqrs(?!::inline v0\b).*", path.read_text(encoding="utf-8"), re.M):
        faults.append(f"{header} has '{line}': expected namespace escqrs::inline v0")


def check_shared(header, path):
    """A header outside detail/ with nothing but details, and no macro, says that other rooms include it, and users need not."""
    text = path.read_text(encoding="utf-8")
    opened = re.findall(r"^namespace escqrs::inline v0([\w:]*) \{", text, re.M)
    if "/detail/" in header or not opened or not all(name.endswith("::detail") for name in opened):
        return
    if re.search(r"^#define ESCQRS_", text, re.M):
        return
    if "\n// Shared by rooms; not API.\n" not in text:
        faults.append(f"{header} has no line 'Shared by rooms; not API.', though all its names are in detail")


def check_umbrella(room, headers):
    umbrella = f"{room}.hpp"
    reached = reached_from(umbrella)
    for header in headers:
        if room_of(header) != room or "/detail/" in header or header in (umbrella, f"{room}/fwd.hpp"):
            continue
        left_out = header.removeprefix(f"{room}/").removesuffix(".hpp") in LEFT_OUT.get(room, ())
        directly = header in includes_of(INCLUDE / "escqrs" / umbrella)
        if left_out and directly:
            faults.append(f"{umbrella} includes {header}, which it is to leave to those who need it")
        if not left_out and header not in reached:
            faults.append(f"{umbrella} misses {header}")
    if f"{room}/fwd.hpp" not in headers:
        faults.append(f"{room}/ has no fwd.hpp")


def check_outside(folder):
    """detail/ is nobody's API: not that of the examples and benchmarks either."""
    for path in sorted((ROOT / folder).rglob("*.[ch]pp")):
        if "node_modules" in path.parts:
            continue
        for name in includes_of(path):
            if "/detail/" in name:
                faults.append(f"{path.relative_to(ROOT)} includes {name}")


def check_copied(folder, libraries):
    """Includes files of its own folder and of the libraries it may use; its namespace has the name of the folder."""
    sources = sorted((EXAMPLE / folder).rglob("*.[ch]pp"))
    assert sources, f"{EXAMPLE / folder} is empty"
    for path in sources:
        text, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT)
        for included in re.findall(r'^#include "([^"]+)"', text, re.M):
            if not (path.parent / included).resolve().is_relative_to(EXAMPLE / folder):
                faults.append(f"{name} includes {included}: {folder}/ must build without the rest of the example")
        for included in re.findall(r"^#include <([^>]+)>", text, re.M):
            is_of_system = "/" not in included or included.startswith(SYSTEM)
            if not is_of_system and not included.startswith(libraries):
                faults.append(f"{name} includes <{included}>: {folder}/ includes {', '.join(libraries)} only")
        for namespace in re.findall(r"^namespace (\w+)[\w:]* \{", text, re.M):
            if namespace != folder:
                faults.append(f"{name} is in namespace {namespace}: {folder}/ has a namespace of its own")


def check_budget(compiler, header, thousands):
    command = [compiler, "-std=c++20", "-E", "-P", "-w", f"-I{INCLUDE}", "-x", "c++", INCLUDE / "escqrs" / header]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.count(b"\n")
    print(f"{header:22} {lines:7,} lines of at most {thousands * 1000:,}")
    if lines > thousands * 1000:
        faults.append(f"{header} has {lines:,} preprocessed lines, and may have {thousands * 1000:,}")


def main(compiler):
    headers = sorted(str(path.relative_to(INCLUDE / "escqrs")) for path in (INCLUDE / "escqrs").rglob("*.hpp"))
    assert headers, "there are no headers"
    for header in headers:
        check_place(header)
        check_includes(header, INCLUDE / "escqrs" / header)
        check_namespace(header, INCLUDE / "escqrs" / header)
        check_shared(header, INCLUDE / "escqrs" / header)
    for room in ROOMS:
        check_umbrella(room, headers)
    if includes_of(INCLUDE / "escqrs/escqrs.hpp") != sorted([f"{room}.hpp" for room in IN_UMBRELLA] + ["version.hpp"]):
        faults.append(f"escqrs.hpp is to include the umbrellas of {', '.join(IN_UMBRELLA)}, and version.hpp")
    for folder in ("examples", "benchmarks"):
        check_outside(folder)
    for folder, libraries in COPIED.items():
        check_copied(folder, libraries)
    version = subprocess.run([compiler, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    if "Free Software Foundation" in version:  # the budgets are what g++'s preprocessor makes of its library
        for header, thousands in BUDGETS.items():
            check_budget(compiler, header, thousands)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
