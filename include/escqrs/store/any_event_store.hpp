// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/check_option.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/store/event_store.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <utility>

namespace escqrs::inline v0 {

/// Any event store, chosen at run time. Copies share the store.
/// @par Thread safety  as the store inside
class AnyEventStore {
public:
    /// Shares ownership.
    /// @throws InvalidOption if the pointer is null
    template <EventStore Store>
        requires(!std::same_as<Store, AnyEventStore>)
    explicit AnyEventStore(std::shared_ptr<Store> store)
        : store_{(detail::check_given(store, "store"), std::make_shared<Model<Store>>(std::move(store)))}
    {
    }

    /// Passed on to the store inside, as `EventStore` describes it.
    /// @{
    AppendResult append(const StreamId& stream, ExpectedVersion expected, std::span<const NewEvent> events)
    {
        return store_->append(stream, expected, events);
    }
    void read_stream(const StreamId& stream, StreamVersion from, EventSink sink)
    {
        store_->read_stream(stream, from, sink);
    }
    GlobalPosition read_log(GlobalPosition after, std::size_t at_most, EventSink sink)
    {
        return store_->read_log(after, at_most, sink);
    }
    GlobalPosition read_log(GlobalPosition after, std::size_t at_most, const EventFilter& filter, EventSink sink)
    {
        return store_->read_log(after, at_most, filter, sink);
    }
    bool read_snapshot(const StreamId& stream, SnapshotSink sink) { return store_->read_snapshot(stream, sink); }
    void write_snapshot(const StreamId& stream, const Snapshot& snapshot) { store_->write_snapshot(stream, snapshot); }
    LogId log_id() { return store_->log_id(); }
    GlobalPosition head() { return store_->head(); }
    std::optional<EventLocation> locate(EventId id) { return store_->locate(id); }
    bool wait_for_events(GlobalPosition after, Duration at_most, stop_token stop)
    {
        return store_->wait_for_events(after, at_most, std::move(stop));
    }
    /// @}

private:
    struct Interface {
        virtual ~Interface() = default;
        virtual AppendResult append(const StreamId&, ExpectedVersion, std::span<const NewEvent>) = 0;
        virtual void read_stream(const StreamId&, StreamVersion, EventSink) = 0;
        virtual GlobalPosition read_log(GlobalPosition, std::size_t, EventSink) = 0;
        virtual GlobalPosition read_log(GlobalPosition, std::size_t, const EventFilter&, EventSink) = 0;
        virtual bool read_snapshot(const StreamId&, SnapshotSink) = 0;
        virtual void write_snapshot(const StreamId&, const Snapshot&) = 0;
        virtual LogId log_id() = 0;
        virtual GlobalPosition head() = 0;
        virtual std::optional<EventLocation> locate(EventId) = 0;
        virtual bool wait_for_events(GlobalPosition, Duration, stop_token) = 0;
    };

    template <EventStore Store>
    struct Model final : Interface {
        explicit Model(std::shared_ptr<Store> chosen) : store{std::move(chosen)} {}

        AppendResult append(const StreamId& stream, ExpectedVersion expected, std::span<const NewEvent> events) override
        {
            return store->append(stream, expected, events);
        }
        void read_stream(const StreamId& stream, StreamVersion from, EventSink sink) override
        {
            store->read_stream(stream, from, sink);
        }
        GlobalPosition read_log(GlobalPosition after, std::size_t at_most, EventSink sink) override
        {
            return store->read_log(after, at_most, sink);
        }
        GlobalPosition read_log(GlobalPosition after, std::size_t at_most, const EventFilter& filter,
                                EventSink sink) override
        {
            return store->read_log(after, at_most, filter, sink);
        }
        bool read_snapshot(const StreamId& stream, SnapshotSink sink) override
        {
            return store->read_snapshot(stream, sink);
        }
        void write_snapshot(const StreamId& stream, const Snapshot& snapshot) override
        {
            store->write_snapshot(stream, snapshot);
        }
        LogId log_id() override { return store->log_id(); }
        GlobalPosition head() override { return store->head(); }
        std::optional<EventLocation> locate(EventId id) override { return store->locate(id); }
        bool wait_for_events(GlobalPosition after, Duration at_most, stop_token stop) override
        {
            return store->wait_for_events(after, at_most, std::move(stop));
        }

        std::shared_ptr<Store> store;
    };

    std::shared_ptr<Interface> store_;
};

static_assert(EventStore<AnyEventStore>);

} // namespace escqrs::inline v0
