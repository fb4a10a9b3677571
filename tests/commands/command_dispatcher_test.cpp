// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"
#include "support/task_queue.hpp"

#include <escqrs/commands/dispatcher/command_dispatcher.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace escqrs;
using account::Account;
using test::TaskQueue;

namespace {

struct Add {
    using Result = int;
    int left = 0;
    int right = 0;
};

struct Note {
    using Result = void;
    StreamId page;
    std::string text;
};

struct Strike {
    using Result = void;
    StreamId page;
};

struct Deposit {
    Account::Id account_id;
    std::int64_t cents = 0;
};

template <class Future>
bool is_ready(const Future& future)
{
    return future.wait_for(std::chrono::seconds{0}) == std::future_status::ready;
}

} // namespace

TEST_CASE("a command is handled on the executor, and its result arrives in a future")
{
    TaskQueue queue;
    CommandBus bus;
    std::string actor;
    bus.handle(on<Add>([&](const Add& add, const Metadata& metadata) {
                   actor = metadata.actor;
                   return add.left + add.right;
               }),
               on<Strike>([](const Strike&) {}));
    CommandDispatcher dispatcher{bus, queue.executor()};
    Metadata metadata;
    metadata.actor = "ada";
    auto sum = dispatcher.send(Add{2, 3}, metadata);
    auto struck = dispatcher.send(Strike{StreamId{"page", "1"}});
    CHECK_FALSE(is_ready(sum));
    queue.run_all();
    CHECK(sum.get() == 5);
    CHECK(actor == "ada");
    CHECK_NOTHROW(struck.get());
}

TEST_CASE("what a command ends with arrives in the future")
{
    TaskQueue queue;
    CommandBus bus;
    bus.handle<Add>([](const Add&) -> int { throw std::out_of_range{"no"}; });
    CommandDispatcher dispatcher{bus, queue.executor()};
    auto failed = dispatcher.send(Add{});
    auto unhandled = dispatcher.send(Strike{StreamId{"page", "1"}});
    queue.run_all();
    CHECK_THROWS_AS(failed.get(), std::out_of_range);
    CHECK_THROWS_AS(unhandled.get(), HandlerNotFound);
}

TEST_CASE("a command may hold what cannot be copied")
{
    struct Carry {
        using Result = int;
        std::unique_ptr<int> load;
    };
    CommandBus bus;
    bus.handle<Carry>([](const Carry& carry) { return *carry.load; });
    TaskQueue queue;
    CommandDispatcher dispatcher{bus, queue.executor()};
    auto carried = dispatcher.send(Carry{std::make_unique<int>(7)});
    queue.run_all();
    CHECK(carried.get() == 7);
}

TEST_CASE("an executor that throws, or drops the task, is reported by the future")
{
    CommandBus bus;
    bus.handle(on<Add>([](const Add&) { return 1; }), on<Strike>([](const Strike&) {}));
    SECTION("throws")
    {
        CommandDispatcher dispatcher{bus, [](const std::function<void()>&) { throw std::runtime_error{"full"}; }};
        dispatcher.in_order_by(&Strike::page);
        auto sum = dispatcher.send(Add{});
        auto struck = dispatcher.send(Strike{StreamId{"page", "1"}});
        CHECK_THROWS_WITH(sum.get(), "full");
        CHECK_THROWS_WITH(struck.get(), "full");
    }
    SECTION("runs it and throws")
    {
        CommandDispatcher dispatcher{bus, [](const std::function<void()>& task) {
                                         task();
                                         throw std::runtime_error{"full"};
                                     }};
        auto sum = dispatcher.send(Add{});
        CHECK(sum.get() == 1);
    }
    SECTION("drops")
    {
        TaskQueue queue;
        CommandDispatcher dispatcher{bus, queue.executor()};
        dispatcher.in_order_by(&Strike::page);
        auto sum = dispatcher.send(Add{});
        auto first = dispatcher.send(Strike{StreamId{"page", "1"}});
        auto behind = dispatcher.send(Strike{StreamId{"page", "1"}});
        queue.drop_oldest();
        queue.drop_oldest();
        CHECK_THROWS_AS(sum.get(), std::future_error);
        CHECK_THROWS_AS(first.get(), std::future_error);
        CHECK_THROWS_AS(behind.get(), std::future_error);
        CHECK(dispatcher.busy_keys() == 0);
    }
}

