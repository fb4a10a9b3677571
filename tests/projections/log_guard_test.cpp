// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/bookmark.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/in_memory/parking_lot.hpp>
#include <escqrs/messaging/relay.hpp>
#include <escqrs/projections/parallel_subscription.hpp>
#include <escqrs/projections/projection.hpp>
#include <escqrs/projections/subscription.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace escqrs;
using namespace escqrs::testing::detail;

namespace {

using Store = in_memory::EventStore;
using Positions = std::set<std::uint64_t>;

struct Happened {
    static constexpr std::string_view event_name = "SampleHappened";
    template <class Archive>
    void serialize(Archive& /*archive*/, unsigned /*version*/)
    {
    }
};

void append_events(Store& store, int count)
{
    for (int index = 0; index < count; ++index) {
        std::vector<SampleEvent> events(1);
        events[0].schema_version = 0;
        events[0].content_type = archive::Binary::content_type;
        events[0].payload.clear();
        events[0].metadata.clear();
        append(store, sample_stream(), ExpectedVersion::any(), events);
    }
}

/// As after a restore: the log as it was when it had `count` events.
std::unique_ptr<Store> restored(Store& store, std::size_t count)
{
    auto copy = std::make_unique<Store>(in_memory::EventStoreOptions{.log_id = store.log_id()});
    store.read_log({}, count, [&](const RecordedEvent& event) {
        const NewEvent same{event.id,           event.type,    event.schema_version,
                            event.content_type, event.payload, event.metadata};
        copy->append(event.stream, ExpectedVersion::any(), {&same, 1});
        return true;
    });
    return copy;
}

/// What a checkpoint of before knows: the position.
struct OldCheckpoint {
    GlobalPosition load() const { return position; }
    void save(GlobalPosition reached) { position = reached; }

    GlobalPosition position;
};

/// Has the same log as a server, until another one takes over.
class Servers : public Store {
public:
    explicit Servers(Store& first) : current_{&first} {}

    void fail_over_to(Store& next) { current_ = &next; }

    GlobalPosition read_log(GlobalPosition after, std::size_t at_most, EventSink sink)
    {
        return current().read_log(after, at_most, sink);
    }
    GlobalPosition read_log(GlobalPosition after, std::size_t at_most, const EventFilter& filter, EventSink sink)
    {
        if (before_page) before_page();
        return current().read_log(after, at_most, filter, sink);
    }
    LogId log_id() { return current().log_id(); }
    GlobalPosition head() { return current().head(); }
    std::optional<EventLocation> locate(EventId id) { return current().locate(id); }
    bool wait_for_events(GlobalPosition after, Duration at_most, escqrs::stop_token stop)
    {
        return current().wait_for_events(after, at_most, std::move(stop));
    }

    std::function<void()> before_page;

private:
    Store& current() { return *current_; }

    std::atomic<Store*> current_;
};

SubscriptionOptions small_pages()
{
    SubscriptionOptions options;
    options.page_size = 4;
    options.max_wait = std::chrono::milliseconds{1};
    return options;
}

// Each kind of reader: `catch_up` with a new one.

struct BySubscription {
    static void catch_up(auto& store, auto& place, Positions& seen)
    {
        Subscription subscription{store, place, small_pages()};
        subscription.catch_up([&](const RecordedEvent& event) { seen.insert(event.position.value()); });
    }
};

struct ByParallelSubscription {
    static void catch_up(auto& store, auto& place, Positions& seen)
    {
        std::mutex mutex;
        ParallelSubscription subscription{store, place, 2, small_pages()};
        subscription.catch_up([&](const RecordedEvent& event) {
            const std::scoped_lock lock{mutex};
            seen.insert(event.position.value());
        });
    }
};

struct ByRelay {
    struct Sender {
        static void send(std::span<const Message>) {}
    };

    static void catch_up(auto& store, auto& place, Positions& seen)
    {
        Sender sender;
        Relay relay{store, place, sender,
                    [&](const RecordedEvent& event) {
                        seen.insert(event.position.value());
                        return Message{};
                    },
                    small_pages()};
        relay.catch_up();
    }
};

struct ByProjection {
    struct Handlers {
        using Events = EventList<Happened>;
        void handle(const Happened&, const EventContext& context)
        {
            seen->insert(context.position.value());
            replays += context.is_replay ? 1 : 0;
        }
        void clear() const { seen->clear(); }

