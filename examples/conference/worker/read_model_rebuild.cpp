// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "read_model_rebuild.hpp"

#include "../application/attendee_events.hpp"
#include "../postgres/address.hpp"
#include "../read_model/progress.hpp"

#include <escqrs/core/error.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <type_traits>
#include <utility>

namespace conference {
namespace {

constexpr std::size_t page_size = 500;

/// Lets statements take the time that emptying a large table needs.
class Patience {
public:
    explicit Patience(read_model::DatabaseRef database)
        : database_{std::move(database)}, before_{set(std::chrono::hours{1})}
    {
    }
    Patience(const Patience&) = delete;
    Patience& operator=(const Patience&) = delete;
    ~Patience() { set(before_); } // NOLINT(bugprone-exception-escape): it sets a number

private:
    escqrs::Duration set(escqrs::Duration timeout)
    {
        return database_.visit([&]<class Given>(Given& given) {
            escqrs::Duration before{};
            if constexpr (std::is_same_v<Given, escqrs::postgres::Connection>) {
                before = given.options().answer_timeout;
                given.set_answer_timeout(timeout);
            }
            return before;
        });
    }

    read_model::DatabaseRef database_;
    escqrs::Duration before_;
};

/// Publishes the events of a log, one after the other.
class Replay {
public:
    Replay(const read_model::DatabaseRef& read_model, escqrs::EventBus& bus)
        : checkpoint_{read_model, "attendees"}, bus_{&bus}
    {
    }

    void clear() { checkpoint_.clear(); }

    void show(const escqrs::RecordedEvent& recorded)
    {
        try {
            escqrs::EventContext context = escqrs::context_of(recorded);
            context.is_replay = true;
            if (checkpoint_.advance(context.stream, context.version) != escqrs::Advance::apply)
                throw escqrs::StoreError{"its version is not the next one of its stream"};
            codec_.decode(escqrs::encoded(recorded), scratch_, [&](const auto& event) {
                bus_->publish(event, context);
                ++context.part;
            });
        } catch (const escqrs::Error& cause) {
            std::throw_with_nested(
                escqrs::HydrationError{recorded.stream, recorded.version, recorded.position, cause.what()});
        }
    }

private:
    read_model::StreamCheckpoint checkpoint_;
    escqrs::EventBus* bus_;
    AttendeeCodec codec_;
    AttendeeCodec::Scratch scratch_;
};

bool is_in_order(const std::string& path)
{
    try {
        escqrs::sqlite::Database database{path};
        escqrs::sqlite::Statement check{database, "PRAGMA quick_check(1)"};
        auto rows = check.query();
        return rows.next() && rows.text(0) == "ok";
    } catch (const escqrs::sqlite::DatabaseError& error) {
        const int code = error.code() & 0xFF;
        if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) return false;
        throw;
    }
}

} // namespace

std::optional<std::uint64_t> rebuild_read_model(escqrs::AnyEventStore& store, const read_model::DatabaseRef& read_model,
                                                escqrs::EventBus& bus, const std::stop_token& stop,
                                                const std::function<void(std::uint64_t)>& on_event)
{
    const Patience patience{read_model};
    read_model::Progress progress{read_model};
    Replay replay{read_model, bus};
    read_model::Transaction transaction{read_model};
    const escqrs::GlobalPosition end = store.head();
    if (end == escqrs::GlobalPosition{} && progress.figures().events != 0)
        throw escqrs::StoreError{"the event store has no events, and the read model has: is it the right store?"};
    read_model::Statement{read_model, "DELETE FROM attendee"}.run();
    replay.clear();
    progress.restart();

    std::uint64_t events = 0;
    escqrs::GlobalPosition reached;
    while (reached < end && !stop.stop_requested()) {
        const auto before = reached;
        reached = store.read_log(before, page_size, [&](const escqrs::RecordedEvent& event) {
            if (event.position > end || stop.stop_requested()) return false;
            replay.show(event);
            on_event(++events);
            return true;
        });
        if (reached == before) break;
    }
    if (stop.stop_requested()) return std::nullopt;
    progress.add_events(events);
    transaction.commit();
    return events;
}

std::optional<std::string> move_away_if_damaged(const std::string& place)
{
    namespace fs = std::filesystem;
    if (postgres::is_address(place) || !fs::exists(place) || is_in_order(place)) return std::nullopt;
    const std::string away = place + "-damaged";
    fs::rename(place, away);
    for (const char* const suffix : {"-wal", "-shm"}) {
        if (fs::exists(place + suffix)) fs::rename(place + suffix, away + suffix);
    }
    return away;
}

} // namespace conference
