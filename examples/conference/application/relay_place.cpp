// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "relay_place.hpp"

#include "../postgres/limits.hpp"
#include "storage.hpp"

#include <escqrs/postgres/checkpoint.hpp>
#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/lease.hpp>
#include <escqrs/postgres/parking_lot.hpp>
#include <escqrs/postgres/schema.hpp>
#include <escqrs/sqlite/checkpoint.hpp>
#include <escqrs/sqlite/parking_lot.hpp>

#include <array>
#include <string>
#include <utility>

namespace conference {
namespace {

/// A place whose parked streams are in a lot of the library's.
template <class Lot>
class PlaceWithLot : public RelayPlace {
public:
    bool is_empty() override { return lot().is_empty(); }
    std::optional<escqrs::ParkedStream> find(const escqrs::StreamId& stream) override { return lot().find(stream); }
    std::vector<escqrs::ParkedStream> all() override { return lot().all(); }
    void put(const escqrs::ParkedStream& parked) override { lot().put(parked); }
    void remove(const escqrs::StreamId& stream) override { lot().remove(stream); }

private:
    virtual Lot& lot() = 0;
};

/// Not forced to disk: what a power cut takes back of it is sent again. The queue drops that by its message ids, within its
/// window, and the worker by the versions it has seen.
class FilePlace : public PlaceWithLot<escqrs::sqlite::ParkingLot> {
public:
    explicit FilePlace(const Settings& settings)
        : database_{settings.store.scheme == "memory" ? ":memory:" : relay_place_file(settings),
                    {escqrs::sqlite::Synchronous::normal, file_busy_timeout}}
    {
    }

private:
    escqrs::Bookmark do_load() override { return checkpoint_.bookmark(); }
    void do_save(const escqrs::Bookmark& mark) override { checkpoint_.save_bookmark(mark); }
    escqrs::sqlite::ParkingLot& lot() override { return lot_; }

    escqrs::sqlite::Database database_;
    escqrs::sqlite::Checkpoint checkpoint_{database_, "relay"};
    escqrs::sqlite::ParkingLot lot_{database_, "relay"};
};

constexpr std::array hole_steps{R"sql(
    CREATE TABLE {s}.relay_holes (
        only_row integer PRIMARY KEY CHECK (only_row = 1),
        position bigint NOT NULL, -- counted up to there
        holes    bigint NOT NULL
    );
    INSERT INTO {s}.relay_holes VALUES (1, 0, 0);
)sql"};

/// How many positions of a log hold no event, up to one of them.
class Holes {
public:
    explicit Holes(escqrs::postgres::Connection& connection)
        : select_{with_table(connection), "SELECT position, holes FROM conference.relay_holes"},
          update_{connection, "UPDATE conference.relay_holes SET position = $1, holes = $2"}
    {
    }

    void load()
    {
        auto row = select_.query();
        if (!row.next()) return;
        position_ = saved_position_ = static_cast<std::uint64_t>(row.integer(0));
        count_ = saved_count_ = static_cast<std::uint64_t>(row.integer(1));
    }

    /// Seldom, for what is not saved is counted again.
    void save_if_due()
    {
        constexpr std::uint64_t often_enough = 100'000;
        if (count_ == saved_count_ && position_ - saved_position_ < often_enough) return;
        update_.run(position_, count_);
        saved_position_ = position_;
        saved_count_ = count_;
    }

    void clear() noexcept { position_ = count_ = 0; }
    std::uint64_t position() const noexcept { return position_; }
    std::uint64_t count() const noexcept { return count_; }

    void pass(std::uint64_t position) noexcept
    {
        if (position <= position_) return;
        count_ += position - position_ - 1;
        position_ = position;
    }

private:
    static escqrs::postgres::Connection& with_table(escqrs::postgres::Connection& connection)
    {
        escqrs::postgres::migrate(connection, "conference", {"conference relay", hole_steps});
        return connection;
    }

