// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/id_generator.hpp>
#include <escqrs/core/metadata.hpp>
#include <escqrs/domain/aggregate_root.hpp>
#include <escqrs/domain/decider.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/store/forwarding_event_store.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

// A domain for tests of repeats, whose state tells exactly which events it was made from; and a store to watch.
namespace tally {

struct Added {
    static constexpr std::string_view event_name = "Added";
    std::int64_t amount = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("amount", amount);
    }
};

using Amounts = std::vector<std::int64_t>;

class Tally : public escqrs::AggregateRoot<Tally, Added> {
public:
    static constexpr std::string_view category = "tally";
    static constexpr unsigned snapshot_version = 1;

    explicit Tally(const Id& id) : AggregateRoot{id} {}

    void add(std::int64_t amount) { raise(Added{amount}); }
    void add(const Amounts& amounts)
    {
        for (const std::int64_t amount : amounts) add(amount);
    }

    /// As many events as there are amounts.
    void take_all_back()
    {
        for (const std::int64_t amount : Amounts{amounts_}) add(-amount);
    }

    const Amounts& amounts() const noexcept { return amounts_; }

private:
    friend escqrs::Access;

    void apply(const Added& event) { amounts_.push_back(event.amount); }

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & amounts_;
    }

    Amounts amounts_;
};

/// The same as a decider.
struct Sum {
    static constexpr std::string_view category = "sum";
    static constexpr unsigned snapshot_version = 1;

    struct State {
        Amounts amounts;

        template <class Archive>
        void serialize(Archive& archive, unsigned /*version*/)
        {
            archive & amounts;
        }
    };
    using Events = escqrs::EventList<Added>;

    struct Add {
        escqrs::DeciderId<Sum> sum;
        Amounts amounts;
    };

    static State initial() { return {}; }
    static std::vector<Added> decide(const Add& command, const State&)
    {
        std::vector<Added> events;
        for (const std::int64_t amount : command.amounts) events.push_back({amount});
        return events;
    }
    static State evolve(State state, const Added& event)
    {
        state.amounts.push_back(event.amount);
        return state;
    }
};

/// Passes everything on, counts what is asked about events, and loses the answers to appends.
class WatchedStore : public escqrs::ForwardingEventStore<escqrs::in_memory::EventStore> {
public:
    escqrs::AppendResult append(const escqrs::StreamId& stream, escqrs::ExpectedVersion expected,
                                std::span<const escqrs::NewEvent> events)
    {
        const auto result = store().append(stream, expected, events);
        if (answers_to_lose > 0) {
            --answers_to_lose;
            throw escqrs::StoreError{"the answer was lost"};
        }
        return result;
    }
    std::optional<escqrs::EventLocation> locate(escqrs::EventId id)
    {
        ++located;
        return store().locate(id);
    }

    int answers_to_lose = 0;
    int located = 0;
};

inline escqrs::Metadata with_command(const escqrs::CommandId& id = escqrs::CommandId{escqrs::random_uuid()})
{
    escqrs::Metadata metadata;
    metadata.command_id = id;
    return metadata;
}

} // namespace tally
