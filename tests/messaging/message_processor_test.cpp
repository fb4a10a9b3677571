// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "processor_fixture.hpp"

#include <escqrs/core/stop_token.hpp>
#include <escqrs/events/event_bus.hpp>
#include <escqrs/events/snapshot_event_bus.hpp>
#include <escqrs/in_memory/stream_read_model.hpp>
#include <escqrs/messaging/message_queue_rules.hpp>
#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace processing;
using namespace std::chrono_literals;
using escqrs::BatchResult;

namespace {

constexpr escqrs::MessageQueueCounts empty_queue{};

template <class Bus>
void check_bus()
{
    Workplace place;
    place.log.add("1", {1, 2});
    place.send_all();
    Bus bus;
    Contents seen;
    const auto connection = bus.template subscribe<Added>([&](const Added& event, const escqrs::EventContext& context) {
        seen[context.stream.text()].push_back(event.amount);
    });
    escqrs::MessageProcessor processor{place.queue, escqrs::in_memory::StreamReadModel{}, Messages{"/test"}, bus,
                                       place.options()};
    CHECK(processor.work_once() == BatchResult{2, 2, 0, 0});
    CHECK(seen == place.log.fold());
}

} // namespace

TEST_CASE("message processor: a batch becomes the read model, and the queue is empty")
{
    Workplace place;
    place.log.add("1", {1, 2});
    place.log.add("2", {3});
    place.send_all();
    CHECK(place.work_once() == BatchResult{3, 3, 0, 0});
    CHECK(place.contents() == place.log.fold());
    CHECK(place.queue.counts() == empty_queue);
    CHECK(place.work_once() == BatchResult{});
}

TEST_CASE("message processor: an event bus of either kind hands the events to its subscribers")
{
    check_bus<escqrs::EventBus>();
    check_bus<escqrs::SnapshotEventBus>();
}

TEST_CASE("message processor: a duplicate is completed and changes nothing")
{
    Workplace place;
    place.log.add("1", {1, 2});
    place.send_all();
    place.work();
    place.send_all();
    CHECK(place.work_once() == BatchResult{2, 2, 0, 0});
    CHECK(place.own.table.calls == 2);
    CHECK(place.contents() == place.log.fold());
}

TEST_CASE("message processor: poison in the middle of a batch is dead-lettered with the reason, the rest is handled")
{
    Workplace place;
    place.log.add("1", {1, 2, 3});
    place.log.add("2", {4});
    auto messages = place.log.messages();
    const std::string good = messages[1].body;
    messages[1].body = "{\"amount\": 1";
    escqrs::Message stranger;
    stranger.message_id = "stranger";
    stranger.body = "no event at all";
    escqrs::Message unknown = messages[3];
    unknown.message_id = unknown.session_id = "unknown";
    unknown.properties.set("cloudEvents:type", "Subtracted");
    messages.insert(messages.begin() + 1, {stranger, unknown});
    place.send(messages);

    // The later event of the stream has to wait for the damaged one.
    CHECK(place.work_once() == BatchResult{6, 2, 1, 3});
    CHECK(place.contents() == Contents{{Log::stream_of("1"), {1}}, {Log::stream_of("2"), {4}}});
    std::map<std::string, std::string> reasons;
    for (const auto& letter : place.dead_letters()) {
        reasons[letter.message.message_id] = letter.reason;
        CHECK_FALSE(letter.description.empty());
    }
    CHECK(reasons == std::map<std::string, std::string>{
                         {"1-2", "CodecError"}, {"stranger", "CodecError"}, {"unknown", "UnknownEventType"}});

    SECTION("what has to wait too long for its forerunner is dead-lettered as well")
    {
        place.work();
        REQUIRE(place.dead_letters().size() == 4);
        const auto letter = place.dead_letters().back();
        CHECK(letter.message.message_id == "1-3");
        CHECK(letter.reason == "OutOfOrder");
        CHECK(letter.description.find("expected event version 2, found 3") != std::string::npos);
        CHECK(letter.delivery_count == 3);
    }
    SECTION("once the forerunner comes, repaired, everything is caught up with")
    {
        auto repaired = messages[3];
        repaired.body = good;
        place.send({repaired});
        place.work();
        for (const auto& letter : place.dead_letters()) {
            if (letter.reason == "OutOfOrder") CHECK(place.queue.resubmit(letter.message.message_id));
        }
        place.work();
        CHECK(place.contents() == place.log.fold());
    }
}

