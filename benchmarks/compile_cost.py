#!/usr/bin/env python3
# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""What including a header costs (seconds of CPU, without optimisation, and preprocessed lines); what a service of nine commands and
its test cost to compile (seconds of CPU and peak memory), against the same with plain functions; and what machine code an event type
adds to a program. Prints measurements, in JSON.

    compile_cost.py [--rounds N] [--compiler g++]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
INCLUDE = os.path.join(HERE, "../include")
HEADERS = {
    "fwd.hpp": ["escqrs/fwd.hpp"],
    "a domain file": ["escqrs/domain/event.hpp", "escqrs/domain/aggregate_root.hpp"],
    "escqrs.hpp": ["escqrs/escqrs.hpp"],
    "event_bus.hpp": ["escqrs/events/event_bus.hpp"],
    "snapshot_event_bus.hpp": ["escqrs/events/snapshot_event_bus.hpp"],
    "escqrs.hpp, sqlite/event_store.hpp": ["escqrs/escqrs.hpp", "escqrs/sqlite/event_store.hpp"],
    "Signals2 alone": ["boost/signals2.hpp"],
}

# Programs in compile_cost/: a service in one file, and the test of its rules.
PROGRAMS = {"service": "service.cpp", "test": "order_test.cpp"}
# Each with its folder there and with what it defines.
CONTESTANTS = {"escqrs": ("escqrs", []), "separate": ("escqrs", ["-DESCQRS_SEPARATE_COMPILATION"]), "plain": ("plain", [])}

EVENT = """
struct Event{n} {{
    static constexpr std::string_view event_name = "Event{n}";
    escqrs::Uuid id{{}};
    std::string name;
    std::string email;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {{ archive & id & name & email; }}
}};
"""

# The same work both times: encode what happens, and fold what was stored.
ESCQRS = """
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/commands/repository.hpp>
{events}
struct Thing : escqrs::AggregateRoot<Thing, {list}> {{
    static constexpr std::string_view category = "thing";
    explicit Thing(const Id& id) : AggregateRoot{{id}} {{}}
    template <class E> void apply(const E& event) {{ size += event.name.size() + event.email.size(); }}
    template <class E> void happen() {{ raise(E{{id().value(), "name", "email"}}); }}
    std::size_t size = 0;
}};
int main() {{
    escqrs::in_memory::EventStore store;
    escqrs::Repository<Thing, escqrs::in_memory::EventStore> things{{store}};
    Thing thing{{Thing::Id{{escqrs::time_ordered_uuid()}}}};
    {happen}
    things.save(thing);
    return static_cast<int>(things.get(thing.id()).size);
}}
"""
BY_HAND = """
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/core/id_generator.hpp>
#include <cstring>
#include <stdexcept>
#include <variant>
#include <vector>
{events}
using Event = std::variant<{list}>;
template <class E> void encode(const E& event, std::vector<std::byte>& out) {{
    const auto put = [&](const void* data, std::size_t size) {{
        const auto* bytes = static_cast<const std::byte*>(data);
        out.insert(out.end(), bytes, bytes + size);
    }};
    put(event.id.data, 16);
    for (const std::string* text : {{&event.name, &event.email}}) {{
        const auto size = static_cast<unsigned char>(text->size());
        put(&size, 1);
        put(text->data(), size);
    }}
}}
template <class E> void decode(escqrs::Bytes bytes, E& event) {{
    const auto take = [&](std::size_t size) {{
        if (bytes.size() < size) throw std::out_of_range{{"bytes"}};
        const auto taken = bytes.first(size);
        bytes = bytes.subspan(size);
        return taken;
    }};
    std::memcpy(event.id.data, take(16).data(), 16);
    for (std::string* text : {{&event.name, &event.email}}) {{
        const auto size = static_cast<std::size_t>(take(1)[0]);
        text->assign(reinterpret_cast<const char*>(take(size).data()), size);
    }}
}}
int main() {{
    escqrs::in_memory::EventStore store;
    const escqrs::StreamId stream{{"thing", escqrs::time_ordered_uuid()}};
    std::vector<Event> raised;
    std::size_t size = 0;
    const auto apply = [&](const auto& event) {{ size += event.name.size() + event.email.size(); }};
    {happen}
    std::vector<std::vector<std::byte>> bytes(raised.size());
    std::vector<escqrs::NewEvent> events;
    for (std::size_t index = 0; index < raised.size(); ++index) {{
        std::visit([&]<class E>(const E& event) {{
            encode(event, bytes[index]);
            events.push_back({{escqrs::EventId{{escqrs::time_ordered_uuid()}}, E::event_name, 0, "bytes", bytes[index], {{}}}});
        }}, raised[index]);
    }}
    store.append(stream, escqrs::ExpectedVersion::any(), events);
    size = 0;
    store.read_stream(stream, escqrs::StreamVersion{{1}}, [&](const escqrs::RecordedEvent& event) {{
        {fold}
        return true;
    }});
    return static_cast<int>(size);
}}
"""


