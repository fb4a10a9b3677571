// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>

namespace benchmarks {

inline constexpr std::uint64_t page_size = 500;

/// The version of the first of the last ten events of a stream: where a load begins, as after a snapshot.
inline std::uint64_t last_ten(std::uint64_t version) { return version > 10 ? version - 9 : 1; }

/// What a log holds.
struct Shape {
    std::uint64_t streams;
    std::uint64_t events_per_stream;

    std::uint64_t events() const { return streams * events_per_stream; }

    /// Calls `append(stream, count)` for each part of such a log: streams grow side by side, by up to five events at a
    /// time.
    template <class Append>
    void for_each_part(Append append) const
    {
        constexpr std::uint64_t part = 5;
        for (std::uint64_t version = 0; version < events_per_stream; version += part) {
            for (std::uint64_t stream = 0; stream < streams; ++stream)
                append(stream, std::min(part, events_per_stream - version));
        }
    }

    friend bool operator==(const Shape&, const Shape&) = default;
};

/// A log of this shape, made when it is first asked for. One at a time is kept.
template <class Log>
Log& log_of(const Shape& shape)
{
    static std::unique_ptr<Log> log;
    static Shape kept{};
    if (kept != shape) {
        log.reset();
        log = std::make_unique<Log>(shape);
        kept = shape;
    }
    return *log;
}

/// Appends, loads of a stream's last ten events, and pages of the log, each somewhere in a log:
///
/// growth/             of 10^3 to 10^7 events, 10 to a stream
/// growth_by_streams/  of 10^6 events, in 10 to 10^6 streams
///
/// A `Log` is made with a shape; `append(stream)`, `load(stream)` and `read_page(position)` return how many events they stored or
/// showed.
template <class Log>
void add_growth(const std::string& store, const std::string& contestant, std::int64_t appends)
{
    const auto add = [&](const std::string& family, auto shape_of, const std::string& work, auto call) {
        std::string name = family;
        name.append("/").append(store).append("/").append(work).append("/").append(contestant);
        return benchmark::RegisterBenchmark(name.c_str(),
                                            [=](benchmark::State& state) {
                                                const Shape shape =
                                                    shape_of(static_cast<std::uint64_t>(state.range(0)));
                                                Log& log = log_of<Log>(shape);
                                                std::mt19937_64 random{42}; // NOLINT: the same each time
                                                std::int64_t events = 0;
                                                for ([[maybe_unused]] const auto _ : state)
                                                    events += call(log, random(), shape);
                                                if (events < state.iterations())
                                                    state.SkipWithError("events are missing");
                                            })
            ->RangeMultiplier(10)
            ->UseRealTime();
    };
    const auto add_all = [&](const std::string& family, auto shape_of, std::int64_t least, std::int64_t most) {
        add(family, shape_of, "append",
            [](Log& log, std::uint64_t random, const Shape& shape) { return log.append(random % shape.streams); })
            ->Iterations(appends)
            ->Range(least, most);
        add(family, shape_of, "load", [](Log& log, std::uint64_t random, const Shape& shape) {
            return log.load(random % shape.streams);
        })->Range(least, most);
        add(family, shape_of, "page", [](Log& log, std::uint64_t random, const Shape& shape) {
            return log.read_page(random % (shape.events() - page_size));
        })->Range(least, most);
    };
    add_all(
        "growth",
        [](std::uint64_t events) {
            return Shape{events / 10, 10};
        },
        1'000, 10'000'000);
    add_all(
        "growth_by_streams",
        [](std::uint64_t streams) {
            return Shape{streams, 1'000'000 / streams};
        },
        10, 1'000'000);
}

} // namespace benchmarks