    escqrs::postgres::Statement select_;
    escqrs::postgres::Statement update_;
    std::uint64_t position_ = 0;
    std::uint64_t count_ = 0;
    std::uint64_t saved_position_ = 0;
    std::uint64_t saved_count_ = 0;
};

/// Who relays holds a lease, and renews it with each look at the place. It runs out by the server's clock when that process
/// dies, is cut off, or is paused; then another takes it, and the place is closed to the old one.
class SharedPlace : public PlaceWithLot<escqrs::postgres::ParkingLot> {
public:
    SharedPlace(const std::string& address, std::stop_token give_up)
        : connection_{address, postgres::limited(postgres::answer_timeout, std::move(give_up))}
    {
    }

    ~SharedPlace() override
    {
        try {
            lease_.release();
        } catch (...) { // NOLINT(bugprone-empty-catch): it runs out by itself
        }
    }

    void put(const escqrs::ParkedStream& parked) override
    {
        change([&] { lot_.put(parked); });
    }

    void remove(const escqrs::StreamId& stream) override
    {
        change([&] { lot_.remove(stream); });
    }

    void count_holes(escqrs::AnyEventStore& store, const std::stop_token& stop) override
    {
        constexpr std::size_t page = 1000;
        if (is_counted_) return;
        const std::uint64_t end = load().value();
        if (holes_.position() > end) holes_.clear(); // the place was set back
        while (holes_.position() < end) {
            const std::uint64_t before = holes_.position();
            store.read_log(escqrs::GlobalPosition{before}, page, [&](const escqrs::RecordedEvent& event) {
                if (event.position.value() <= end) holes_.pass(event.position.value());
                return event.position.value() < end;
            });
            if (holes_.position() == before) break;
            holes_.save_if_due();
            if (stop.stop_requested()) return;
            (void)lease_.acquire(); // renewed, for this may take long
        }
        holes_.save_if_due();
        show_holes(holes_.count());
        is_counted_ = true;
    }

    void pass(escqrs::GlobalPosition position) noexcept override
    {
        if (is_counted_) holes_.pass(position.value());
    }

private:
    escqrs::postgres::ParkingLot& lot() override { return lot_; }

    /// In a transaction that only the process that relays can commit.
    template <class Change>
    void change(Change make_change)
    {
        try {
            auto transaction = checkpoint_.begin();
            make_change();
            transaction.commit_bookmark(transaction.bookmark());
        } catch (const escqrs::postgres::LeaseLost& error) {
            throw RelayedElsewhere{error.what()};
        }
    }

    escqrs::Bookmark do_load() override
    {
        const bool was_relaying = std::exchange(is_relaying_, lease_.acquire());
        if (!was_relaying) { // another process may have relayed
            holes_.load();
            is_counted_ = false;
        }
        show_holes(holes_.count());
        if (is_relaying_) return checkpoint_.bookmark();
        show(checkpoint_.load());
        throw RelayedElsewhere{"relayed by another process"};
    }

    void do_save(const escqrs::Bookmark& mark) override
    {
        try {
            checkpoint_.save_bookmark(mark);
        } catch (const escqrs::postgres::LeaseLost& error) {
            throw RelayedElsewhere{error.what()};
        }
        if (is_counted_) holes_.save_if_due();
        show_holes(holes_.count());
        (void)lease_.acquire(); // renewed while there is much to relay; if it is lost, the next save tells
    }

    escqrs::postgres::Connection connection_;
    escqrs::postgres::Lease lease_{connection_, "conference-relay", {.schema = "conference"}};
    escqrs::postgres::Checkpoint checkpoint_{connection_, "conference-relay", lease_};
    escqrs::postgres::ParkingLot lot_{connection_, "conference-relay", "conference"};
    Holes holes_{connection_};
    bool is_relaying_ = false;
    bool is_counted_ = false; ///< the holes are, up to the place
};

} // namespace

escqrs::Bookmark RelayPlace::bookmark()
{
    const auto mark = do_load();
    show(mark.position);
    return mark;
}

void RelayPlace::save_bookmark(const escqrs::Bookmark& mark)
{
    do_save(mark);
    show(mark.position);
}

std::string relay_place_file(const Settings& settings) { return settings.store.rest + "-relay"; }

std::unique_ptr<RelayPlace> open_relay_place(const Settings& settings, std::stop_token give_up)
{
    if (settings.store.scheme == "postgres")
        return std::make_unique<SharedPlace>(settings.store.rest, std::move(give_up));
    return std::make_unique<FilePlace>(settings);
}

} // namespace conference