TEST_CASE("message processor: a message of a newer release is dead-lettered, with the versions in the description")
{
    Workplace place;
    place.log.add("1", {1});
    auto messages = place.log.messages();
    messages[0].properties.set("cloudEvents:schemaversion", "2");
    place.send(messages);
    place.work();
    REQUIRE(place.dead_letters().size() == 1);
    CHECK(place.dead_letters().front().reason == "NewerSchemaVersion");
    CHECK_THAT(place.dead_letters().front().description, Catch::Contains("version 2") && Catch::Contains("up to 0"));
}

TEST_CASE("message processor: what a failing handler leaves is undone, for its message only")
{
    Workplace place;
    place.log.add("1", {1, -1, 3});
    place.log.add("2", {4});
    bool broken = true;
    place.own.table.after = [&](const Added& event) {
        if (broken && event.amount < 0) throw std::runtime_error{"the lamp is\nbroken \xFF"};
    };
    place.send_all();

    CHECK(place.work_once() == BatchResult{4, 2, 2, 0});
    CHECK(place.contents() == Contents{{Log::stream_of("1"), {1}}, {Log::stream_of("2"), {4}}});
    CHECK(place.lines == std::vector<std::string>{"message '1-2' given back: HandlerFailed: the lamp is broken ?"});

    SECTION("the message carries the error, and is handled when the handler works again")
    {
        auto again = place.queue.receive(1, 0us);
        REQUIRE(again.size() == 1);
        CHECK(again[0].message.properties.find("lastError") == "HandlerFailed: the lamp is broken ?");
        place.queue.settle(again[0], escqrs::Abandon{});
        broken = false;
        place.work();
        CHECK(place.contents() == place.log.fold());
    }
    SECTION("at the last attempt it is dead-lettered")
    {
        CHECK(place.work_once() == BatchResult{2, 0, 2, 0});
        CHECK(place.work_once() == BatchResult{2, 0, 1, 1});
        REQUIRE(place.dead_letters().size() == 1);
        CHECK(place.dead_letters()[0].reason == "HandlerFailed");
        CHECK(place.dead_letters()[0].description.find("the lamp is broken") != std::string::npos);
    }
}

TEST_CASE("message processor: what fails once is handled in the same delivery")
{
    Workplace place;
    place.log.add("1", {1});
    place.log.add("2", {2});
    place.log.add("3", {3});
    place.send_all();
    int failures = 1;
    place.own.table.after = [&](const Added&) {
        if (failures-- > 0) throw std::runtime_error{"not now"};
    };
    CHECK(place.work_once() == BatchResult{3, 3, 0, 0});
    CHECK(place.contents() == place.log.fold());
}

TEST_CASE("message processor: a handler that cannot read something else makes no poison of its message")
{
    Workplace place;
    place.log.add("1", {1});
    place.send_all();
    place.own.table.after = [&](const Added&) { throw escqrs::CodecError{"a setting is damaged"}; };
    CHECK(place.work_once() == BatchResult{1, 0, 1, 0});
    place.own.table.after = {};
    place.work();
    CHECK(place.contents() == place.log.fold());
}

TEST_CASE("message processor: an outage in the middle of a batch leaves nothing of it, and gives all back")
{
    Workplace place;
    for (const char* const id : {"1", "2", "3", "4"}) place.log.add(id, {1});
    place.send_all();
    const bool swallowed = GENERATE(false, true);
    place.own.table.after = [&](const Added&) {
        if (place.own.table.calls != 3) return;
        place.own.database.execute("ROLLBACK"); // as SQLite does when the disk is full
        if (!swallowed) throw escqrs::StoreError{"the disk is full"};
    };
    CHECK_THROWS_AS(place.work_once(), escqrs::StoreError);
    CHECK(place.own.table.calls == 3);
    CHECK(place.contents().empty());
    CHECK(place.queue.counts().active == 4);
    place.work();
    CHECK(place.contents() == place.log.fold());
}

TEST_CASE("message processor: what the database refuses is the message's fault, and no outage")
{
    Workplace place;
    place.log.add("1", {1});
    place.log.add("2", {-1});
    place.own.database.execute("CREATE TRIGGER positive BEFORE INSERT ON added WHEN NEW.amount < 0 "
                               "BEGIN SELECT RAISE(ABORT, 'amount must be positive'); END");
    place.send_all();
    CHECK(place.work_once() == BatchResult{2, 1, 1, 0});
    CHECK(place.contents() == Contents{{Log::stream_of("1"), {1}}});
}

