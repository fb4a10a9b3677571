// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/id_generator.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/testing/catch2.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#if !defined(_WIN32)
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

using namespace escqrs;

#if !defined(_WIN32) // which has no fork
namespace {

/// A bare system call, which runs no handlers of pthread_atfork.
pid_t fork_unseen()
{
#if defined(__s390__) // takes the stack before the flags
    return static_cast<pid_t>(::syscall(SYS_clone, 0, SIGCHLD, 0, 0, 0, 0));
#else
    return static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
#endif
}

} // namespace

TEST_CASE("a forked process draws other UUIDs than its parent")
{
    const bool is_seen_by_libc = GENERATE(true, false);
    (void)random_uuid(); // so that there are some drawn ahead
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const auto child = is_seen_by_libc ? ::fork() : fork_unseen();
    REQUIRE(child != -1);
    if (child == 0) {
        const Uuid drawn = random_uuid();
        ::_exit(::write(ends[1], drawn.data, sizeof drawn.data) == sizeof drawn.data ? 0 : 1);
    }
    const Uuid mine = random_uuid();
    Uuid its{};
    CHECK(::read(ends[0], its.data, sizeof its.data) == sizeof its.data);
    int status = 0;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(its != mine);
    ::close(ends[0]);
    ::close(ends[1]);
}

#endif

TEST_CASE("every thread draws other UUIDs")
{
    std::vector<std::vector<Uuid>> drawn(4);
    {
        std::vector<escqrs::jthread> threads;
        for (auto& mine : drawn) {
            threads.emplace_back([&mine] {
                for (int count = 0; count < 1000; ++count) mine.push_back(random_uuid());
            });
        }
    }
    std::set<Uuid> all;
    for (const auto& mine : drawn) all.insert(mine.begin(), mine.end());
    CHECK(all.size() == 4000);
}

TEST_CASE("a UUID survives its text form")
{
    const std::string text = "00112233-4455-6677-8899-aabbccddeeff";
    CHECK(to_string(parse_uuid(text)) == text);
    CHECK(to_string(parse_uuid("00112233-4455-6677-8899-AABBCCDDEEFF")) == text);
    for (int round = 0; round < 100; ++round) {
        const Uuid uuid = random_uuid();
        CHECK(parse_uuid(to_string(uuid)) == uuid);
    }
}