        Positions* seen;
        int replays = 0;
    };

    static void catch_up(auto& store, auto& place, Positions& seen)
    {
        Handlers handlers{&seen};
        Projection projection{store, place, handlers, small_pages()};
        projection.catch_up();
    }
};

template <class Reader>
void check_reader()
{
    Store store;
    in_memory::Checkpoint place;
    Positions seen;
    append_events(store, 10);
    Reader::catch_up(store, place, seen);
    REQUIRE(seen.size() == 10);
    REQUIRE(place.bookmark().log == store.log_id());
    const auto mismatch_with = [&](auto& other) {
        try {
            Reader::catch_up(other, place, seen);
        } catch (const LogMismatch& mismatch) {
            CHECK(mismatch.checkpoint().position == GlobalPosition{10});
            CHECK(mismatch.checkpoint().log == store.log_id());
            CHECK(mismatch.log() == other.log_id());
            CHECK(mismatch.head() == other.head());
            CHECK_THAT(mismatch.what(), Catch::Contains("position 10") && Catch::Contains(to_string(store.log_id())) &&
                                            Catch::Contains(to_string(other.log_id())) &&
                                            Catch::Contains("position " + std::to_string(other.head().value())));
            CHECK(seen.size() == 10);
            CHECK(place.load() == GlobalPosition{10});
            CHECK_THROWS_AS(require_same_log(other, place), LogMismatch);
            return true;
        }
        return false;
    };

    SECTION("of another log, longer or shorter")
    {
        Store other;
        append_events(other, 4);
        CHECK(mismatch_with(other));
        append_events(other, 16);
        CHECK(mismatch_with(other));
    }
    SECTION("beyond the end of a restored log, and when that has grown past it")
    {
        const auto older = restored(store, 4);
        CHECK(mismatch_with(*older));
        append_events(*older, 6);
        CHECK(mismatch_with(*older));
        append_events(*older, 1);
        CHECK(mismatch_with(*older));
    }
    SECTION("of the same log, restored up to there")
    {
        const auto same = restored(store, 10);
        append_events(*same, 3);
        CHECK_NOTHROW(require_same_log(*same, place));
        Reader::catch_up(*same, place, seen);
        CHECK(seen.size() == 13);
    }
    SECTION("from before checkpoints knew their log: it is taken for the one that is read, and remembered")
    {
        place.save(GlobalPosition{10});
        Reader::catch_up(store, place, seen);
        CHECK(place.bookmark().log == store.log_id());
        const auto older = restored(store, 4);
        append_events(*older, 10);
        CHECK(mismatch_with(*older));
    }
    SECTION("from before, but beyond the end")
    {
        place.save(GlobalPosition{10});
        const auto older = restored(store, 9);
        CHECK(mismatch_with(*older));
    }
    SECTION("set anew, which is the way out")
    {
        Store other;
        append_events(other, 5);
        place.save(GlobalPosition{3});
        seen.clear();
        Reader::catch_up(other, place, seen);
        CHECK(seen == Positions{4, 5});
        CHECK(place.bookmark().log == other.log_id());
    }
    SECTION("of a server that fails over, in the midst of reading, to one that the last events never reached")
    {
        const auto next = restored(store, 7);
        append_events(*next, 20);
        Servers servers{store};
        append_events(store, 20);
        int pages = 0;
        servers.before_page = [&] {
            if (++pages == 3) servers.fail_over_to(*next);
        };
        CHECK_THROWS_AS(Reader::catch_up(servers, place, seen), LogMismatch);
        CHECK(*seen.rbegin() <= 18); // two pages; nothing of the third
        CHECK(place.load() <= GlobalPosition{18});
    }
}

} // namespace

TEST_CASE("a subscription does not continue from a checkpoint of another log") { check_reader<BySubscription>(); }

TEST_CASE("a parallel subscription does not continue from a checkpoint of another log")
{
    check_reader<ByParallelSubscription>();
}

TEST_CASE("a relay does not continue from a checkpoint of another log") { check_reader<ByRelay>(); }

TEST_CASE("a projection does not continue from a checkpoint of another log") { check_reader<ByProjection>(); }

