# Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
"""What was measured, held against its yardsticks: results.json, the tables of docs/performance.md and its plots."""

import json
import os
import re
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
DOCS = os.path.join(HERE, "../docs")
SIZES = [10**power for power in range(3, 8)]
STREAMS = [10**power for power in range(1, 7)]
STORES = (("memory", "In memory"), ("sqlite", "SQLite"), ("postgres", "PostgreSQL"))
WORKS = (("append", "append"), ("load", "load of 10"), ("page", "page of 500"))


class Row:
    """A measurement and its yardstick. `goal` bounds their ratio; a yardstick that is a number is a limit itself."""

    def __init__(self, name, value, yardstick, goal, quantity="ns", unit="ns", better="lower", others=(), over=None, note=""):
        self.name, self.value, self.yardstick, self.goal = name, value, yardstick, goal
        self.quantity, self.unit, self.better, self.others, self.over, self.note = quantity, unit, better, others, over, note


def rate(name, value, yardstick, goal, unit="events/s", **more):
    return Row(name, value, yardstick, goal, quantity="items_per_second", unit=unit, better="higher", **more)


def codec_rows():
    others = ("by_hand", "cereal", "nlohmann_json", "escqrs_json")
    for way, goal in (("encode", 0.8), ("decode", 1.2)):
        yield Row(f"{way} an event", f"{way}/escqrs", f"{way}/zpp_bits", goal, others=[f"{way}/{other}" for other in others])
        yield Row(f"{way}, Boost's binary archive", f"{way}/boost_binary", f"{way}/escqrs", 20, better="higher")
        yield Row(f"{way}, Boost's text archive", f"{way}/boost_text", f"{way}/escqrs", 20, better="higher")
    yield Row("bytes of an event", "encode/escqrs", "encode/zpp_bits", 1.1, "bytes", "bytes",
              others=["encode/boost_binary", "encode/boost_text", "encode/nlohmann_json"])


def append_rows():
    for producers, goal in ((1, 0.95), (8, 0.95), (32, 1.2)):
        yield rate(f"SQLite, durable appends, {producers} producers", f"sqlite_append/escqrs/{producers}",
                   f"sqlite_append/grouped/{producers}", goal, "appends/s",
                   others=[f"sqlite_append/{other}/{producers}" for other in ("single", "log", "rocksdb", "emmett")])
    yield rate("SQLite against a raw log, 32 producers", "sqlite_append/escqrs/32", "sqlite_append/log/32", 0.45, "appends/s")
    yield Row("SQLite, longest 1 % of appends, 32 producers", "sqlite_append/escqrs/32", 5, 1, "p99_ms", "ms",
              others=[f"sqlite_append/{other}/32" for other in ("grouped", "single", "log")])
    yield rate("SQLite, replay of a stream of 10,000", "sqlite_replay/stream/escqrs", "sqlite_replay/stream/raw", 0.85,
               others=["sqlite_replay/stream/emmett"])
    yield rate("SQLite, replay of a log of 1,000,000", "sqlite_replay/log/escqrs", "sqlite_replay/log/raw", 0.85)
    for producers, goal in ((1, 0.9), (8, 0.9), (32, 0.9), (64, 3.5)):
        yield rate(f"PostgreSQL, appends, {producers} producers", f"postgres_append/escqrs/{producers}",
                   f"postgres_append/naive/{producers}", goal, "appends/s",
                   others=[f"postgres_append/{other}/{producers}" for other in ("apart", "emmett")])
    for events in (10, 100):
        yield rate(f"PostgreSQL, {events} events an append", f"postgres_batch/escqrs/{events}", f"postgres_batch/unnest/{events}",
                   0.9)
    yield rate("PostgreSQL, replay of the whole log", "postgres_replay/log/escqrs", "postgres_replay/log/copy", 0.85,
               others=["postgres_replay/log/emmett"])
    yield rate("PostgreSQL, replay of a stream of 10,000", "postgres_replay/stream/escqrs", "postgres_replay/stream/libpq", 0.85,
               others=["postgres_replay/stream/emmett"])


