// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Writers, readers and killers race on one PostgreSQL event store, on its own server:
//
//   postgres_race [--seconds 12 | --minutes 10] [--seed 1] [--partition-size 0]
//
// 32 writers by libpq append once or several times in their own transactions, pause before they end them, and roll one
// in ten back, or a part of it; two of them commit in two phases. 8 more append through two event stores; over many
// streams and over few. Other transactions stay open all the time, in this database and in another. Backends are
// terminated and killed, and every 20 seconds so is the whole server. Readers follow from different checkpoints; all
// but the last share a store, and some are slow. In the end every reader must have seen what is in the table of events
// after its checkpoint, once and in order, while the other transactions are still open; and in the table has to be all
// that was committed, and nothing that was rolled back. A naive reader runs as well: it must miss some, or nothing was
// tested.
#include <escqrs/postgres/event_store.hpp>

#include "postgres/server.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace escqrs;
using postgres::Connection;
using postgres::Statement;
using postgres_test::Server;

constexpr std::size_t raw_writers = 32;
constexpr std::size_t store_writers = 8;
constexpr std::size_t readers = 4;
const std::string payload(100, 'p');

struct Race {
    std::string address = Server::shared().address();
    std::atomic<bool> writing{true};
    std::atomic<bool> done{false};
    unsigned seed = 1;
    std::uint64_t partition_size = 0;

    std::mutex mutex;
    std::vector<EventId> committed; ///< and told so; others may be as well
    std::vector<EventId> rolled_back;
    std::vector<EventId> unanswered; ///< their commit may have been done
    std::atomic<std::size_t> losses{0};
    std::atomic<std::size_t> terminated{0};
    std::atomic<std::size_t> killed{0};

    void note(std::vector<EventId>& where, const std::vector<EventId>& ids)
    {
        const std::scoped_lock lock{mutex};
        where.insert(where.end(), ids.begin(), ids.end());
    }
};

std::string stream_name(std::mt19937& random)
{
    const bool is_hot = random() % 4 == 0;
    return (is_hot ? "hot-" : "cold-") + std::to_string(random() % (is_hot ? 3 : 2000));
}

std::vector<EventId> new_ids(std::mt19937& random)
{
    std::vector<EventId> ids(1 + random() % 3);
    for (EventId& id : ids) id = EventId{random_uuid()};
    return ids;
}

/// A writer that calls the function in its own transactions, and takes its time over them.
class HandWriter {
public:
    HandWriter(Race& race, unsigned number) : race_{&race}, number_{number}, random_{race.seed * 1000 + number} {}

    void run()
    {
        while (race_->writing) {
            appended_.clear();
            has_ended_ = false;
            try {
                write();
            } catch (const StoreError&) {
                ++race_->losses;
                race_->note(has_ended_ ? race_->unanswered : race_->rolled_back, appended_);
                append_.reset();
                append_one_.reset();
                insert_.reset();
                connection_.reset();
                std::this_thread::sleep_for(20ms);
            }
        }
        finish_prepared();
    }

private:
    bool one_in(unsigned count) { return random_() % count == 0; }

    void write()
    {
        connect();
        const auto pause = one_in(8) ? 50ms : std::chrono::milliseconds{random_() % 8};
        const bool is_rolled_back = one_in(10);
        postgres::Transaction transaction{*connection_};
        append();
        if (one_in(8)) append_in_vain();
        if (one_in(8)) append();
        std::this_thread::sleep_for(pause);
        if (is_rolled_back) {
            race_->note(race_->rolled_back, appended_);
            return;
        }
        has_ended_ = true; // or it may have: who knows, if the answer is lost
        if (number_ < 2 && one_in(4)) {
            connection_->execute("PREPARE TRANSACTION '" + prepared_name() + "'");
            std::this_thread::sleep_for(pause);
            connection_->execute("COMMIT PREPARED '" + prepared_name() + "'");
        } else {
            transaction.commit();
        }
        race_->note(race_->committed, appended_);
    }

