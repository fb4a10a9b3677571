// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Writers, readers and killers race on one PostgreSQL event store, on a server of its own:
//
//   postgres_race [--seconds 12 | --minutes 10] [--seed 1]
//
// 32 writers by libpq append in transactions of their own, pause before they end them, and roll one in ten back; 8 more append
// through two event stores; over many streams and over few. Other transactions stay open all the time, in this database and
// in another. Backends are terminated and killed, and so is the whole server. Readers follow from different checkpoints.
// In the end every reader has to have seen every committed event behind its checkpoint once, in order, while the other
// transactions are still open. A naive reader runs beside them: it has to miss some, or nothing was tried.
#include <escqrs/postgres/event_store.hpp>

#include "postgres/server.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
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

    std::mutex mutex;
    std::set<EventId> committed;
    std::set<EventId> rolled_back;
    std::set<EventId> unknown; ///< the answer to their commit was lost
    std::atomic<std::size_t> losses{0};
    std::atomic<std::size_t> terminated{0};
    std::atomic<std::size_t> killed{0};

    void note(std::set<EventId>& where, const std::vector<EventId>& ids)
    {
        const std::scoped_lock lock{mutex};
        where.insert(ids.begin(), ids.end());
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

/// One who calls the function in a transaction of its own, and takes its time over it.
void write_by_hand(Race& race, unsigned number)
{
    std::mt19937 random{race.seed * 1000 + number};
    std::unique_ptr<Connection> connection;
    std::unique_ptr<Statement> append;
    while (race.writing) {
        const auto ids = new_ids(random);
        bool is_ending = false;
        try {
            if (!connection) {
                connection = std::make_unique<Connection>(race.address + "?application_name=writer");
                append = std::make_unique<Statement>(
                    *connection,
                    "SELECT positions FROM escqrs.append(ARRAY[$1], ARRAY[-1], ARRAY[cardinality($2::uuid[])], "
                    "array_fill(1, ARRAY[cardinality($2)]), ARRAY(SELECT generate_series(0, cardinality($2) - 1)), "
                    "$2, array_fill(escqrs.kind('Raced', 1, 'text/plain'), ARRAY[cardinality($2)]), "
                    "array_fill(''::bytea, ARRAY[cardinality($2)]), array_fill('x'::bytea, ARRAY[cardinality($2)]), "
                    "now())");
            }
            postgres::detail::ArrayValue array{postgres::detail::type_id::uuid};
            for (const EventId& id : ids) array.push(id.value());
            postgres::Transaction transaction{*connection};
            (void)append->query(stream_name(random), array);
            std::this_thread::sleep_for(random() % 8 == 0 ? 50ms : std::chrono::milliseconds{random() % 8});
            if (random() % 10 == 0) {
                race.note(race.rolled_back, ids);
                continue;
            }
            is_ending = true;
            transaction.commit();
            race.note(race.committed, ids);
        } catch (const StoreError&) {
            ++race.losses;
            race.note(is_ending ? race.unknown : race.rolled_back, ids);
            append.reset();
            connection.reset();
            std::this_thread::sleep_for(20ms);
        }
    }
}

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
            race.note(race.unknown, ids);
        }
    }
}

/// What a reader saw.
struct Seen {
    GlobalPosition begin{};
    GlobalPosition position{};
    std::map<EventId, GlobalPosition> ids;
    std::map<StreamId, StreamVersion> versions;
    std::size_t disorders = 0;
    std::size_t doubles = 0;

    void show(const RecordedEvent& event)
    {
        if (event.position <= position) ++disorders;
        position = event.position;
        const auto [known, is_new] = versions.try_emplace(event.stream, event.version);
        if (!is_new && event.version != known->second.next()) ++disorders;
        known->second = event.version;
        if (!ids.emplace(event.id, event.position).second) ++doubles;
    }
};

void read(Race& race, Seen& seen, unsigned number)
{
    std::mt19937 random{race.seed * 1000 + 500 + number};
    postgres::EventStore store{race.address, {.max_readers = 1, .reconnect_timeout = 30s}};
    while (!race.done) {
        try {
            store.read_log(seen.position, 1 + random() % 300, [&](const RecordedEvent& event) {
                seen.show(event);
                return true;
            });
            store.wait_for_events(seen.position, 20ms, {});
        } catch (const StoreError&) {
            ++race.losses;
        }
    }
    const GlobalPosition head = store.head();
    while (seen.position < head) {
        store.read_log(seen.position, 10'000, [&](const RecordedEvent& event) {
            seen.show(event);
            return true;
        });
    }
}

/// One who asks for what is behind the highest position seen.
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
    look();
}

/// Transactions that have to do with nobody, and stay open; opened anew when the server has died.
class Bystanders {
public:
    explicit Bystanders(std::string address) : address_{std::move(address)} {}

