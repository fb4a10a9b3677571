// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../http/metrics.hpp"
#include "../read_model/failed_read.hpp"

#include <escqrs/core/clock.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/store/any_event_store.hpp>
#include <escqrs/store/forwarding_event_store.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace conference::web {

/// Passes everything on to another store, measures how long appends take, and remembers whether appends and reads succeed.
class MeasuredEventStore : public escqrs::ForwardingEventStore<escqrs::AnyEventStore> {
public:
    /// @param metrics, clock  must outlive the store
    MeasuredEventStore(escqrs::AnyEventStore store, http::Metrics& metrics,
                       escqrs::Clock& clock = escqrs::system_clock())
        : ForwardingEventStore{std::move(store)}, clock_{&clock},
          latency_{&metrics.histogram("conference_append_seconds", "Time until an append was durable.")}
    {
    }

    escqrs::AppendResult append(const escqrs::StreamId& stream, escqrs::ExpectedVersion expected,
                                std::span<const escqrs::NewEvent> events)
    {
        const auto start = std::chrono::steady_clock::now();
        try {
            const auto result = store().append(stream, expected, events);
            latency_->observe(std::chrono::steady_clock::now() - start);
            remember(std::nullopt);
            return result;
        } catch (const escqrs::StoreError& error) {
            remember(error.what());
            throw;
        }
    }

    /// Why an append or a read fails: a full disk is found by writing only, a damaged page only by reading it. What failed is
    /// tried again, so that a role that gets no requests meanwhile is ready again when the store is.
    std::optional<std::string> problem()
    {
        if (auto failed_append = append_problem()) return failed_append;
        return failed_read_.problem();
    }
    void read_stream(const escqrs::StreamId& stream, escqrs::StreamVersion from, escqrs::EventSink sink)
    {
        read([this](auto to, const auto&... what) { store().read_stream(what..., to); }, sink, stream, from);
    }
    escqrs::GlobalPosition read_log(escqrs::GlobalPosition after, std::size_t at_most, escqrs::EventSink sink)
    {
        return read([this](auto to, auto... what) { return store().read_log(what..., to); }, sink, after, at_most);
    }
    escqrs::GlobalPosition read_log(escqrs::GlobalPosition after, std::size_t at_most,
                                    const escqrs::EventFilter& filter, escqrs::EventSink sink)
    {
        return read([this](auto to, const auto&... what) { return store().read_log(what..., to); }, sink, after,
                    at_most, filter);
    }
    bool read_snapshot(const escqrs::StreamId& stream, escqrs::SnapshotSink sink)
    {
        return read([this](auto to, const auto& what) { return store().read_snapshot(what, to); }, sink, stream);
    }
    std::optional<escqrs::EventLocation> locate(escqrs::EventId id)
    {
        return read([this](auto, auto what) { return store().locate(what); }, Ignore{}, id);
    }

private:
    /// A sink of events, or of a snapshot.
    struct Ignore {
        bool operator()(const escqrs::RecordedEvent&) const { return true; }
        void operator()(const escqrs::Snapshot&) const {}
    };

    template <class Ask, class Sink, class... What>
    std::invoke_result_t<Ask, Sink, What...> read(Ask ask, Sink sink, const What&... what)
    {
        try {
            return ask(sink, what...);
        } catch (...) { // damaged bytes may make no sense, too; what `sink` throws does not come again
            failed_read_.remember([ask, what...] { (void)ask(Ignore{}, what...); });
            throw;
        }
    }

    /// Why the last append failed, if nothing could be written since. A write is tried once a second at most.
    std::optional<std::string> append_problem()
    {
        constexpr std::chrono::seconds time_between_tries{1};
        std::unique_lock lock{mutex_};
        if (!problem_) return std::nullopt;
        const auto told = "the last append failed: " + *problem_;
        const auto failures = failures_;
        if (clock_->steady() - tried_at_ < time_between_tries) return told;
        tried_at_ = clock_->steady();
        lock.unlock();
        const bool is_written = try_to_write();
        lock.lock();
        tried_at_ = clock_->steady();
        if (!is_written || failures != failures_) return told;
        problem_.reset();
        return std::nullopt;
    }

    void remember(std::optional<std::string> problem)
    {
        const std::scoped_lock lock{mutex_};
        if (problem) {
            ++failures_;
            failed_at_ = tried_at_ = clock_->steady();
        }
        problem_ = std::move(problem);
    }

    /// Writes what nobody needs: a snapshot that no reader understands, to the newest event's stream. One that it has is put
    /// back. An empty log has no place for that; its failure is forgotten after a while.
    bool try_to_write()
    {
        try {
            const auto head = store().head();
            if (head == escqrs::GlobalPosition{}) return has_failed_long_ago();
            store().read_log(escqrs::GlobalPosition{head.value() - 1}, 1, [this](const escqrs::RecordedEvent& event) {
                write_snapshot_of_nothing(event.stream, event.version);
                return false;
            });
            return true;
        } catch (const escqrs::StoreError&) {
            return false;
        }
    }

    void write_snapshot_of_nothing(const escqrs::StreamId& stream, escqrs::StreamVersion version)
    {
        escqrs::Snapshot kept;
        std::string content_type;
        std::vector<std::byte> payload;
        const bool has_one = store().read_snapshot(stream, [&](const escqrs::Snapshot& stored) {
            kept = stored;
            content_type = stored.content_type;
            payload.assign(stored.payload.begin(), stored.payload.end());
        });
        const auto now = clock_->now(); // another one each time: a database may not write what is there already
        store().write_snapshot(stream, {version, 0, "none", std::as_bytes(std::span{&now, 1})});
        if (!has_one || content_type == "none") return;
        kept.content_type = content_type;
        kept.payload = payload;
        store().write_snapshot(stream, kept);
    }

    bool has_failed_long_ago() const
    {
        constexpr std::chrono::seconds memory{10};
        const std::scoped_lock lock{mutex_};
        return clock_->steady() - failed_at_ > memory;
    }

    escqrs::Clock* clock_;
    http::Metrics::Histogram* latency_;
    FailedRead failed_read_;
    mutable std::mutex mutex_;           ///< of what follows
    std::optional<std::string> problem_; ///< of the last append, unless a later write succeeded
    std::uint64_t failures_ = 0;
    escqrs::SteadyTime failed_at_{}; ///< the last time
    escqrs::SteadyTime tried_at_{};  ///< an append that failed, or a write
};

static_assert(escqrs::EventStore<MeasuredEventStore>);

} // namespace conference::web
