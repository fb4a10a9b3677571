// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/stop_token.hpp>
#include <escqrs/sqlite/message_queue.hpp>

#include <escqrs/testing/manual_clock.hpp>
#include <escqrs/testing/message_queue_conformance.hpp>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace {

using escqrs::Duration;
using escqrs::Message;
using escqrs::MessageQueueOptions;
using escqrs::ReceivedMessage;
using escqrs::TransportError;
namespace sqlite = escqrs::sqlite;
namespace suite = escqrs::testing::detail;

/// A folder that is gone at the end.
class Folder {
public:
    Folder() { std::filesystem::create_directory(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { std::filesystem::remove_all(path_); }

    std::string file(const std::string& name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_ = std::filesystem::temp_directory_path() / escqrs::to_string(escqrs::random_uuid());
};

class Fixture {
public:
    explicit Fixture(MessageQueueOptions options) : options_{options}
    {
        options_.clock = clock_.get();
        reopen();
    }

    sqlite::MessageQueue& queue() { return *queue_; }
    const MessageQueueOptions& options() const { return options_; }
    escqrs::Timestamp now() const { return clock_->now(); }
    void advance(Duration duration) { clock_->advance(duration); }
    void set_time_of_day(escqrs::Timestamp now) { clock_->set(now); }
    Duration patience() const { return Duration::zero(); }
    bool reopen()
    {
        queue_.reset();
        queue_ = std::make_unique<sqlite::MessageQueue>(path(), options_);
        return true;
    }
    std::string path() const { return folder_->file("queue.db"); }

private:
    std::unique_ptr<Folder> folder_ = std::make_unique<Folder>();
    MessageQueueOptions options_;
    std::unique_ptr<escqrs::testing::ManualClock> clock_ = std::make_unique<escqrs::testing::ManualClock>();
    std::unique_ptr<sqlite::MessageQueue> queue_;
};

Fixture make_fixture(const MessageQueueOptions& options) { return Fixture{options}; }

/// Two programs, as it were: senders use one object, receivers the other.
class TwoObjects : public Fixture {
public:
    class Queue {
    public:
        Queue(sqlite::MessageQueue& first, sqlite::MessageQueue& second) : first_{&first}, second_{&second} {}

        void send(std::span<const Message> messages) { first_->send(messages); }
        auto receive(std::size_t at_most, Duration wait, escqrs::stop_token stop)
        {
            return (++receives_ % 2 == 0 ? first_ : second_)->receive(at_most, wait, std::move(stop));
        }
        void settle(const ReceivedMessage& message, const escqrs::Disposition& disposition)
        {
            first_->settle(message, disposition);
        }
        auto settle(std::span<const escqrs::Settlement> settlements) { return second_->settle(settlements); }
        void renew_lock(ReceivedMessage& message) { first_->renew_lock(message); }
        auto dead_letters(std::uint64_t after, std::size_t at_most) { return second_->dead_letters(after, at_most); }
        bool resubmit(const std::string& message_id) { return first_->resubmit(message_id); }
        auto counts() { return second_->counts(); }

    private:
        sqlite::MessageQueue* first_;
        sqlite::MessageQueue* second_;
        std::atomic<unsigned> receives_{0};
    };

    explicit TwoObjects(const MessageQueueOptions& options) : Fixture{options} {}

    Queue& queue() { return *queue_; }

private:
    std::unique_ptr<sqlite::MessageQueue> second_ = std::make_unique<sqlite::MessageQueue>(path(), options());
    std::unique_ptr<Queue> queue_ = std::make_unique<Queue>(Fixture::queue(), *second_);
};

std::string refusal(const std::string& path)
{
    try {
        sqlite::MessageQueue{path};
    } catch (const TransportError& error) {
        return error.what();
    }
    return "opened";
}

} // namespace

ESCQRS_MESSAGE_QUEUE_CONFORMANCE("sqlite", make_fixture)

TEST_CASE("sqlite queue: two objects on one file lose and double nothing under load")
{
    escqrs::testing::check_message_queue_under_load(
        [](const MessageQueueOptions& options) { return TwoObjects{options}; });
}

TEST_CASE("sqlite queue: a receiver is woken by what another process sends")
{
    const Folder folder;
    sqlite::MessageQueue here{folder.file("queue.db")};
    sqlite::MessageQueue there{folder.file("queue.db")};
    suite::WaitingReceiver receiver{here, 1, std::chrono::hours{1}};
    CHECK_FALSE(receiver.is_done_within(std::chrono::milliseconds{50}));
    suite::send_all(there, {"1"});
    const auto received = receiver.result();
    REQUIRE(suite::ids_of(received) == std::vector<std::string>{"1"});
    there.settle(received.front(), escqrs::Complete{});
    CHECK_THROWS_AS(here.settle(received.front(), escqrs::Complete{}), escqrs::MessageLockLost);
}

TEST_CASE("sqlite queue: a file that is no queue, or a newer one, is refused and left alone")
{
    const Folder folder;
    const std::string path = folder.file("other.db");
    SECTION("another program's database")
    {
        sqlite::Database other{path};
        other.execute("CREATE TABLE theirs (id INTEGER)");
        CHECK_THAT(refusal(path), Catch::Matchers::Contains(path) && Catch::Matchers::Contains("message queue"));
        CHECK(other.query_integer("SELECT count(*) FROM sqlite_schema") == 1);
    }
    SECTION("a newer queue")
    {
        sqlite::MessageQueue{path};
        sqlite::Database{path}.execute("PRAGMA user_version = 99");
        CHECK_THAT(refusal(path), Catch::Matchers::Contains("99") && Catch::Matchers::Contains("newer"));
    }
    SECTION("no database at all")
    {
        std::ofstream{path} << std::string(5000, 'x');
        CHECK_THAT(refusal(path), Catch::Matchers::Contains(path));
    }
    SECTION("a folder that is not there")
    {
        CHECK_THAT(refusal(folder.file("no/such.db")), Catch::Matchers::Contains("no/such.db"));
    }
}

TEST_CASE("sqlite queue: completed messages leave only their ids, and these go after the window")
{
    MessageQueueOptions options;
    Fixture fixture{options};
    sqlite::Database file{fixture.path()};
    const auto rows = [&] {
        return std::vector<std::int64_t>{
            file.query_integer("SELECT count(*) FROM message"), file.query_integer("SELECT count(*) FROM session"),
            file.query_integer("SELECT count(*) FROM dead_letter"), file.query_integer("SELECT count(*) FROM seen")};
    };
    const auto send_and_complete = [&](int first, int count) {
        std::vector<std::string> ids;
        for (int number = first; number < first + count; ++number) ids.push_back(std::to_string(number));
        suite::send_all(fixture.queue(), ids, first % 2 == 0 ? "session" : "");
        suite::complete_all(fixture, suite::receive(fixture, 1000));
    };
    send_and_complete(0, 50);
    send_and_complete(1001, 50);
    CHECK(rows() == std::vector<std::int64_t>{0, 0, 0, 100});
    fixture.advance(fixture.options().duplicate_detection_window);
    send_and_complete(2000, 50);
    CHECK(rows() == std::vector<std::int64_t>{0, 0, 0, 50});
}

TEST_CASE("sqlite queue: no statement's cost grows with the queue")
{
    Fixture fixture{{}};
    sqlite::Database file{fixture.path()};
    for (const char* sql : sqlite::detail::queue_sql::flat) {
        sqlite::Statement plan{file, std::string{"EXPLAIN QUERY PLAN "} + sql};
        for (auto rows = plan.query(); rows.next();) {
            const std::string step{rows.text(3)};
            INFO(sql << "\n" << step);
            CHECK_THAT(step, !Catch::Matchers::Contains("TEMP B-TREE"));
            // A scan in the order of an index ends at its LIMIT. Scanned are also the first ids seen, up to a LIMIT.
            const bool is_scan = step.starts_with("SCAN") && step.find("INDEX") == std::string::npos;
            const bool has_limit = std::string_view{sql}.find("LIMIT") != std::string_view::npos;
            const bool is_constant = step == "SCAN CONSTANT ROW";
            CHECK((!is_scan || is_constant || (has_limit && sql == sqlite::detail::queue_sql::forget_ids)));
        }
    }
}

TEST_CASE("sqlite queue: counting looks at indexes only")
{
    Fixture fixture{{}};
    sqlite::Database file{fixture.path()};
    sqlite::Statement plan{file, std::string{"EXPLAIN QUERY PLAN "} + sqlite::detail::queue_sql::counts};
    int searches = 0;
    for (auto rows = plan.query(); rows.next();) {
        const std::string step{rows.text(3)};
        INFO(step);
        if (step == "SCAN CONSTANT ROW" || step.starts_with("SCALAR SUBQUERY")) continue;
        ++searches;
        CHECK((step.find("COVERING INDEX") != std::string::npos || step.find("session_lock") != std::string::npos));
    }
    CHECK(searches == 6);
}

TEST_CASE("sqlite queue: settings that it cannot work with are refused, by name")
{
    const Folder folder;
    const auto open = [&](sqlite::MessageQueueSettings settings) {
        const sqlite::MessageQueue queue{folder.file("queue.db"), {}, std::move(settings)};
    };
    CHECK_THROWS_WITH(open({.poll_interval = escqrs::Duration{0}}), Catch::Contains("option poll_interval: expected"));
    CHECK_THROWS_WITH(open({.lock_tokens = nullptr}), Catch::Contains("option lock_tokens: expected"));
    CHECK_THROWS_AS(open({.database = {.busy_timeout = escqrs::Duration{-1}}}), escqrs::InvalidOption);
}

TEST_CASE("sqlite queue: properties that are damaged are refused, not misread")
{
    using sqlite::detail::decode_properties;
    const auto bytes = [](const std::string& text) { return std::as_bytes(std::span{text.data(), text.size()}); };
    const std::string good = sqlite::detail::encode_properties({{"name", "value"}, {"", std::string(300, 'x')}});
    CHECK(decode_properties(bytes(good)) == escqrs::MessageProperties{{"name", "value"}, {"", std::string(300, 'x')}});
    for (std::size_t length = 1; length < good.size(); ++length) {
        if (length == 17) continue; // the end of the first property
        CHECK_THROWS_AS(decode_properties(bytes(good.substr(0, length))), TransportError);
    }
    CHECK_THROWS_AS(decode_properties(bytes("\xFF\xFF\xFF\xFFname")), TransportError);
}

namespace {

/// The clock of a machine that can be started anew.
struct MachineClock final : escqrs::Clock {
    escqrs::Timestamp now() const override { return time; }
    escqrs::SteadyTime steady() const override { return since_start; }
    std::string steady_origin() const override { return start; }
    bool wait_for(std::unique_lock<std::mutex>&, escqrs::condition_variable_any&, Duration at_most, escqrs::stop_token,
                  escqrs::FunctionRef<bool()> ready) override
    {
        pass(at_most);
        return ready();
    }
    void pass(Duration duration)
    {
        time += duration;
        since_start += duration;
    }
    void restart(const std::string& name)
    {
        start = name;
        since_start = escqrs::SteadyTime{std::chrono::seconds{5}};
    }

    escqrs::Timestamp time{std::chrono::sys_days{std::chrono::year{2026} / 6 / 1}};
    escqrs::SteadyTime since_start{std::chrono::hours{100}};
    std::string start = "first start";
};

} // namespace

TEST_CASE("sqlite queue: when the machine is started anew, locks end, and ids of messages are as old as they were")
{
    using namespace escqrs::testing::detail;
    const Folder folder;
    MachineClock clock;
    MessageQueueOptions options;
    options.clock = &clock;
    const std::string session = GENERATE("", "session");
    auto queue = std::make_unique<sqlite::MessageQueue>(folder.file("queue.db"), options);
    send_all(*queue, {"1"}, session);
    const auto held = queue->receive(1, {});
    REQUIRE(held.size() == 1);
    clock.pass(std::chrono::minutes{4});
    queue.reset();
    clock.time += std::chrono::minutes{2}; // while it is off
    clock.restart("second start");
    queue = std::make_unique<sqlite::MessageQueue>(folder.file("queue.db"), options);
    const auto again = queue->receive(1, {});
    REQUIRE(again.size() == 1);
    CHECK(again[0].delivery_count == 2);
    queue->settle(again[0], escqrs::Complete{});
    queue.reset();
    queue = std::make_unique<sqlite::MessageQueue>(folder.file("queue.db"), options); // not a start of the machine

    clock.pass(std::chrono::minutes{3}); // nine of the ten that the window has
    send_all(*queue, {"1"}, session);
    CHECK(queue->counts().active == 0);
    clock.pass(std::chrono::minutes{1});
    send_all(*queue, {"1"}, session);
    CHECK(queue->counts().active == 1);
}

TEST_CASE("sqlite queue: a queue of the first schema is upgraded, and keeps what it holds")
{
    using namespace escqrs::testing::detail;
    const Folder folder;
    const std::string path = folder.file("queue.db");
    MachineClock clock;
    MessageQueueOptions options;
    options.clock = &clock;
    {
        sqlite::MessageQueue queue{path, options};
        send_all(queue, {"waiting", "held"});
        REQUIRE(queue.receive(1, {}).size() == 1);
    }
    { // as it was: all moments by the time of day
        const auto before = std::to_string((clock.time - std::chrono::minutes{1}).time_since_epoch().count());
        sqlite::Database file{path};
        file.execute("DROP TABLE clock; PRAGMA user_version = 1");
        file.execute(("UPDATE seen SET seen_at = " + before).c_str());
        file.execute("UPDATE message SET locked_until = locked_until + 1000000000000 WHERE locked_until IS NOT NULL");
    }
    sqlite::MessageQueue queue{path, options};
    send_all(queue, {"waiting", "held", "new"});
    CHECK(ids_of(queue.receive(10, {})) == std::vector<std::string>{"waiting", "held", "new"});
    clock.pass(std::chrono::minutes{9});
    send_all(queue, {"waiting", "new"});
    CHECK(queue.counts().active == 4); // of which three come back, and "new" is a repeat
    CHECK(sqlite::Database{path}.query_integer("PRAGMA user_version") == 2);
}