    void connect()
    {
        if (connection_) return;
        finish_prepared();
        connection_ = std::make_unique<Connection>(race_->address + "?application_name=writer");
        append_ = std::make_unique<Statement>(
            *connection_,
            "SELECT positions FROM escqrs.append(ARRAY[$1], ARRAY[-1], ARRAY[cardinality($2::uuid[])], "
            "array_fill(1, ARRAY[cardinality($2)]), ARRAY(SELECT generate_series(0, cardinality($2) - 1)), "
            "$2, array_fill(escqrs.kind('Raced', 1, 'text/plain'), ARRAY[cardinality($2)]), "
            "array_fill(''::bytea, ARRAY[cardinality($2)]), array_fill('x'::bytea, ARRAY[cardinality($2)]), "
            "now())");
        append_one_ = std::make_unique<Statement>(
            *connection_,
            "SELECT escqrs.append_one($1, -1, $2, escqrs.kind('Raced', 1, 'text/plain'), '', 'x', now())");
        insert_ = std::make_unique<Statement>(*connection_, insert_next);
    }

    /// As the store does that knows how a stream ends: after its last event, if there is one.
    static constexpr const char* insert_next =
        "INSERT INTO escqrs.events (stream, version, recorded_at, index_in_append, kind, id, metadata, payload) "
        "SELECT k.stream, k.version + 1, now(), 0, escqrs.kind('Raced', 1, 'text/plain'), $2, '', 'x' "
        "FROM escqrs.streams s JOIN escqrs.event_keys k ON k.stream = s.id WHERE s.name = $1 "
        "ORDER BY k.version DESC LIMIT 1 RETURNING position";

    void append_once(const std::vector<EventId>& ids)
    {
        if (ids.size() == 1) {
            const std::string stream = stream_name(random_);
            if (one_in(2) && insert_->query(stream, ids.front()).size() == 1) return;
            (void)append_one_->query(stream, ids.front());
            return;
        }
        postgres::detail::ArrayValue array{postgres::detail::type_id::uuid};
        for (const EventId& id : ids) array.push(id.value());
        (void)append_->query(stream_name(random_), array);
    }

    void append()
    {
        const auto ids = new_ids(random_);
        appended_.insert(appended_.end(), ids.begin(), ids.end());
        append_once(ids);
    }

    void append_in_vain()
    {
        const postgres::Savepoint part{*connection_};
        const auto ids = new_ids(random_);
        race_->note(race_->rolled_back, ids);
        append_once(ids);
    }

    std::string prepared_name() const { return "writer " + std::to_string(number_); }

    /// A transaction that was prepared outlives its connection and the server, and holds the readers back until it
    /// ends.
    void finish_prepared()
    {
        if (number_ >= 2) return;
        while (true) {
            try {
                Connection{race_->address + "?application_name=writer"}.execute("COMMIT PREPARED '" + prepared_name() +
                                                                                "'");
                return;
            } catch (const postgres::ConnectionLost&) {
                std::this_thread::sleep_for(20ms);
            } catch (const postgres::DatabaseError& error) {
                if (error.state() == "42704") return; // there is none
                std::this_thread::sleep_for(20ms);
            }
        }
    }

    Race* race_;
    unsigned number_;
    std::mt19937 random_;
    std::unique_ptr<Connection> connection_;
    std::unique_ptr<Statement> append_;
    std::unique_ptr<Statement> append_one_;
    std::unique_ptr<Statement> insert_;
    std::vector<EventId> appended_; ///< in this transaction
    bool has_ended_ = false;
};

void write_to_store(Race& race, postgres::EventStore& store, unsigned number)
{
    std::mt19937 random{race.seed * 1000 + number};
    while (race.writing) {
        const auto ids = new_ids(random);
        std::vector<NewEvent> events;
        for (const EventId& id : ids) {
            events.push_back({id, "Raced", 1, "text/plain", std::as_bytes(std::span{payload}), {}});
        }
        try {
            store.append(StreamId::parse(stream_name(random)), ExpectedVersion::any(), events);
            race.note(race.committed, ids);
        } catch (const StoreError&) {
            ++race.losses;
            race.note(race.unanswered, ids);
        }
    }
}

/// An event, and where it is.
struct Place {
    GlobalPosition position;
    EventId id;

    friend auto operator<=>(const Place&, const Place&) = default;
};

/// What a reader saw.
struct Seen {
    GlobalPosition begin{};
    GlobalPosition position{};
    std::vector<Place> places;
    std::size_t disorders = 0;
    std::string stall;

    void show(const RecordedEvent& event)
    {
        if (event.position <= position) ++disorders;
        position = event.position;
        places.push_back({event.position, event.id});
    }

    /// Goes on from where a read has ended, which need not be at an event.
    void pass(GlobalPosition reached)
    {
        if (reached < position) ++disorders;
        position = reached;
    }
};

