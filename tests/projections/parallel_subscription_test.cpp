// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/stop_token.hpp>
#include <escqrs/projections/parallel_subscription.hpp>

#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace escqrs;
using namespace std::chrono_literals;
using testing::detail::append_some;
using testing::detail::sample_stream;

namespace {

using Store = in_memory::EventStore;

/// Two streams that different threads of `threads` handle.
std::pair<StreamId, StreamId> streams_apart(std::size_t threads)
{
    const StreamId one = sample_stream("0");
    for (int index = 1;; ++index) {
        const StreamId other = sample_stream(std::to_string(index));
        if (std::hash<StreamId>{}(one) % threads != std::hash<StreamId>{}(other) % threads) return {one, other};
    }
}

/// What was handled, and whether each stream's events came in order and one at a time.
class Recorder {
    template <class Look>
    auto locked(Look look) const
    {
        const std::scoped_lock lock{mutex_};
        return look();
    }

public:
    void operator()(const RecordedEvent& event)
    {
        {
            const std::scoped_lock lock{mutex_};
            if (!busy_.insert(event.stream).second) good_ = false;
        }
        std::this_thread::yield();
        const std::scoped_lock lock{mutex_};
        busy_.erase(event.stream);
        auto& version = versions_[event.stream];
        if (event.version != version.next()) good_ = false;
        version = event.version;
        positions_.insert(event.position);
        threads_.insert(std::this_thread::get_id());
    }

    bool good() const
    {
        return locked([&] { return good_; });
    }
    std::size_t count() const
    {
        return locked([&] { return positions_.size(); });
    }
    std::size_t threads() const
    {
        return locked([&] { return threads_.size(); });
    }
    StreamVersion version_of(const StreamId& stream)
    {
        return locked([&] { return versions_[stream]; });
    }

    /// Whether everything up to there was handled.
    bool has_all_up_to(GlobalPosition position) const
    {
        return locked([&] {
            const auto end = positions_.upper_bound(position);
            return static_cast<std::uint64_t>(std::distance(positions_.begin(), end)) == position.value();
        });
    }

private:
    mutable std::mutex mutex_;
    std::set<StreamId> busy_;
    std::map<StreamId, StreamVersion> versions_;
    std::set<GlobalPosition> positions_; // in a log without gaps
    std::set<std::thread::id> threads_;
    bool good_ = true;
};

template <class Condition>
bool comes_true(Condition condition)
{
    for (const auto end = std::chrono::steady_clock::now() + 30s; std::chrono::steady_clock::now() < end;) {
        if (condition()) return true;
        std::this_thread::sleep_for(1ms);
    }
    return false;
}

SubscriptionOptions quick()
{
    SubscriptionOptions options;
    options.page_size = 7;
    options.first_retry_delay = Duration{100};
    options.max_retry_delay = 1ms;
    return options;
}

} // namespace

TEST_CASE("a parallel subscription handles all, each stream in order, streams side by side")
{
    Store store;
    in_memory::Checkpoint place;
    for (int index = 0; index < 300; ++index) append_some(store, sample_stream(std::to_string(index % 13)), 1);
    Recorder recorder;
    ParallelSubscription subscription{store, place, 4, quick()};
    CHECK(subscription.catch_up(recorder) == GlobalPosition{300});
    CHECK(recorder.good());
    CHECK(recorder.count() == 300);
    CHECK(recorder.threads() > 1);
    CHECK(place.load() == GlobalPosition{300});
    append_some(store, sample_stream("0"), 2);
    CHECK(subscription.catch_up(recorder) == GlobalPosition{302});
    CHECK(recorder.good());
    CHECK(recorder.count() == 302);
}

