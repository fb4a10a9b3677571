// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// A long stream: snapshots keep loading quick, and are never more than a shortcut.
#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>

#include <cstdint>
#include <iostream>

struct VisitorsCounted {
    static constexpr std::string_view event_name = "VisitorsCounted";
    std::uint32_t count = 0;

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("count", count);
    }
};

/// The turnstile at the library's door.
class Turnstile : public escqrs::AggregateRoot<Turnstile, VisitorsCounted> {
public:
    static constexpr std::string_view category = "turnstile";
    static constexpr unsigned snapshot_version = 1;

    explicit Turnstile(const Id& id) : AggregateRoot{id} {}

    void count(std::uint32_t visitors) { raise(VisitorsCounted{visitors}); }
    std::uint64_t visitors() const noexcept { return visitors_; }

private:
    friend escqrs::Access;

    void apply(const VisitorsCounted& event) { visitors_ += event.count; }

    template <class Archive>
    void serialize(Archive& archive, unsigned /*version*/)
    {
        archive & escqrs::field("visitors", visitors_);
    }

    std::uint64_t visitors_ = 0;
};

int main()
{
    escqrs::in_memory::EventStore store;
    escqrs::RepositoryOptions options;
    options.snapshots = escqrs::SnapshotPolicy::every(100);
    const escqrs::Repository<Turnstile, escqrs::in_memory::EventStore> turnstiles{store, options};

    const auto id = Turnstile::Id::parse("00000000-0000-4000-8000-000000000001");
    Turnstile door{id};
    for (int minute = 0; minute < 1440; ++minute) {
        door.count(2);
        turnstiles.save(door);
    }

    const auto stream = escqrs::StreamId{Turnstile::category, id.value()};
    store.read_snapshot(stream, [](const escqrs::Snapshot& snapshot) {
        std::cout << "a snapshot holds the first " << snapshot.version.value() << " events\n";
    });
    std::cout << turnstiles.get(id).visitors() << " visitors in " << turnstiles.get(id).version().value()
              << " events\n";

    // Whatever happens to the snapshot, the events give the same.
    store.write_snapshot(stream, {escqrs::StreamVersion{1400}, 1, escqrs::archive::Binary::content_type, {}});
    std::cout << turnstiles.get(id).visitors() << " visitors after the snapshot was damaged\n";
}
