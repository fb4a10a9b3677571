// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/sqlite/parking_lot.hpp>

#include <escqrs/core/id_generator.hpp>
#include <escqrs/projections/projection.hpp>
#include <escqrs/sqlite/checkpoint.hpp>
#include <escqrs/sqlite/event_store.hpp>
#include <escqrs/testing/catch2.hpp>

#include "support/temporary_folder.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <map>
#include <random>
#include <spawn.h>
#include <stdexcept>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

// The projection is a separate process: this program again, with its task in the environment. It handles events, parks
// those it cannot handle, and replays what is parked, until it is killed; then another one continues.

namespace {

using namespace escqrs;

constexpr const char* folder_variable = "ESCQRS_PROJECTION_CRASH_FOLDER";
constexpr const char* child_test = "a projection of the projection's crash test";
constexpr int rounds = 25;
constexpr unsigned streams = 12;

struct Happened {
    static constexpr std::string_view event_name = "Happened";
    template <class Archive>
    void serialize(Archive&, unsigned /*version*/)
    {
    }
};

/// Writes down each event once it has been handled; fails for one event in seven, until that is repaired.
struct Journal {
    using Events = EventList<Happened>;

    explicit Journal(sqlite::Database& database)
        : insert{database, "INSERT INTO journal (stream, version) VALUES (?, ?)"},
          select_repaired{database, "SELECT version FROM repaired"}
    {
    }

    void handle(const Happened&, const EventContext& context)
    {
        insert.run(context.stream.text(), context.version.value());
        if (context.version.value() % 7 == 0 && context.version.value() > mended_until()) {
            throw std::runtime_error{"not repaired yet"};
        }
    }
    std::uint64_t mended_until()
    {
        auto rows = select_repaired.query();
        return rows.next() ? static_cast<std::uint64_t>(rows.integer(0)) : 0;
    }
    void clear() {}

    sqlite::Statement insert;
    sqlite::Statement select_repaired;
};

/// What a process needs to continue where the last one was killed.
struct Program {
    explicit Program(const std::string& folder) : store{folder + "/events.db"}, database{folder + "/model.db"} {}

    static SubscriptionOptions options()
    {
        SubscriptionOptions options;
        options.page_size = 20;
        return options;
    }

    sqlite::EventStore store;
    sqlite::Database database;
    sqlite::Checkpoint place{database, "journal"};
    sqlite::ParkingLot lot{database, "journal"};
    Journal journal{database};
    Projection<sqlite::EventStore, sqlite::Checkpoint, Journal, Codec<Journal::Events>, sqlite::ParkingLot> projection{
        store, place, lot, journal, options()};
};

void append_events(sqlite::EventStore& store, int count, std::minstd_rand& random)
{
    for (int index = 0; index < count; ++index) {
        using HappenedCodec = Codec<Journal::Events>;
        std::vector<std::byte> payload;
        HappenedCodec{}.encode(Happened{}, payload);
        const NewEvent event{EventId{random_uuid()}, Happened::event_name, 0, HappenedCodec::content_type, payload, {}};
        store.append(StreamId{"crash", std::to_string(random() % streams)}, ExpectedVersion::any(), {&event, 1});
    }
}

pid_t start_projection()
{
    std::array<std::string, 2> texts{"/proc/self/exe", child_test};
    std::array<char*, 3> arguments{texts[0].data(), texts[1].data(), nullptr};
    pid_t child = 0;
    const int code = ::posix_spawn(&child, texts[0].c_str(), nullptr, nullptr, arguments.data(), environ);
    if (code != 0) throw std::system_error{code, std::generic_category(), "posix_spawn"};
    return child;
}

} // namespace

TEST_CASE("a projection of the projection's crash test", "[.sqlite_projection_crash_child]")
{
    const char* const folder = std::getenv(folder_variable);
    if (folder == nullptr) return; // to be started by the test below
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    Program program{folder};
    while (true) {
        program.projection.catch_up();
        for (const ParkedStream& parked : program.projection.parked()) program.projection.replay(parked.stream);
    }
}

TEST_CASE("sqlite projection: killed over and over, it loses and doubles nothing, parked or not, and keeps the order",
          "[integration]")
{
    const TemporaryFolder folder;
    ::setenv(folder_variable, folder.file("").c_str(), 1);
    std::minstd_rand random{std::random_device{}()};
    {
        sqlite::Database database{folder.file("model.db")};
        database.execute("CREATE TABLE journal (number INTEGER PRIMARY KEY, stream TEXT NOT NULL, version INTEGER NOT "
                         "NULL); CREATE TABLE repaired (version INTEGER NOT NULL); INSERT INTO repaired VALUES (0)");
    }
    std::int64_t handled_before = 0;
    int rounds_with_work = 0;
    int rounds_with_parked = 0;
    std::uint64_t repaired = 0;
    const auto check = [&](Program& program) {
        sqlite::Statement select{program.database, "SELECT stream, version FROM journal ORDER BY number"};
        std::map<std::string, std::int64_t> last;
        bool in_order = true;
        for (auto rows = select.query(); rows.next();) {
            auto& version = last[std::string{rows.text(0)}];
            in_order = in_order && rows.integer(1) == ++version; // none twice, none missing
        }
        CHECK(in_order);
    };

    for (int round = 0; round < rounds; ++round) {
        const pid_t child = start_projection();
        {
            sqlite::EventStore store{folder.file("events.db")};
            append_events(store, 60, random);
        }
        std::this_thread::sleep_for(std::chrono::microseconds{random() % 60'000});
        if (round % 3 == 2) {
            sqlite::Database database{folder.file("model.db")};
            repaired += 14;
            sqlite::Statement{database, "UPDATE repaired SET version = ?"}.run(repaired);
            std::this_thread::sleep_for(std::chrono::microseconds{random() % 20'000});
        }
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);

        Program program{folder.file("")};
        INFO("round " << round);
        check(program);
        const auto handled = program.database.query_integer("SELECT count(*) FROM journal");
        if (handled > handled_before) ++rounds_with_work;
        if (!program.projection.parked().empty()) ++rounds_with_parked;
        handled_before = handled;
        REQUIRE(program.database.query_integer("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> "
                                               "'ok'") == 0);
    }
    CHECK(rounds_with_work > rounds / 2);
    CHECK(rounds_with_parked > rounds / 2);

    Program program{folder.file("")};
    sqlite::Statement{program.database, "UPDATE repaired SET version = 1000000"}.run();
    program.projection.catch_up();
    for (const ParkedStream& parked : program.projection.parked()) CHECK(program.projection.replay(parked.stream));
    check(program);
    CHECK(program.lot.is_empty());
    CHECK(program.database.query_integer("SELECT count(*) FROM journal") == 60 * rounds);
}