def conference_rows():
    for connections in (64, 1000):
        yield rate(f"HTTP commands, store in memory, {connections} connections", f"http/in_memory/{connections}",
                   f"http/healthz_beside_in_memory/{connections}", 0.6, "requests/s")
    yield rate("HTTP commands, durable SQLite, 64 connections, against the store's own rate", "http/sqlite/64",
               "sqlite_append/escqrs/64", 0.8, "requests/s")
    for store, title, median, longest in (("embedded", "SQLite", 2, 5), ("postgres", "PostgreSQL", 5, 8)):
        yield Row(f"from 202 to the read model, {title}, median", f"lag/{store}", median, 1, "p50_ms", "ms")
        yield Row(f"from 202 to the read model, {title}, 99 %", f"lag/{store}", longest, 1, "p99_ms", "ms")
    yield rate("registrations sustained by both roles, SQLite, 64 connections, against the web role alone", "sustained/embedded",
               "http/sqlite/64", 0.8, "requests/s")
    for store, title in (("embedded", "SQLite"), ("postgres", "PostgreSQL"), ("service_bus", "Service Bus emulator")):
        yield Row(f"longest lag of the read model meanwhile, {title}", f"sustained/{store}", 1000, 1, "longest_ms", "ms")


def memory_rows():
    for role in ("web", "worker"):
        yield Row(f"memory of the {role} role, last third of a soak", f"soak/last_third/{role}",
                  f"soak/middle_third/{role}", 1.05, "rss_mb", "MB")
    for events, each in ((1, "one event"), (10, "10 events")):
        yield Row(f"a million streams in memory, {each} each", f"memory_per_million_streams/escqrs/{events}",
                  f"memory_per_million_streams/by_hand/{events}", 1.1, "mb", "MB")


def compile_rows():
    """Against the budget: preprocessed lines, and seconds of CPU on a machine where <boost/signals2.hpp> alone takes 1.8 of them."""
    for header, seconds, lines in (("fwd.hpp", 0.15, 12_000), ("a domain file", 0.5, 35_000),
                                   ("escqrs.hpp", 1.1, 85_000), ("event_bus.hpp", 2, 106_000)):
        yield Row(f"compiling {header}", f"compile/{header}", "compile/Signals2 alone", round(seconds / 1.8, 2), "seconds", "s")
        yield Row(f"lines of {header}", f"compile/{header}", lines, 1, "lines", "lines")
    for program, title, goal in (("service", "a service of nine commands", 3), ("test", "its given-when-then test", 2)):
        for level in ("O0", "O2"):
            measured, plain = f"compile_{program}/escqrs/{level}", f"compile_{program}/plain/{level}"
            yield Row(f"compiling {title}, -{level}, against plain functions", measured, plain, goal, "seconds", "s",
                      others=[f"compile_{program}/separate/{level}"])
            yield Row(f"memory to compile {title}, -{level}", measured, plain, 2, "mb", "MB")
    yield Row("code for each type of event, over by hand", "text_per_event/escqrs", 2000, 1, "bytes", "bytes",
              over="text_per_event/by_hand")


ROWS = [
    Row("fold an event into an aggregate", "fold/escqrs", "fold/by_hand", 1.1,
        others=["fold/escqrs_decider", "fold/virtual", "fold/map_of_functions", "fold/dynamic_cast"]),
    Row("replay a stored event into an aggregate", "replay/escqrs", "replay/by_hand", 1.1,
        others=["replay/by_hand_fresh_objects", "replay/vector_first"]),
    *codec_rows(),
    Row("CommandBus::send, over a direct call", "send/escqrs", 4, 1, over="send/direct_call",
        others=["send/direct_call", "send/map_of_functions", "send/emmett"]),
    *(Row(f"EventBus::publish, {count} subscribers", f"publish/escqrs/{count}", f"publish/signals2/{count}", goal,
          others=[f"publish/{other}/{count}" for other in ("loop_by_hand", "eventpp", "entt", "emmett")])
      for count, goal in ((1, 1.1), (4, 1.08))),
    *(Row(f"SnapshotEventBus::publish, {count} subscribers", f"publish/escqrs_snapshot/{count}", limit, 1)
      for count, limit in ((1, 20), (4, 28))),
    Row("a whole command in memory", "command/escqrs", "command/by_hand", 1.5, others=["command/emmett"]),
    Row("a whole command in memory, at most 700 ns", "command/escqrs", 700, 1),
    *append_rows(),
    *conference_rows(),
    *memory_rows(),
    *compile_rows(),
]