TEST_CASE("a reader that filters recognises its log by an event that it was not shown")
{
    Store store;
    in_memory::Checkpoint place;
    append_events(store, 9);
    SubscriptionOptions options;
    options.filter.types = {"Other"};
    const auto catch_up = [&](Store& log) {
        return Subscription{log, place, options}.catch_up([](const RecordedEvent&) {});
    };
    CHECK(catch_up(store) == GlobalPosition{9});
    CHECK_FALSE(place.bookmark().event.is_nil());
    const auto older = restored(store, 5);
    append_events(*older, 9);
    CHECK_THROWS_AS(catch_up(*older), LogMismatch);
}

TEST_CASE("a checkpoint that keeps the position only is not beyond the end of the log")
{
    Store store;
    OldCheckpoint place;
    append_events(store, 5);
    const auto ignore = [](const RecordedEvent&) {};
    Subscription subscription{store, place};
    CHECK(subscription.catch_up(ignore) == GlobalPosition{5});
    CHECK(subscription.catch_up(ignore) == GlobalPosition{5});
    place.position = GlobalPosition{6};
    CHECK_THROWS_AS((Subscription{store, place}.catch_up(ignore)), LogMismatch);
}

TEST_CASE("a running reader reports a log that has lost its end, and stops")
{
    Store store;
    append_events(store, 10);
    const auto next = restored(store, 7);
    Servers servers{store};
    in_memory::Checkpoint place;
    std::atomic<int> failures{0};
    std::atomic<bool> is_caught_up{false};
    auto options = small_pages();
    options.on_failure = [&](std::exception_ptr, Duration delay) { failures += delay == Duration::zero() ? 1 : 100; };
    options.on_caught_up = [&](GlobalPosition) { is_caught_up = true; };
    std::atomic<int> mismatches{0};
    const auto run = [&](auto reader, auto... handle) {
        escqrs::jthread running{[&](const escqrs::stop_token& stop) {
            try {
                reader.run(stop, handle...);
            } catch (const LogMismatch&) {
                ++mismatches;
            }
        }};
        while (!is_caught_up) std::this_thread::yield();
        servers.fail_over_to(*next); // where nothing is appended
        while (mismatches == 0) std::this_thread::yield();
    };
    const auto ignore = [](const RecordedEvent&) {};
    SECTION("a subscription") { run(Subscription{servers, place, options}, ignore); }
    SECTION("a parallel subscription") { run(ParallelSubscription{servers, place, 2, options}, ignore); }
    SECTION("a projection")
    {
        Positions seen;
        ByProjection::Handlers handlers{&seen};
        run(Projection{servers, place, handlers, options});
    }
    CHECK(failures == 1);
    CHECK(mismatches == 1);
    CHECK(place.load() == GlobalPosition{10});
}

TEST_CASE("what a projection has parked is not replayed from another log")
{
    struct Failing : ByProjection::Handlers {
        using Events = EventList<Happened>;
        static void handle(const Happened&, const EventContext&) { throw std::runtime_error{"cannot handle it"}; }
    };
    Store store;
    in_memory::Checkpoint place;
    in_memory::ParkingLot lot;
    Positions seen;
    Failing handlers{{&seen}};
    append_events(store, 3);
    Projection{store, place, lot, handlers, small_pages()}.catch_up();
    REQUIRE(lot.all().size() == 1);
    Store other;
    append_events(other, 3);
    Projection projection{other, place, lot, handlers, small_pages()};
    CHECK_THROWS_AS(projection.replay(sample_stream()), LogMismatch);
    CHECK(lot.all().size() == 1);
}

TEST_CASE("a read model that is built anew from another log, or a restored one, counts as replays what was handled")
{
    Store store;
    in_memory::Checkpoint place;
    Positions seen;
    append_events(store, 10);
    ByProjection::catch_up(store, place, seen);
    ByProjection::Handlers handlers{&seen};
    const auto rebuild_from = [&](Store& log) {
        Projection projection{log, place, handlers, small_pages()};
        CHECK_THROWS_AS(projection.catch_up(), LogMismatch);
        projection.restart();
        append_events(log, 2);
        projection.catch_up();
        CHECK(seen.size() == log.head().value());
    };
    SECTION("of another log: nothing")
    {
        Store other;
        append_events(other, 6);
        rebuild_from(other);
        CHECK(handlers.replays == 0);
    }
    SECTION("of a restored log: what is left")
    {
        rebuild_from(*restored(store, 6));
        CHECK(handlers.replays == 6);
    }
}