TEST_CASE("streams do not wait for each other")
{
    Store store;
    in_memory::Checkpoint place;
    const auto [slow, fast] = streams_apart(2);
    append_some(store, slow, 1);
    append_some(store, fast, 5);
    std::atomic<int> fast_ones{0};
    std::atomic<bool> all_came{false};
    ParallelSubscription subscription{store, place, 2, quick()};
    subscription.catch_up([&, slow = slow](const RecordedEvent& event) {
        if (event.stream != slow) ++fast_ones;
        else all_came = comes_true([&] { return fast_ones == 5; });
    });
    CHECK(all_came);
}

TEST_CASE("a parallel subscription's checkpoint never passes what is not handled, and others keep their order")
{
    Store store;
    in_memory::Checkpoint place;
    const auto [bad, good] = streams_apart(2);
    append_some(store, good, 3);
    append_some(store, bad, 2);
    append_some(store, good, 3);
    Recorder recorder;
    std::atomic<bool> repaired{false};
    std::atomic<int> failures{0};
    auto options = quick();
    options.on_failure = [&](std::exception_ptr, Duration) { ++failures; };
    std::atomic<std::uint64_t> told{0};
    options.on_caught_up = [&](GlobalPosition position) { told = position.value(); };
    {
        escqrs::jthread runner{[&, bad = bad](escqrs::stop_token stop) {
            ParallelSubscription subscription{store, place, 2, options};
            subscription.run(stop, [&](const RecordedEvent& event) {
                if (event.stream == bad && event.version == StreamVersion{1} && !repaired) {
                    throw std::runtime_error{"not yet"};
                }
                recorder(event);
            });
        }};
        CHECK(comes_true([&, good = good] { return recorder.version_of(good) == StreamVersion{6} && failures > 2; }));
        CHECK(comes_true([&] { return place.load() == GlobalPosition{3}; }));
        append_some(store, good, 2); // appended while a thread is stuck
        CHECK(comes_true([&, good = good] { return recorder.version_of(good) == StreamVersion{8}; }));
        CHECK(place.load() == GlobalPosition{3});
        CHECK(told == 0);
        CHECK(recorder.version_of(bad) == StreamVersion{0});
        repaired = true;
        CHECK(comes_true([&] { return place.load() == GlobalPosition{10}; }));
        CHECK(comes_true([&] { return told == 10; }));
    }
    CHECK(recorder.good());
    CHECK(recorder.count() == 10);
}

TEST_CASE("a parallel subscription survives whatever is thrown, and reports it")
{
    struct FailingPlace {
        GlobalPosition load()
        {
            if (loads++ == 0) throw 1; // NOLINT(hicpp-exception-baseclass)
            return place.load();
        }
        void save(GlobalPosition position)
        {
            if (saves++ == 0) throw 2; // NOLINT(hicpp-exception-baseclass)
            place.save(position);
        }
        in_memory::Checkpoint place{};
        int loads = 0;
        int saves = 0;
    };
    Store store;
    FailingPlace place;
    for (int index = 0; index < 20; ++index) append_some(store, sample_stream(std::to_string(index % 3)), 1);
    Recorder recorder;
    std::atomic<int> reported{0};
    std::atomic<std::thread::id> caller{};
    std::atomic<bool> callback_has_thrown{false};
    auto options = quick();
    options.on_failure = [&](const std::exception_ptr& failure, Duration) {
        CHECK_THAT(text_of(failure), Catch::Contains("not a std::exception"));
        const bool is_third = ++reported >= 3;
        // In a thread of the subscription's: what the callback throws in the caller's is the caller's.
        if (is_third && std::this_thread::get_id() != caller.load() && !callback_has_thrown.exchange(true))
            throw "of the callback itself";
    };
    std::atomic<bool> has_thrown{false};
    {
        const escqrs::jthread runner{[&](escqrs::stop_token stop) {
            caller = std::this_thread::get_id();
            ParallelSubscription subscription{store, place, 3, options};
            subscription.run(std::move(stop), [&](const RecordedEvent& event) {
                if (event.position == GlobalPosition{9} && reported >= 2 && !has_thrown.exchange(true)) throw 42;
                if (event.position == GlobalPosition{9} && reported < 2) throw 42;
                recorder(event);
            });
        }};
        CHECK(comes_true([&] { return place.place.load() == GlobalPosition{20}; }));
    }
    CHECK(recorder.good());
    CHECK(recorder.count() == 20);
    CHECK(callback_has_thrown);
}