def evaluated(found):
    """The rows of results.json; what was not measured is left out."""
    for row in ROWS:
        measured = found.get(row.value, {}).get(row.quantity)
        is_limit = not isinstance(row.yardstick, str)
        yardstick = row.yardstick if is_limit else found.get(row.yardstick, {}).get(row.quantity)
        if measured is None or yardstick is None:
            continue
        if row.over:
            measured -= found[row.over][row.quantity]
        yield row, {
            "name": row.name, "value": measured, "unit": row.unit,
            "yardstick": f"{row.yardstick} {row.unit}" if is_limit else row.yardstick, "yardstick_value": yardstick,
            "ratio": measured / yardstick, "goal": row.goal, "better": row.better, "note": note(row, found)}
    for family, sizes, what in (("growth", SIZES, "events"), ("growth_by_streams", STREAMS, "streams")):
        for store, title in STORES:
            for work, name in WORKS:
                # With the most streams, each has a single event: there is no load of ten.
                same = sizes[:-1] if (work, what) == ("load", "streams") else sizes
                yield from growth_row(found, f"{family}/{store}/{work}", f"{title}, {name}, by {what}", same, what)


def growth_row(found, prefix, name, sizes, what):
    """How much more than by hand the cost grows: the largest ratio to by hand, and the ratio at the small end."""
    ratios = {size: found[f"{prefix}/escqrs/{size}"]["ns"] / found[f"{prefix}/by_hand/{size}"]["ns"] for size in sizes
              if all(f"{prefix}/{contestant}/{size}" in found for contestant in ("escqrs", "by_hand"))}
    if len(ratios) < 2:
        return
    smallest, worst = min(ratios), max(ratios, key=ratios.get)
    yield None, {"name": name, "value": ratios[worst], "unit": "of by hand", "yardstick": f"{ratios[smallest]:.2f} at {smallest:,}",
                 "yardstick_value": ratios[smallest], "ratio": ratios[worst] / ratios[smallest], "goal": 1.1, "better": "lower",
                 "note": f"most at {worst:,} {what}; {ratios[max(ratios)]:.2f} at {max(ratios):,}"}


def note(row, found):
    notes = []
    others = [f"{other.split('/')[1 if 'replay' not in other else -1]} {short(found[other][row.quantity])}"
              for other in row.others if row.quantity in found.get(other, {})]
    if others:
        notes.append(", ".join(others))
    if row.quantity == "ns" and isinstance(row.yardstick, str):
        counts = [found[name].get("instructions") for name in (row.value, row.yardstick)]
        if None not in counts:
            notes.append(f"{counts[0]:.0f} instructions, {counts[1]:.0f}")
    if found[row.value].get("allocations", 1) == 0:
        notes.append("no allocations")
    if row.value.startswith("http/"):
        notes.append(f"99 % within {short(found[row.value]['p99_ms'])} ms, {found[row.value]['errors']} errors")
    if row.value.startswith("sustained/"):
        load = found[row.value]
        notes.append(f"{short(load['items_per_second'])} registrations/s for {load['seconds']} s, 99 % within "
                     f"{short(load['p99_ms'])} ms, {load['errors']} errors")
    if row.value.startswith("soak/"):
        soak = found[row.value]
        notes.append(f"RSS in {soak['minutes']:g} minutes, growing {soak['mb_per_hour']:.2f} MB/h")
        notes.append(f"{short(soak['accepted'])} commands accepted, {short(soak['refused'])} requests refused, "
                     f"{soak['errors']} errors")
    if row.value.startswith("memory_"):
        notes.append(f"{300 * int(row.value.split('/')[-1]):,} MB of it are what was given")
    return "; ".join(notes)


def short(value):
    """Three digits, so that noise is not taken for a figure."""
    for size, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {suffix}"
    return f"{value:.3g}"


def is_met(result):
    return result["ratio"] <= result["goal"] if result["better"] == "lower" else result["ratio"] >= result["goal"]


def table(results):
    lines = ["| work | here | yardstick | ratio | goal | others |", "|---|---|---|---|---|---|"]
    for _, result in results:
        bound = "≤" if result["better"] == "lower" else "≥"
        yardstick = result["yardstick"].split("/")
        contestant = yardstick[0] if len(yardstick) == 1 else yardstick[2 if "replay" in yardstick[0] and len(yardstick) > 2 else 1]
        lines.append(f"| {result['name']} | {short(result['value'])} {result['unit']} | {contestant.replace('_', ' ')}"
                     f"{'' if len(yardstick) == 1 else ' ' + short(result['yardstick_value'])} | "
                     f"{result['ratio']:.2f}{'' if is_met(result) else ' **missed**'} | {bound} {result['goal']:g} | {result['note']} |")
    return "\n".join(lines)