TEST_CASE("commands with the same key run one at a time in the order of sending, of whatever type they are")
{
    TaskQueue queue;
    CommandBus bus;
    std::string done;
    bus.handle(on<Note>([&](const Note& note) { done += "note " + note.text + ' '; }),
               on<Strike>([&](const Strike& strike) { done += "strike " + std::string{strike.page.id()} + ' '; }),
               on<Add>([&](const Add&) { return 0; }));
    CommandDispatcher dispatcher{bus, queue.executor()};
    dispatcher.in_order_by(&Note::page, &Strike::page);
    dispatcher.in_order_by<Add>([](const Add& add) { return add.left; });
    const StreamId first{"page", "1"};
    const StreamId second{"page", "2"};
    (void)dispatcher.send(Note{first, "a"});
    (void)dispatcher.send(Strike{first});
    (void)dispatcher.send(Note{second, "b"});
    (void)dispatcher.send(Note{first, "c"});
    CHECK(queue.size() == 2);
    CHECK(dispatcher.busy_keys() == 2);
    queue.run_newest();
    CHECK(done == "note b ");
    queue.run_all();
    CHECK(done == "note b note a strike 1 note c ");

    (void)dispatcher.send(Add{1, 0});
    (void)dispatcher.send(Add{1, 0});
    (void)dispatcher.send(Add{2, 0});
    CHECK(queue.size() == 2);
    queue.run_all();
    CHECK(dispatcher.busy_keys() == 0);
}

TEST_CASE("keys of different kinds are different keys")
{
    struct ByNumber {
        using Result = void;
        int key;
    };
    struct ByLongNumber {
        using Result = void;
        std::uint64_t key;
    };
    struct ByText {
        using Result = void;
        std::string key;
    };
    struct ByView {
        using Result = void;
        std::string_view key;
    };
    struct ById {
        using Result = void;
        CommandId key;
    };
    struct ByOtherId {
        using Result = void;
        EventId key;
    };
    TaskQueue queue;
    CommandBus bus;
    CommandDispatcher dispatcher{bus, queue.executor()};
    dispatcher.in_order_by(&ByNumber::key, &ByLongNumber::key, &ByText::key, &ByView::key, &ById::key, &ByOtherId::key);
    const auto uuid = random_uuid();
    (void)dispatcher.send(ByNumber{1});
    (void)dispatcher.send(ByLongNumber{1}); // a number is a number
    (void)dispatcher.send(ByText{"1"});
    (void)dispatcher.send(ByView{"1"}); // a text is a text
    (void)dispatcher.send(ById{CommandId{uuid}});
    (void)dispatcher.send(ByOtherId{EventId{uuid}});
    CHECK(dispatcher.busy_keys() == 4);
    queue.run_all();
}

TEST_CASE("a command that expires, or is stopped, in the queue is not begun, and the next one is")
{
    testing::ManualClock clock;
    TaskQueue queue;
    CommandBus bus{clock};
    std::string done;
    bus.handle<Note>([&](const Note& note) {
        done += note.text;
        clock.advance(Duration{10});
    });
    CommandDispatcher dispatcher{bus, queue.executor()};
    dispatcher.in_order_by(&Note::page);
    const StreamId page{"page", "1"};
    escqrs::stop_source stop;
    auto first = dispatcher.send(Note{page, "a"}, {}, {{}, clock.now() + Duration{5}});
    auto expired = dispatcher.send(Note{page, "b"}, {}, {{}, clock.now() + Duration{5}});
    auto stopped = dispatcher.send(Note{page, "c"}, {}, {stop.get_token()});
    auto last = dispatcher.send(Note{page, "d"});
    stop.request_stop();
    queue.run_all();
    CHECK_NOTHROW(first.get());
    CHECK_THROWS_AS(expired.get(), CommandDeadlineExceeded);
    CHECK_THROWS_AS(stopped.get(), CommandCancelled);
    CHECK_NOTHROW(last.get());
    CHECK(done == "ad");
}