TEST_CASE("whatever a handler throws ends a parallel catch-up")
{
    Store store;
    in_memory::Checkpoint place;
    append_some(store, sample_stream("only"), 3);
    ParallelSubscription subscription{store, place, 2, quick()};
    CHECK_THROWS_AS(subscription.catch_up([](const RecordedEvent&) { throw 42; }), int);
}

TEST_CASE("a failure ends a parallel catch-up, after what was handled")
{
    Store store;
    in_memory::Checkpoint place;
    for (int index = 0; index < 100; ++index) append_some(store, sample_stream(std::to_string(index % 13)), 1);
    Recorder recorder;
    ParallelSubscription subscription{store, place, 3, quick()};
    const auto handle = [&](const RecordedEvent& event) {
        if (event.position == GlobalPosition{50}) throw std::out_of_range{"the handler's own"};
        recorder(event);
    };
    CHECK_THROWS_AS(subscription.catch_up(handle), std::out_of_range);
    CHECK(recorder.good());
    CHECK(place.load() < GlobalPosition{50});
    CHECK(recorder.has_all_up_to(place.load()));
}

TEST_CASE("a parallel subscription stops at once, with a thread stuck and its room used up")
{
    Store store;
    in_memory::Checkpoint place;
    for (int index = 0; index < 500; ++index) append_some(store, sample_stream("only"), 1);
    std::atomic<int> calls{0};
    auto options = quick();
    options.first_retry_delay = options.max_retry_delay = std::chrono::hours{1};
    const auto begin = std::chrono::steady_clock::now();
    {
        escqrs::jthread runner{[&](escqrs::stop_token stop) {
            ParallelSubscription subscription{store, place, 3, options};
            subscription.run(stop, [&](const RecordedEvent&) {
                ++calls;
                throw std::runtime_error{"never"};
            });
        }};
        CHECK(comes_true([&] { return calls == 1; }));
    }
    CHECK(std::chrono::steady_clock::now() - begin < 20s);
    CHECK(place.load() == GlobalPosition{});
    CHECK(calls == 1);
}

TEST_CASE("stopped and started again at any moment, a parallel subscription misses nothing")
{
    Store store;
    in_memory::Checkpoint place;
    std::mutex mutex;
    std::set<GlobalPosition> seen;
    auto options = quick();
    options.filter.categories = {"sample"};
    options.predicate = [](const RecordedEvent& event) { return event.version != StreamVersion{3}; };
    escqrs::jthread writer{[&] {
        for (int index = 0; index < 600; ++index) {
            append_some(store, StreamId{index % 3 == 0 ? "other" : "sample", std::to_string(index % 17)}, 1);
        }
    }};
    for (int round = 0; round < 20; ++round) {
        escqrs::jthread runner{[&](escqrs::stop_token stop) {
            ParallelSubscription subscription{store, place, 3, options};
            subscription.run(stop, [&](const RecordedEvent& event) {
                if (event.position.value() % 10 == 0) std::this_thread::sleep_for(200us);
                const std::scoped_lock lock{mutex};
                seen.insert(event.position);
            });
        }};
        std::this_thread::sleep_for(1ms * (round % 5));
    }
    writer.join();
    ParallelSubscription subscription{store, place, 3, options};
    CHECK(subscription.catch_up([&](const RecordedEvent& event) {
        const std::scoped_lock lock{mutex};
        seen.insert(event.position);
    }) == store.head());
    std::set<GlobalPosition> wanted;
    for (const auto& event : testing::detail::read_log(store)) {
        if (event.stream.category() == "sample" && event.version != StreamVersion{3}) wanted.insert(event.position);
    }
    CHECK((seen == wanted));
}