TEST_CASE("message processor: what the database refuses only at the commit is the fault of one message")
{
    Workplace place;
    place.log.add("1", {1, 2});
    place.log.add("2", {-1, 3});
    place.log.add("3", {4});
    place.log.add("4", {-2});
    // A deferred constraint: the row may be wrong until the end of the transaction.
    place.own.database.execute("CREATE TABLE allowed (amount INTEGER PRIMARY KEY)");
    place.own.database.execute(
        "CREATE TABLE used (amount INTEGER REFERENCES allowed (amount) DEFERRABLE INITIALLY DEFERRED)");
    place.own.database.execute("CREATE TRIGGER use AFTER INSERT ON added WHEN NEW.amount < 0 "
                               "BEGIN INSERT INTO used VALUES (NEW.amount); END");
    place.send_all();
    CHECK(place.work_once() == BatchResult{6, 3, 3, 0});
    CHECK(place.contents() == Contents{{Log::stream_of("1"), {1, 2}}, {Log::stream_of("3"), {4}}});
    place.work();
    CHECK(place.dead_letters().size() == 3);
    for (const auto& letter : place.dead_letters())
        CHECK(letter.reason == (letter.message.message_id == "2-2" ? "OutOfOrder" : "HandlerFailed"));
}

TEST_CASE("message processor: a batch that fails while it is stopped is given back")
{
    Workplace place;
    for (const char* const id : {"1", "2", "3"}) place.log.add(id, {1});
    place.send_all();
    escqrs::stop_source stop;
    place.own.table.after = [&](const Added&) {
        stop.request_stop();
        throw std::runtime_error{"not now"};
    };
    CHECK(place.own.work_once(stop.get_token()) == BatchResult{3, 0, 3, 0});
    CHECK(place.contents().empty());
    place.own.table.after = {};
    place.work();
    CHECK(place.contents() == place.log.fold());
}

TEST_CASE("message processor: what follows a failed message in its session is not handled, whatever it is")
{
    Workplace place;
    for (const char* const id : {"1", "2", "3"}) place.log.add(id, {1});
    auto messages = place.log.messages();
    messages[0].session_id = messages[1].session_id = "one line for two streams";
    int failures = 2; // in the batch as a whole, and alone
    place.own.table.after = [&](const Added&) {
        if (failures-- > 0) throw std::runtime_error{"not now"};
    };
    place.send(messages);
    CHECK(place.work_once() == BatchResult{3, 1, 2, 0});
    CHECK(place.contents().size() == 1);
    place.work();
    CHECK(place.contents() == place.log.fold());
}

TEST_CASE("message processor: events of a session in the wrong order put themselves right")
{
    Workplace place;
    place.log.add("1", {1, 2, 3, 4, 5});
    auto messages = place.log.messages();
    std::swap(messages[0], messages[1]);
    std::swap(messages[3], messages[4]);
    place.send(messages);
    place.work();
    CHECK(place.contents() == place.log.fold());
    CHECK(place.queue.counts() == empty_queue);
}

TEST_CASE("message processor: a message too large to carry its error does not keep others from being settled")
{
    Workplace place;
    place.log.add("1", {1});
    place.log.add("2", {2});
    auto messages = place.log.messages();
    const std::size_t limit = escqrs::MessageQueueOptions{}.max_message_size;
    messages[0].properties.set("padding", "");
    messages[0].properties.set("padding",
                               std::string(limit - escqrs::message_queue_rules::message_size(messages[0]), '.'));
    place.send(messages);
    int failures = 2; // in the batch as a whole, and alone
    place.own.table.after = [&](const Added&) {
        if (failures-- > 0) throw std::runtime_error{"not now"};
    };
    CHECK(place.work_once() == BatchResult{2, 1, 1, 0});
    place.work();
    CHECK(place.contents() == place.log.fold());
    CHECK(place.queue.counts() == empty_queue);
}

TEST_CASE("message processor: before each commit it tells how many new events there are, within the transaction")
{
    Workplace place;
    std::vector<std::uint64_t> counts;
    auto options = place.options();
    bool fails = false;
    escqrs::sqlite::Database* database = nullptr;
    options.before_commit = [&](std::uint64_t new_events) {
        CHECK(database->in_transaction());
        counts.push_back(new_events);
        if (fails) throw escqrs::StoreError{"the disk is full"};
    };
    Worker worker{place.path, place.queue, options};
    database = &worker.database;
    place.log.add("1", {1, 2});
    place.send_all();
    fails = true;
    CHECK_THROWS_AS(worker.work_once(), escqrs::StoreError);
    CHECK(place.contents().empty());
    fails = false;
    CHECK(worker.work_once().completed == 2);
    place.send_all(); // duplicates are not new
    CHECK(worker.work_once().completed == 2);
    CHECK(counts == std::vector<std::uint64_t>{2, 2});
}

