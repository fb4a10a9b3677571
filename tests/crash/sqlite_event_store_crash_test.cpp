// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/sqlite/event_store.hpp>

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>

#include "support/temporary_folder.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <poll.h>
#include <random>
#include <set>
#include <spawn.h>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

// The writers are separate processes: this program again, with its task in the environment. Each of their threads
// writes what was acknowledged to it into a pipe before it continues; what is in the pipe outlives them, as the store
// must.
//
// SIGKILL shows what the death of the process does. A power cut also takes what the kernel had not written yet; against
// that stands `synchronous = FULL`, which the tests of the store look for on its connection.

namespace {

using escqrs::Bytes;
using escqrs::ExpectedVersion;
using escqrs::StreamId;
using escqrs::Uuid;
using escqrs::sqlite::EventStore;
using escqrs::testing::detail::SampleEvent;
using Clock = std::chrono::steady_clock;

constexpr const char* path_variable = "ESCQRS_EVENT_STORE_CRASH_PATH";
constexpr const char* pipe_variable = "ESCQRS_EVENT_STORE_CRASH_PIPE";
constexpr const char* child_test = "a writer of the event store's crash test";
constexpr int rounds = 30;
constexpr std::size_t processes = 2;
constexpr std::size_t threads = 4;
constexpr unsigned streams = 25;

/// Stands at the front of each payload, so that an event tells which append it belongs to.
struct Part {
    Uuid append;
    std::uint32_t index;
    std::uint32_t count;
};

struct Acknowledged {
    Uuid append;
    std::uint64_t version;
    std::uint64_t position;
    std::uint32_t stream;
    std::uint32_t count;
};

StreamId stream_name(std::uint32_t number) { return StreamId{"crash", std::to_string(number)}; }

void write_events(EventStore& store, int pipe)
{
    std::minstd_rand random{std::random_device{}()};
    while (true) {
        const Uuid append = escqrs::random_uuid();
        const auto count = static_cast<std::uint32_t>(random() % 3 == 0 ? 1 + random() % 6 : 1);
        const auto stream = static_cast<std::uint32_t>(random() % streams);
        std::vector<SampleEvent> events(count);
        for (std::uint32_t index = 0; index < count; ++index) {
            const Part part{append, index, count};
            events[index].payload.resize(sizeof part + random() % (random() % 20 == 0 ? 20'000 : 200));
            std::memcpy(events[index].payload.data(), &part, sizeof part);
        }
        const auto result = escqrs::testing::detail::append(store, stream_name(stream), ExpectedVersion::any(), events);
        const Acknowledged record{append, result.version.value(), result.position.value(), stream, count};
        if (::write(pipe, &record, sizeof record) != static_cast<ssize_t>(sizeof record)) {
            throw std::system_error{errno, std::generic_category(), "write"};
        }
    }
}

pid_t start_writer()
{
    const std::string name = child_test;
    std::array<std::string, 2> texts{"/proc/self/exe", name};
    std::array<char*, 3> arguments{texts[0].data(), texts[1].data(), nullptr};
    pid_t child = 0;
    const int code = ::posix_spawn(&child, texts[0].c_str(), nullptr, nullptr, arguments.data(), environ);
    if (code != 0) throw std::system_error{code, std::generic_category(), "posix_spawn"};
    return child;
}

/// Reads acknowledgements until `end`, or until no process is left that could write one.
void read_acknowledged(int pipe, Clock::time_point end, std::vector<Acknowledged>& records)
{
    while (Clock::now() < end) {
        pollfd readable{pipe, POLLIN, 0};
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
        if (::poll(&readable, 1,
                   static_cast<int>(std::max<std::int64_t>(0, std::min<std::int64_t>(left.count(), 1000)))) == 0) {
            continue;
        }
        Acknowledged record{};
        const auto size = ::read(pipe, &record, sizeof record); // whole, as it was written: it is smaller than PIPE_BUF
        if (size == 0) return;
        if (size != static_cast<ssize_t>(sizeof record))
            throw std::system_error{errno, std::generic_category(), "read"};
        records.push_back(record);
    }
}

/// Starts writers, kills them one after the other at random moments, and returns what was acknowledged.
void run_and_kill(std::minstd_rand& random, std::vector<Acknowledged>& records)
{
    std::array<int, 2> pipe{};
    if (::pipe(pipe.data()) != 0) throw std::system_error{errno, std::generic_category(), "pipe"};
    ::fcntl(pipe[0], F_SETFD, FD_CLOEXEC);
    ::setenv(pipe_variable, std::to_string(pipe[1]).c_str(), 1);
    std::vector<pid_t> children;
    for (std::size_t count = 0; count < processes; ++count) children.push_back(start_writer());
    ::close(pipe[1]);

    const auto before = records.size();
    for (const auto patience = Clock::now() + std::chrono::seconds{20};
         records.size() == before && Clock::now() < patience;) {
        read_acknowledged(pipe[0], Clock::now() + std::chrono::milliseconds{1}, records);
    }
    for (const pid_t child : children) {
        read_acknowledged(pipe[0], Clock::now() + std::chrono::microseconds{random() % 60'000}, records);
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
    }
    read_acknowledged(pipe[0], Clock::time_point::max(), records);
    ::close(pipe[0]);
}

struct Verdict {
    bool positions_increase = true;
    bool versions_are_consecutive = true;
    bool no_append_is_torn = true;
    std::size_t events = 0;
    std::map<Uuid, Acknowledged> appends;
};

Verdict examine(EventStore& store)
{
    struct Stream {
        std::uint64_t version = 0;
        Part last{};
    };
    Verdict verdict;
    std::map<StreamId, Stream> seen;
    std::uint64_t position = 0;
    const auto is_last = [](const Part& part) { return part.index + 1 == part.count || part.count == 0; };
    store.read_log({}, std::numeric_limits<std::size_t>::max(), [&](const escqrs::RecordedEvent& event) {
        Part part{};
        std::memcpy(&part, event.payload.data(), sizeof part);
        Stream& stream = seen[event.stream];
        verdict.positions_increase = verdict.positions_increase && event.position.value() > position;
        position = event.position.value();
        verdict.versions_are_consecutive =
            verdict.versions_are_consecutive && event.version.value() == ++stream.version;
        const bool goes_on =
            part.index != 0 && part.append == stream.last.append && part.index == stream.last.index + 1;
        const bool begins = part.index == 0 && is_last(stream.last) && !verdict.appends.contains(part.append);
        verdict.no_append_is_torn = verdict.no_append_is_torn && (goes_on || begins);
        stream.last = part;
        const auto number = static_cast<std::uint32_t>(std::stoul(std::string{event.stream.id()}));
        verdict.appends[part.append] = {part.append, event.version.value(), position, number, part.index + 1};
        ++verdict.events;
        return true;
    });
    for (const auto& [name, stream] : seen)
        verdict.no_append_is_torn = verdict.no_append_is_torn && is_last(stream.last);
    return verdict;
}

} // namespace

TEST_CASE("a writer of the event store's crash test", "[.sqlite_event_store_crash_child]")
{
    const char* const path = std::getenv(path_variable);
    const char* const pipe = std::getenv(pipe_variable);
    if (path == nullptr || pipe == nullptr) return; // to be started by the test below
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    EventStore store{path};
    std::vector<std::jthread> writers;
    for (std::size_t count = 0; count < threads; ++count) {
        writers.emplace_back([&] { write_events(store, std::atoi(pipe)); });
    }
}

TEST_CASE("sqlite event store: writers killed over and over lose no acknowledged append and tear none", "[integration]")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("events.db");
    ::setenv(path_variable, path.c_str(), 1);
    std::minstd_rand random{std::random_device{}()};
    std::vector<Acknowledged> acknowledged;
    std::size_t rounds_with_work = 0;

    for (int round = 0; round < rounds; ++round) {
        const auto before = acknowledged.size();
        run_and_kill(random, acknowledged);
        if (acknowledged.size() > before) ++rounds_with_work;

        EventStore store{path};
        const Verdict verdict = examine(store);
        std::size_t kept = 0;
        for (const Acknowledged& record : acknowledged) {
            const auto found = verdict.appends.find(record.append);
            if (found != verdict.appends.end() && std::memcmp(&found->second, &record, sizeof record) == 0) ++kept;
        }
        INFO("round " << round << ", events " << verdict.events << ", appends " << verdict.appends.size());
        REQUIRE(kept == acknowledged.size());
        REQUIRE(verdict.positions_increase);
        REQUIRE(verdict.versions_are_consecutive);
        REQUIRE(verdict.no_append_is_torn);

        escqrs::sqlite::Database file{path};
        escqrs::sqlite::Statement check{file, "PRAGMA integrity_check"};
        auto rows = check.query();
        REQUIRE(rows.next());
        REQUIRE(rows.text(0) == "ok");
    }
    CHECK(rounds_with_work == rounds);
}