    void open()
    {
        others_.clear();
        for (const char* const database : {"/postgres", "/elsewhere"}) {
            auto& other =
                others_.emplace_back(std::make_unique<Connection>(address_.substr(0, address_.rfind('/')) + database));
            other->execute("CREATE TABLE IF NOT EXISTS bystander (n integer)");
            other->execute("BEGIN ISOLATION LEVEL REPEATABLE READ; INSERT INTO bystander VALUES (1); "
                           "SELECT pg_advisory_xact_lock(1)");
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
                         "datname = 'postgres' AND pid <> pg_backend_pid() AND query NOT LIKE '%bystander%' "
                         "AND query NOT LIKE '%advisory_xact_lock(1)%'"};
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

template <class Work>
void until_the_server_answers(Work work)
{
    for (int attempt = 0;; ++attempt) {
        try {
            return work();
        } catch (const StoreError&) {
            if (attempt == 600) throw;
            std::this_thread::sleep_for(50ms);
        }
    }
}

std::size_t judge(const Race& race, const std::vector<Seen>& seen, const std::set<EventId>& naive)
{
    std::size_t faults = 0;
    // Where an event is, the first reader tells, which has to have seen all.
    for (std::size_t reader = 0; reader < seen.size(); ++reader) {
        const Seen& found = seen[reader];
        std::size_t missed = 0;
        std::size_t invented = 0;
        for (const EventId& id : race.committed) {
            const auto place = seen[0].ids.find(id);
            const bool is_due = place == seen[0].ids.end() || place->second > found.begin;
            if (is_due && !found.ids.contains(id)) ++missed;
        }
        for (const auto& [id, position] : found.ids) invented += race.rolled_back.count(id);
        std::printf("reader %zu from %llu: saw %zu, missed %zu, out of order %zu, doubled %zu, rolled back %zu\n",
                    reader, static_cast<unsigned long long>(found.begin.value()), found.ids.size(), missed,
                    found.disorders, found.doubles, invented);
        faults += missed + found.disorders + found.doubles + invented;
    }
    std::size_t naively_missed = 0;
    for (const EventId& id : race.committed) naively_missed += naive.contains(id) ? 0U : 1U;
    std::printf("naive reader: missed %zu\n", naively_missed);
    if (naively_missed == 0) {
        std::printf("nothing was tried: the naive reader missed nothing\n");
        ++faults;
    }
    return faults;
}

int run(Race& race, std::chrono::steady_clock::duration duration)
{
    {
        Connection connection{race.address};
        connection.execute("CREATE DATABASE elsewhere");
    }
    postgres::EventStore one{race.address, {.max_writers = 3, .reconnect_timeout = 30s}};
    postgres::EventStore two{race.address, {.reconnect_timeout = 30s}};
    Bystanders bystanders{race.address};
    bystanders.open();
    std::vector<Seen> seen(readers);
    std::set<EventId> naive;
    std::vector<std::jthread> writing;
    std::vector<std::jthread> reading;
    for (unsigned number = 0; number < raw_writers; ++number) {
        writing.emplace_back([&, number] { write_by_hand(race, number); });
    }
    for (unsigned number = 0; number < store_writers; ++number) {
        writing.emplace_back([&, number] { write_to_store(race, number % 2 == 0 ? one : two, 100 + number); });
    }
    reading.emplace_back([&] { read_naively(race, naive); });

    std::mt19937 random{race.seed};
    std::size_t restarts = 0;
    const auto begin = std::chrono::steady_clock::now();
    const auto passed = [&] { return std::chrono::steady_clock::now() - begin; };
    for (std::size_t tick = 0; passed() < duration; ++tick) {
        while (reading.size() <= readers && passed() > duration * (reading.size() - 1) / (2 * readers)) {
            Seen& next = seen[reading.size() - 1];
            if (reading.size() > 1) until_the_server_answers([&] { next.begin = next.position = one.head(); });
            const auto number = static_cast<unsigned>(reading.size());
            reading.emplace_back([&, number] { read(race, next, number); });
        }
        std::this_thread::sleep_for(200ms);
        if (tick % 3 == 1) kill_some_backend(race, random, tick % 18 == 10);
        if (restarts == 0 && passed() > duration / 2) {
            Server::shared().restart(true);
            ++restarts;
        }
        if (!bystanders.are_open()) until_the_server_answers([&] { bystanders.open(); });
    }
    race.writing = false;
    writing.clear();
    until_the_server_answers([&] { (void)one.head(); });
    race.done = true;
    reading.clear(); // each has read to the end
    const bool was_held_up = !bystanders.are_open();
    std::printf("committed %zu, rolled back %zu, unknown %zu; answers lost %zu, backends terminated %zu, killed %zu; "
                "server killed "
                "%zu times\n",
                race.committed.size(), race.rolled_back.size(), race.unknown.size(), race.losses.load(),
                race.terminated.load(), race.killed.load(), restarts);
    if (was_held_up) std::printf("the transactions of others were to be open all the time\n");
    return judge(race, seen, naive) == 0 && !was_held_up ? 0 : 1;
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
        if (name == "--seed") race.seed = static_cast<unsigned>(value);
    }
    try {
        return run(race, duration);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