TEST_CASE("a handler may send to the key of its own command, on a single thread too")
{
    CommandBus bus;
    std::string done;
    std::future<void> follow_up;
    TaskQueue queue;
    const auto at_once = [](const std::function<void()>& task) { task(); };
    const auto check = [&](auto& dispatcher) {
        dispatcher.in_order_by(&Note::page, &Strike::page);
        bus.handle(on<Note>([&](const Note& note) {
                       follow_up = dispatcher.send(Strike{note.page});
                       CHECK_FALSE(is_ready(follow_up));
                       done += "note ";
                   }),
                   on<Strike>([&](const Strike&) { done += "strike "; }));
        auto noted = dispatcher.send(Note{StreamId{"page", "1"}, "a"});
        queue.run_all();
        CHECK_NOTHROW(noted.get());
        CHECK_NOTHROW(follow_up.get());
        CHECK(done == "note strike ");
        CHECK(dispatcher.busy_keys() == 0);
    };
    SECTION("later")
    {
        CommandDispatcher dispatcher{bus, queue.executor()};
        check(dispatcher);
    }
    SECTION("at once")
    {
        CommandDispatcher dispatcher{bus, at_once};
        check(dispatcher);
    }
}

TEST_CASE("commands on their way are handled although their dispatcher is gone")
{
    TaskQueue queue;
    CommandBus bus;
    bus.handle<Add>([](const Add& add) { return add.left; });
    std::future<int> first;
    std::future<int> second;
    {
        CommandDispatcher dispatcher{bus, queue.executor()};
        dispatcher.in_order_by<Add>([](const Add& add) { return add.right; });
        first = dispatcher.send(Add{1, 7});
        second = dispatcher.send(Add{2, 7});
    }
    queue.run_all();
    CHECK(first.get() == 1);
    CHECK(second.get() == 2);
}

TEST_CASE("commands sent from many threads to one aggregate meet no conflict")
{
    in_memory::EventStore store;
    RepositoryOptions options;
    options.retry.attempts = 1;
    const Repository<Account, in_memory::EventStore> accounts{store, options};
    auto account = Account::open(Account::Id{random_uuid()}, "Ada");
    accounts.save(account);
    CommandBus bus;
    bus.handle<Deposit>([&](const Deposit& deposit, const Metadata& metadata) {
        return accounts.execute(
            deposit.account_id, [&](Account& seen) { seen.deposit(deposit.cents); }, metadata);
    });
    TaskQueue queue;
    CommandDispatcher dispatcher{bus, queue.executor()};
    dispatcher.in_order_by(&Deposit::account_id);
    {
        std::vector<escqrs::jthread> workers;
        for (int worker = 0; worker < 4; ++worker) {
            workers.emplace_back([&](const escqrs::stop_token& stop) { queue.work(stop); });
        }
        std::vector<escqrs::jthread> senders;
        for (int sender = 0; sender < 4; ++sender) {
            senders.emplace_back([&] {
                std::vector<std::future<CommitResult>> results;
                for (int round = 0; round < 50; ++round) results.push_back(dispatcher.send(Deposit{account.id(), 1}));
                StreamVersion last;
                for (auto& result : results) {
                    const auto version = result.get().version;
                    if (version <= last) throw std::logic_error{"not in the order of sending"};
                    last = version;
                }
            });
        }
    }
    CHECK(accounts.get(account.id()).balance() == 200);
}