def growth(found):
    """For each store, what everything costs by the number of events, and by the number of streams."""
    parts = []
    for store, title in STORES:
        by_events = growth_table(found, "growth", store, SIZES, "events")
        by_streams = growth_table(found, "growth_by_streams", store, STREAMS, "streams")
        if by_events or by_streams:
            parts.append("\n\n".join([f"### {title}", *by_events, *growth_of_peers(found, store), *by_streams]))
    return "\n\n".join(parts)


def growth_table(found, family, store, all_sizes, what):
    """A plot, and a table of what everything costs by size and how it is to the same by hand; nothing if not measured."""
    names = {(work, contestant): f"{family}/{store}/{work}/{contestant}" for work, _ in WORKS
             for contestant in ("escqrs", "by_hand")}
    sizes = [size for size in all_sizes if all(f"{name}/{size}" in found for name in names.values())]
    if not sizes:
        return []
    cost = {key: [found[f"{name}/{size}"]["ns"] / 1000 for size in sizes] for key, name in names.items()}
    plot(f"{family}_{store}.svg", sizes, what, cost)
    lines = [f"| {what} | " + " | ".join(f"{name} | by hand | ratio" for _, name in WORKS) + " |", "|---" * 10 + "|"]
    for place, size in enumerate(sizes):
        cells = []
        for work, _ in WORKS:
            ours, theirs = cost[work, "escqrs"][place], cost[work, "by_hand"][place]
            cells += [f"{short(ours)} us", f"{short(theirs)} us", f"{ours / theirs:.2f}"]
        lines.append(f"| {size:,} | " + " | ".join(cells) + " |")
    return [f"![{dict(STORES)[store]}: cost by {what}]({family}_{store}.svg)", "\n".join(lines)]


def growth_of_peers(found, store):
    """A line of what an append costs a peer, by size, where that was measured."""
    prefix = f"growth_peers/{store}/append/"
    costs = {}
    for name in found:
        if name.startswith(prefix):
            peer, size = name.removeprefix(prefix).split("/")
            costs.setdefault(peer, {})[int(size)] = found[name]["ns"] / 1000
    return [f"An append by {peer.capitalize()}: "
            + ", ".join(f"{short(cost)} us at {size:,} events" for size, cost in sorted(by_size.items())) + "."
            for peer, by_size in sorted(costs.items())]


def plot(name, sizes, what, cost):
    """By gnuplot; without it the plot stays as it was."""
    data = "\n".join(" ".join(str(column) for column in (size, *(values[place] for values in cost.values())))
                     for place, size in enumerate(sizes))
    curves = ", ".join(f"$data using 1:{index + 2} with linespoints dashtype {1 if contestant == 'escqrs' else 2} "
                       f"linecolor {index // 2 + 1} title '{work}{'' if contestant == 'escqrs' else ' by hand'}'"
                       for index, (work, contestant) in enumerate(cost))
    script = f"""
set terminal svg size 720,420 font 'sans-serif,13' background '#ffffff'
set output '{os.path.join(DOCS, name)}'
set logscale xy
set format x '10^{{%L}}'
set xlabel '{what} in the log'
set ylabel 'microseconds'
set grid
set key outside right
$data << END
{data}
END
plot {curves}
"""
    try:
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
    except FileNotFoundError:
        pass


def write(found, machine):
    results = list(evaluated(found))
    with open(os.path.join(HERE, "results.json"), "w", encoding="utf-8") as file:
        json.dump([{"name": "machine", "note": machine}, *(result for _, result in results)], file, indent=1, ensure_ascii=False)
        file.write("\n")
    page = os.path.join(DOCS, "performance.md")
    with open(page, encoding="utf-8") as file:
        text = file.read()
    for name, content in (("machine", machine + "."), ("results", table(results)), ("growth", growth(found))):
        text, count = re.subn(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", lambda found: found[1] + content + "\n" + found[2],
                              text, flags=re.DOTALL)
        if count != 1:
            raise RuntimeError(f"{page}: expected one place for '{name}', found {count}")
    with open(page, "w", encoding="utf-8") as file:
        file.write(text)
