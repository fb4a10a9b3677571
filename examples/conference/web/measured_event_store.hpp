// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../http/metrics.hpp"

#include <escqrs/clock.hpp>
#include <escqrs/error.hpp>
#include <escqrs/event_store.hpp>

#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace conference::web {

/// Passes everything on to another store, measures how long appends take, and remembers whether they succeed.
class MeasuredEventStore {
public:
    /// @param metrics, clock  must outlive the store
    MeasuredEventStore(escqrs::AnyEventStore store, http::Metrics& metrics,
                       escqrs::Clock& clock = escqrs::system_clock())
        : store_{std::move(store)}, clock_{&clock},
          latency_{&metrics.histogram("conference_append_seconds", "Time until an append was durable.")}
    {
    }

    escqrs::AppendResult append(const escqrs::StreamId& stream, escqrs::ExpectedVersion expected,
                                std::span<const escqrs::NewEvent> events)
    {
        const auto start = std::chrono::steady_clock::now();
        try {
            const auto result = store_.append(stream, expected, events);
            latency_->observe(std::chrono::steady_clock::now() - start);
            remember(std::nullopt);
            return result;
        } catch (const escqrs::StoreError& error) {
            remember(error.what());
            throw;
        }
    }

    /// Why the last append failed, if that was in the last ten seconds: a full disk is found by writing only.
    std::optional<std::string> problem() const
    {
        constexpr std::chrono::seconds memory{10};
        const std::scoped_lock lock{mutex_};
        if (!problem_ || clock_->steady() - failed_at_ > memory) return std::nullopt;
        return "the last append failed: " + *problem_;
    }
    void read_stream(const escqrs::StreamId& stream, escqrs::StreamVersion from, escqrs::EventSink sink)
    {
        store_.read_stream(stream, from, sink);
    }
    escqrs::GlobalPosition read_log(escqrs::GlobalPosition after, std::size_t at_most, escqrs::EventSink sink)
    {
        return store_.read_log(after, at_most, sink);
    }
    escqrs::GlobalPosition read_log(escqrs::GlobalPosition after, std::size_t at_most,
                                    const escqrs::EventFilter& filter, escqrs::EventSink sink)
    {
        return store_.read_log(after, at_most, filter, sink);
    }
    bool read_snapshot(const escqrs::StreamId& stream, escqrs::SnapshotSink sink)
    {
        return store_.read_snapshot(stream, sink);
    }
    void write_snapshot(const escqrs::StreamId& stream, const escqrs::Snapshot& snapshot)
    {
        store_.write_snapshot(stream, snapshot);
    }
    escqrs::LogId log_id() { return store_.log_id(); }
    escqrs::GlobalPosition head() { return store_.head(); }
    std::optional<escqrs::EventLocation> locate(escqrs::EventId id) { return store_.locate(id); }
    bool wait_for_events(escqrs::GlobalPosition after, escqrs::Duration at_most, std::stop_token stop)
    {
        return store_.wait_for_events(after, at_most, std::move(stop));
    }

private:
    void remember(std::optional<std::string> problem)
    {
        const std::scoped_lock lock{mutex_};
        problem_ = std::move(problem);
        failed_at_ = clock_->steady();
    }

    escqrs::AnyEventStore store_;
    escqrs::Clock* clock_;
    http::Metrics::Histogram* latency_;
    mutable std::mutex mutex_;
    std::optional<std::string> problem_; ///< of the last append
    escqrs::SteadyTime failed_at_{};
};

static_assert(escqrs::EventStore<MeasuredEventStore>);

} // namespace conference::web