TEST_CASE("what is not a UUID is refused with the text that was found")
{
    for (const std::string text : {"", "x", "00112233445566778899aabbccddeeff", "00112233-4455-6677-8899-aabbccddeef",
                                   "00112233-4455-6677-8899-aabbccddeeff0", "g0112233-4455-6677-8899-aabbccddeeff",
                                   "00112233_4455-6677-8899-aabbccddeeff", "{0112233-4455-6677-8899-aabbccddeeff}"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(parse_uuid(text), InvalidIdentifier);
        if (!text.empty()) CHECK_THROWS_WITH(parse_uuid(text), Catch::Contains(text.substr(0, 64)));
    }
}

TEST_CASE("random ids are version 4, of the RFC variant, and do not repeat")
{
    std::unordered_set<EventId> seen;
    for (int round = 0; round < 1000; ++round) {
        const Uuid uuid = random_uuid();
        CHECK(uuid.version() == Uuid::version_random_number_based);
        CHECK(uuid.variant() == Uuid::variant_rfc_4122);
        CHECK(seen.insert(EventId{uuid}).second);
    }
}

TEST_CASE("time-ordered ids begin with the time they are drawn at, to the millisecond")
{
    using std::chrono::milliseconds;
    const auto milliseconds_of = [](const Uuid& uuid) {
        std::uint64_t count = 0;
        for (std::size_t index = 0; index < 6; ++index) count = count << 8U | uuid.data[index];
        return count;
    };
    const auto now = [] {
        const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
        return static_cast<std::uint64_t>(std::chrono::floor<milliseconds>(since_epoch).count());
    };
    const auto begin = now();
    std::set<Uuid> seen;
    Uuid last{};
    for (int round = 0; round < 1000; ++round) {
        const Uuid uuid = time_ordered_uuid();
        CHECK(std::to_integer<int>(std::byte{uuid.data[6]} >> 4U) == 7);
        CHECK(uuid.variant() == Uuid::variant_rfc_4122);
        CHECK(milliseconds_of(uuid) >= begin);
        CHECK(milliseconds_of(uuid) <= now());
        CHECK(std::memcmp(uuid.data, last.data, 6) >= 0);
        CHECK(seen.insert(uuid).second);
        last = uuid;
    }
    std::this_thread::sleep_for(milliseconds{2});
    CHECK(milliseconds_of(time_ordered_uuid()) > milliseconds_of(last));
}

TEST_CASE("a name-based id is the one of RFC 9562, appendix A.4")
{
    const Uuid dns = parse_uuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
    CHECK(to_string(name_based_uuid(dns, "www.example.com")) == "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}

TEST_CASE("ids order as their text does")
{
    std::set<EventId> by_id;
    std::set<std::string> by_text;
    for (int round = 0; round < 200; ++round) {
        const EventId id{random_uuid()};
        by_id.insert(id);
        by_text.insert(to_string(id));
    }
    auto text = by_text.begin();
    for (const EventId& id : by_id) CHECK(to_string(id) == *text++);
}

TEST_CASE("a stream id is category-id")
{
    const auto stream = StreamId::parse("attendee-00112233-4455-6677-8899-aabbccddeeff");
    CHECK(stream.category() == "attendee");
    CHECK(stream.id() == "00112233-4455-6677-8899-aabbccddeeff");
    CHECK(stream == StreamId{"attendee", parse_uuid("00112233-4455-6677-8899-aabbccddeeff")});
    CHECK(StreamId{"a", std::string(StreamId::max_length - 2, 'x')}.text().size() == StreamId::max_length);
}

TEST_CASE("what is not a stream id is refused")
{
    for (const std::string text : {"", "attendee", "-1", "attendee-", "a-\n", "a-\x7f"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(StreamId::parse(text), InvalidIdentifier);
    }
    CHECK_THROWS_AS(StreamId::parse("a-" + std::string(StreamId::max_length - 1, 'x')), InvalidIdentifier);
    CHECK_THROWS_AS((StreamId{"two-words", "1"}), InvalidIdentifier);
    CHECK_THROWS_WITH((StreamId{"item", "\xFC-\xC3\xBC"}),
                      "not a stream id: expected UTF-8, found 'item-\\xfc-\xC3\xBC'");
    CHECK_THROWS_AS((StreamId{"\xFC", parse_uuid("00112233-4455-6677-8899-aabbccddeeff")}), InvalidIdentifier);
    CHECK(StreamId::parse("item-\xFC").id() == "\xFC"); // an earlier release may have stored it
    CHECK_THROWS_AS((StreamId{"", "1"}), InvalidIdentifier);
    CHECK_THROWS_AS((StreamId{"a", ""}), InvalidIdentifier);
}

TEST_CASE("a nil id is no id of a stream, but one that is stored can be read")
{
    const auto sentence = "a stream of category 'item' needs an id, found the nil UUID: the id was not set";
    CHECK_THROWS_WITH((StreamId{"item", Uuid{}}), sentence);
    CHECK_THROWS_WITH((StreamId{"item", to_string(EventId{})}), sentence);
    CHECK_THROWS_AS((StreamId{"item", EventId{}.value()}), InvalidIdentifier);
    CHECK(StreamId::parse("item-" + to_string(EventId{})).category() == "item");
}

TEST_CASE("expected versions say when they are met")
{
    const StreamVersion none{};
    const StreamVersion one{1};
    CHECK(ExpectedVersion::any().is_met_by(none));
    CHECK(ExpectedVersion::any().is_met_by(one));
    CHECK(ExpectedVersion::no_stream().is_met_by(none));
    CHECK_FALSE(ExpectedVersion::no_stream().is_met_by(one));
    CHECK_FALSE(ExpectedVersion::stream_exists().is_met_by(none));
    CHECK(ExpectedVersion::stream_exists().is_met_by(one));
    CHECK(ExpectedVersion::exactly(one).is_met_by(one));
    CHECK_FALSE(ExpectedVersion::exactly(one).is_met_by(StreamVersion{2}));
    CHECK(ExpectedVersion::exactly(none) == ExpectedVersion::no_stream());
    CHECK(to_string(ExpectedVersion::exactly(StreamVersion{7})) == "version 7");
    CHECK(to_string(ExpectedVersion::no_stream()) == "no stream");
}