TEST_CASE("message processor: a read model in memory is handled once, and a failing handler repeats nothing of others")
{
    struct Handlers {
        void handle(const Added& event, const escqrs::EventContext& context)
        {
            if (event.amount < 0 && failures-- > 0) throw std::runtime_error{"not now"};
            contents[context.stream.text()].push_back(event.amount);
        }
        Contents contents;
        int failures = 1;
    };
    Workplace place;
    place.log.add("1", {1, -2, 3});
    place.log.add("2", {4});
    place.send_all();
    Handlers handlers;
    escqrs::MessageProcessor processor{place.queue, escqrs::in_memory::StreamReadModel{}, Messages{"/test"}, handlers,
                                       place.options()};
    CHECK(processor.work_once() == BatchResult{4, 2, 2, 0});
    CHECK(processor.work_once() == BatchResult{2, 2, 0, 0});
    place.send_all();
    CHECK(processor.work_once() == BatchResult{4, 4, 0, 0});
    CHECK(handlers.contents == place.log.fold());
}

TEST_CASE("message processor: judge_overdue may have messages given back, and stop what follows")
{
    Workplace place;
    place.log.add("1", {1, 2});
    place.log.add("2", {3, 4});
    auto messages = place.log.messages();
    place.send({messages[1], messages[3]}); // without those before them
    auto options = place.options();
    bool is_incomplete = false;
    options.check = [&] {
        if (is_incomplete) throw escqrs::StoreError{"the read model lacks events"};
    };
    int calls = 0;
    options.judge_overdue = [&](std::span<escqrs::OverdueMessage> overdue, auto renew_locks, const auto&) {
        ++calls;
        renew_locks();
        REQUIRE(overdue.size() == 2);
        CHECK(overdue[0].stream.text() == overdue[0].received.message.session_id);
        CHECK(overdue[0].missing == escqrs::StreamVersion{1});
        overdue[0].give_back = true;
        is_incomplete = true;
    };
    Worker worker{place.path, place.queue, options};
    CHECK(worker.work_once() == BatchResult{2, 0, 2, 0});
    CHECK(worker.work_once() == BatchResult{2, 0, 2, 0});
    CHECK(calls == 0);
    CHECK_THROWS_WITH(worker.work_once(), Catch::Contains("lacks events"));
    CHECK(calls == 1);
    CHECK(place.dead_letters().size() == 1);
    CHECK_THROWS_AS(worker.work_once(), escqrs::StoreError);
    CHECK(place.queue.receive(1, 0us).at(0).delivery_count == 4); // it was not received in between
}

TEST_CASE("message processor: if judge_overdue throws, its messages go back, and what was handled is completed")
{
    Workplace place;
    place.log.add("1", {1, 2});
    place.log.add("2", {3});
    auto options = place.options();
    options.judge_overdue = [](auto, const auto&, const auto&) { throw escqrs::TransportError{"no right to look"}; };
    Worker worker{place.path, place.queue, options};
    const auto messages = place.log.messages();
    place.send({messages[1]}); // without the one before it
    CHECK(worker.work_once() == BatchResult{1, 0, 1, 0});
    CHECK(worker.work_once() == BatchResult{1, 0, 1, 0});
    place.send({messages[2]});
    CHECK_THROWS_WITH(worker.work_once(), "no right to look");
    CHECK(place.queue.counts() == escqrs::MessageQueueCounts{1, 0, 0, 0});
    CHECK(place.contents() == Contents{{Log::stream_of("2"), {3}}});
}

TEST_CASE("message processor: options that nothing can work with are refused by name")
{
    const auto refused = [](auto change) {
        escqrs::MessageProcessorOptions options;
        change(options);
        escqrs::in_memory::MessageQueue queue;
        escqrs::EventBus bus;
        try {
            const escqrs::MessageProcessor processor{queue, escqrs::in_memory::StreamReadModel{}, Messages{"/test"},
                                                     bus, options};
        } catch (const escqrs::InvalidOption& error) {
            return error.option();
        }
        return std::string{"none"};
    };
    CHECK(refused([](auto&) {}) == "none");
    CHECK(refused([](auto& options) { options.batch_size = 0; }) == "batch_size");
    CHECK(refused([](auto& options) { options.max_attempts = 0; }) == "max_attempts");
    CHECK(refused([](auto& options) { options.first_delay = 0us; }) == "first_delay");
    CHECK(refused([](auto& options) { options.clock = nullptr; }) == "clock");
    CHECK(refused([](auto& options) { options.log = nullptr; }) == "log");
}