def cost_of(command):
    """Seconds of CPU and MB at the peak, of a command and those that it runs."""
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return {"seconds": usage.ru_utime + usage.ru_stime, "mb": usage.ru_maxrss / 1024}


def interleaved_medians(commands, rounds):
    """What each command costs; by turns, so that what slows the machine down meets all of them."""
    costs = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            costs[name].append(cost_of(command))
    return {name: {what: statistics.median(cost[what] for cost in measured) for what in measured[0]}
            for name, measured in costs.items()}


def text_size(compiler, folder, source):
    path = os.path.join(folder, "program.cpp")
    with open(path, "w", encoding="utf-8") as file:
        file.write(source)
    program = os.path.join(folder, "program")
    subprocess.run([*compiler, "-O2", path, "-o", program, "-lpthread"], check=True)
    return int(subprocess.run(["size", program], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[1].split()[0])


def per_event(compiler, folder, template, happen, fold=""):
    """Bytes that each further type of event adds."""
    few, many = 2, 32
    sizes = []
    for count in (few, many):
        numbers = range(count)
        sizes.append(text_size(compiler, folder, template.format(
            events="".join(EVENT.format(n=n) for n in numbers), list=", ".join(f"Event{n}" for n in numbers),
            happen="\n    ".join(happen.format(n=n) for n in numbers), fold="else ".join(fold.format(n=n) for n in numbers))))
    return (sizes[1] - sizes[0]) / (many - few)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compiler", default="g++")
    options = parser.parse_args()
    compiler = [options.compiler, "-std=c++20", f"-I{INCLUDE}"]
    with tempfile.TemporaryDirectory() as folder:
        sources = {}
        found = {}
        for number, (name, headers) in enumerate(HEADERS.items()):
            sources[name] = os.path.join(folder, f"{number}.cpp")
            with open(sources[name], "w", encoding="utf-8") as file:
                file.writelines(f"#include <{header}>\n" for header in headers)
            lines = subprocess.run([*compiler, "-E", "-P", sources[name]], check=True, stdout=subprocess.PIPE).stdout.count(b"\n")
            found[f"compile/{name}"] = {"lines": lines}
        commands = {name: [*compiler, "-O0", "-c", sources[name], "-o", os.path.join(folder, "out.o")] for name in HEADERS}
        for name, cost in interleaved_medians(commands, options.rounds).items():
            found[f"compile/{name}"]["seconds"] = cost["seconds"]
        found.update(interleaved_medians({
            f"compile_{program}/{contestant}/{level}":
                [*compiler, *defines, f"-{level}", "-c", os.path.join(HERE, "compile_cost", source_folder, source), "-o",
                 os.path.join(folder, "out.o")]
            for program, source in PROGRAMS.items() for contestant, (source_folder, defines) in CONTESTANTS.items()
            for level in ("O0", "O2")}, options.rounds))
        found["text_per_event/escqrs"] = {"bytes": per_event(compiler, folder, ESCQRS, "thing.happen<Event{n}>();")}
        found["text_per_event/by_hand"] = {"bytes": per_event(
            compiler, folder, BY_HAND, 'apply(std::get<Event{n}>(raised.emplace_back(Event{n}{{escqrs::Uuid{{}}, "name", "email"}})));',
            'if (event.type == Event{n}::event_name) {{ Event{n} typed; decode(event.payload, typed); apply(typed); }} ')}
    json.dump(found, sys.stdout, indent=1)


main()