/// Tries until the server is there again, and nothing that was under way is in the way any more.
template <class Work>
void until_the_server_answers(Work work)
{
    for (int patience = 60;;) {
        try {
            return work();
        } catch (const postgres::ConnectionLost&) {
            if (--patience <= 0) throw;
        } catch (const StoreError&) { // of `head`, which has waited already
            if ((patience -= 30) <= 0) throw;
        }
        std::this_thread::sleep_for(500ms);
    }
}

void read(Race& race, postgres::EventStore& store, Seen& seen, unsigned number)
{
    std::mt19937 random{race.seed * 1000 + 500 + number};
    const EventFilter filter = number % 2 == 0 ? EventFilter{} : EventFilter{.categories = {"hot", "cold"}};
    const bool is_slow = number % 3 != 0;
    const auto read_some = [&](std::size_t at_most) {
        seen.pass(store.read_log(seen.position, at_most, filter, [&](const RecordedEvent& event) {
            seen.show(event);
            if (is_slow && random() % 64 == 0) std::this_thread::sleep_for(std::chrono::milliseconds{random() % 20});
            return true;
        }));
    };
    while (!race.done) {
        try {
            read_some(1 + random() % (is_slow ? 3'000 : 300));
            store.wait_for_events(seen.position, 20ms, {});
        } catch (const StoreError&) {
            ++race.losses;
        }
    }
    try {
        const GlobalPosition head = store.head();
        for (GlobalPosition before{~std::uint64_t{0}}; seen.position < head && seen.position != before;) {
            before = seen.position;
            read_some(10'000);
        }
        if (seen.position < head) {
            seen.stall = "stands at " + std::to_string(seen.position.value()) + " and does not come to " +
                         std::to_string(head.value()) + ", while nobody appends";
        }
    } catch (const StoreError& error) {
        seen.stall = error.what();
    }
}

/// A reader that asks for what is after the highest position seen.
void read_naively(Race& race, std::set<EventId>& seen)
{
    std::unique_ptr<Connection> connection;
    std::int64_t position = 0;
    const auto look = [&] {
        if (!connection) connection = std::make_unique<Connection>(race.address);
        Statement select{*connection, "SELECT position, id FROM escqrs.events WHERE position > $1 ORDER BY position"};
        auto rows = select.query(position);
        while (rows.next()) {
            position = rows.integer(0);
            seen.insert(EventId{rows.uuid(1)});
        }
    };
    while (!race.done) {
        try {
            look();
            std::this_thread::sleep_for(1ms);
        } catch (const StoreError&) {
            connection.reset();
        }
    }
    until_the_server_answers(look);
}

/// Transactions that concern no writer or reader, and stay open; opened anew when the server has died.
class Bystanders {
public:
    explicit Bystanders(std::string address) : address_{std::move(address)} {}

    void open()
    {
        others_.clear();
        // Locks that only just are not this store's: of another tag, and in another database.
        std::int64_t tag = 0;
        {
            Connection connection{address_};
            Statement select{connection, "SELECT 'escqrs.positions'::regclass::oid::bigint & 65535"};
            auto rows = select.query();
            if (rows.next()) tag = rows.integer(0);
        }
        for (const char* const database : {"/postgres", "/elsewhere"}) {
            const std::int64_t tag_of_lock = database == std::string_view{"/postgres"} ? tag ^ 1 : tag;
            auto& other = others_.emplace_back(std::make_unique<Connection>(address_.substr(0, address_.rfind('/')) +
                                                                            database + "?application_name=bystander"));
            other->execute("CREATE TABLE IF NOT EXISTS bystander (n integer)");
            other->execute("BEGIN ISOLATION LEVEL REPEATABLE READ; INSERT INTO bystander VALUES (1); "
                           "SELECT pg_advisory_xact_lock_shared(" +
                           std::to_string(tag_of_lock) + "::bigint << 48)");
        }
    }
    bool are_open() const
    {
        bool all = !others_.empty();
        for (const auto& other : others_) {
            PQclear(PQexec(other->handle(), "SELECT 1"));
            all = all && other->in_transaction();
        }
        return all;
    }

private:
    std::string address_;
    std::vector<std::unique_ptr<Connection>> others_;
};

void kill_some_backend(Race& race, std::mt19937& random, bool by_signal)
{
    try {
        Connection connection{race.address};
        Statement select{connection,
                         "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND "
                         "datname = 'postgres' AND pid <> pg_backend_pid() AND application_name <> 'bystander'"};
        auto rows = select.query();
        for (std::size_t skipped = random() % std::max<std::size_t>(rows.size(), 1); rows.next();) {
            if (skipped-- > 0) continue;
            if (by_signal) {
                ::kill(static_cast<pid_t>(rows.integer(0)), SIGKILL);
                ++race.killed;
            } else {
                Statement terminate{connection, "SELECT pg_terminate_backend($1::integer)"};
                (void)terminate.query(rows.integer(0));
                ++race.terminated;
            }
            return;
        }
    } catch (const StoreError&) { // NOLINT(bugprone-empty-catch): the server is starting again
    }
}

std::size_t count_missing(const std::vector<Place>& from, const std::vector<Place>& in)
{
    std::vector<Place> missing;
    std::ranges::set_difference(from, in, std::back_inserter(missing));
    return missing.size();
}

/// What is in the table of events, when no writer is left.
struct Table {
    std::vector<Place> places;
    std::set<EventId> ids;
    std::size_t disorders = 0; ///< positions and versions of a stream that do not go up together, by one
};

Table read_table(const Race& race)
{
    Connection connection{race.address};
    Statement select{connection, "SELECT position, id, stream, version FROM escqrs.events ORDER BY position"};
    auto rows = select.query();
    Table table;
    std::map<std::int64_t, std::int64_t> versions;
    while (rows.next()) {
        const EventId id{rows.uuid(1)};
        table.places.push_back({GlobalPosition{static_cast<std::uint64_t>(rows.integer(0))}, id});
        table.ids.insert(id);
        if (rows.integer(3) != ++versions[rows.integer(2)]) ++table.disorders;
    }
    return table;
}

std::size_t judge(const Race& race, const std::vector<Seen>& seen, const std::set<EventId>& naive)
{
    const Table table = read_table(race);
    const auto is_stored = [&](const EventId& id) { return table.ids.contains(id); };
    const auto lost =
        race.committed.size() - static_cast<std::size_t>(std::ranges::count_if(race.committed, is_stored));
    const auto kept = static_cast<std::size_t>(std::ranges::count_if(race.rolled_back, is_stored));
    std::printf("stored %zu; committed %zu, lost %zu; rolled back %zu, stored nevertheless %zu; out of order %zu\n",
                table.places.size(), race.committed.size(), lost, race.rolled_back.size(), kept, table.disorders);
    std::printf("commits unanswered: of %zu events, %zu stored\n", race.unanswered.size(),
                static_cast<std::size_t>(std::ranges::count_if(race.unanswered, is_stored)));
    std::size_t faults = lost + kept + table.disorders;

    for (std::size_t reader = 0; reader < seen.size(); ++reader) {
        const Seen& found = seen[reader];
        std::vector<Place> due;
        std::ranges::copy_if(table.places, std::back_inserter(due),
                             [&](const Place& place) { return place.position > found.begin; });
        std::vector<Place> shown = found.places;
        std::ranges::sort(shown);
        const auto unique = std::ranges::unique(shown);
        const std::size_t doubled = unique.size();
        shown.erase(unique.begin(), unique.end());
        const std::size_t missed = count_missing(due, shown);
        const std::size_t invented = count_missing(shown, due);
        std::printf("reader %zu from %llu: saw %zu, missed %zu, out of order %zu, doubled %zu, not stored %zu\n",
                    reader, static_cast<unsigned long long>(found.begin.value()), found.places.size(), missed,
                    found.disorders, doubled, invented);
        if (!found.stall.empty()) std::printf("reader %zu is held up: %s\n", reader, found.stall.c_str());
        faults += missed + found.disorders + doubled + invented + (found.stall.empty() ? 0U : 1U);
    }
    std::size_t naively_missed = 0;
    for (const Place& place : table.places) naively_missed += naive.contains(place.id) ? 0U : 1U;
    std::printf("naive reader: missed %zu\n", naively_missed);
    if (naively_missed == 0) {
        std::printf("nothing was tried: the naive reader missed nothing\n");
        ++faults;
    }
    return faults;
}

/// Checks, when no append is left, that the log can be read to its end, whatever the bystanders do.
/// @return what is in the way, in words; empty if nothing is
std::string hold_up(const Race& race)
{
    Connection connection{race.address};
    const auto text_of = [&](const char* sql) {
        Statement select{connection, sql};
        auto rows = select.query();
        std::string text;
        while (rows.next()) text.append(text.empty() ? "" : "; ").append(rows.text(0));
        return text;
    };
    const std::string found = text_of("SELECT 'readable up to ' || escqrs.readable_until() || ' of ' || max(position) "
                                      "FROM escqrs.events HAVING escqrs.readable_until() <> max(position)");
    if (found.empty()) return {};
    return found + "; locks: " +
           text_of("SELECT format('%s of %s, transaction %s', l.mode, coalesce(a.application_name, 'nobody'), "
                   "l.virtualtransaction) FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) "
                   "WHERE l.locktype = 'advisory'");
}

int run(Race& race, std::chrono::steady_clock::duration duration)
{
    {
        Connection connection{race.address};
        connection.execute("CREATE DATABASE elsewhere");
    }
    postgres::EventStore one{race.address,
                             {.max_writers = 3, .partition_size = race.partition_size, .reconnect_timeout = 30s}};
    postgres::EventStore two{race.address, {.reconnect_timeout = 30s}};
    postgres::EventStore shared{race.address, {.max_readers = 3, .reconnect_timeout = 30s}};
    postgres::EventStore alone{race.address, {.max_readers = 1, .reconnect_timeout = 30s}};
    Bystanders bystanders{race.address};
    bystanders.open();
    std::vector<Seen> seen(readers);
    std::set<EventId> naive;
    std::vector<std::jthread> writing;
    std::vector<std::jthread> reading;
    const struct End { // the threads', whatever ends this function
        Race& race;
        ~End()
        {
            race.writing = false;
            race.done = true;
        }
    } end{race};
    for (unsigned number = 0; number < raw_writers; ++number) {
        writing.emplace_back([&, number] { HandWriter{race, number}.run(); });
    }
    for (unsigned number = 0; number < store_writers; ++number) {
        writing.emplace_back([&, number] { write_to_store(race, number % 2 == 0 ? one : two, 100 + number); });
    }
    reading.emplace_back([&] { read_naively(race, naive); });

    std::mt19937 random{race.seed};
    std::size_t restarts = 0;
    const auto between_restarts = std::min<std::chrono::steady_clock::duration>(duration / 2, 20s);
    const auto begin = std::chrono::steady_clock::now();
    const auto passed = [&] { return std::chrono::steady_clock::now() - begin; };
    // By what has been done as well as by the time: on a slow machine one restart of the server may take all of it.
    const auto is_whole = [&] { return reading.size() > readers && restarts > 0 && race.terminated > 0; };
    for (std::size_t tick = 0; passed() < duration || !is_whole(); ++tick) {
        while (reading.size() <= readers && passed() > duration * (reading.size() - 1) / (2 * readers)) {
            Seen& next = seen[reading.size() - 1];
            if (reading.size() > 1) until_the_server_answers([&] { next.begin = next.position = one.head(); });
            const auto number = static_cast<unsigned>(reading.size());
            postgres::EventStore& store = number < readers ? shared : alone;
            reading.emplace_back([&, number] { read(race, store, next, number); });
        }
        std::this_thread::sleep_for(200ms);
        if (tick % 3 == 1) kill_some_backend(race, random, tick % 18 == 10);
        if (passed() > between_restarts * (restarts + 1)) {
            Server::shared().restart(true);
            ++restarts;
        }
        if (!bystanders.are_open()) until_the_server_answers([&] { bystanders.open(); });
    }
    race.writing = false;
    writing.clear();
    const std::string held_up = hold_up(race);
    race.done = true;
    reading.clear(); // each has read to the end
    const bool are_bystanders_gone = !bystanders.are_open();
    std::printf("answers lost %zu; backends terminated %zu, killed %zu; server killed %zu times\n", race.losses.load(),
                race.terminated.load(), race.killed.load(), restarts);
    if (are_bystanders_gone) std::printf("the transactions of others were to be open all the time\n");
    if (!held_up.empty()) std::printf("the log is held up: %s\n", held_up.c_str());
    return judge(race, seen, naive) == 0 && held_up.empty() && !are_bystanders_gone ? 0 : 1;
}

} // namespace

int main(int argc, char** argv)
{
    std::chrono::seconds duration{12};
    Race race;
    for (int index = 1; index + 1 < argc; index += 2) {
        const std::string_view name = argv[index];
        const long value = std::atol(argv[index + 1]);
        if (name == "--seconds") duration = std::chrono::seconds{value};
        if (name == "--minutes") duration = std::chrono::minutes{value};
        if (name == "--partition-size") race.partition_size = static_cast<std::uint64_t>(value);
        if (name == "--seed") race.seed = static_cast<unsigned>(value);
    }
    try {
        return run(race, duration);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
