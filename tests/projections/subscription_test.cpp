// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"

#include <escqrs/commands/repository.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/projections/subscription.hpp>
#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace escqrs;
using account::Account;

namespace {

using Store = in_memory::EventStore;

void append_accounts(Store& store, int count)
{
    const Repository<Account, Store> accounts{store};
    for (int index = 0; index < count; ++index) {
        auto account = Account::open(Account::Id{random_uuid()}, "Ada");
        accounts.save(account);
    }
}

SubscriptionOptions quick()
{
    SubscriptionOptions options;
    options.page_size = 3;
    options.first_retry_delay = Duration{100};
    return options;
}

} // namespace

TEST_CASE("a subscription shows every event once and remembers where it was")
{
    Store store;
    in_memory::Checkpoint place;
    append_accounts(store, 10);
    std::vector<std::uint64_t> seen;
    const auto remember = [&](const RecordedEvent& event) { seen.push_back(event.position.value()); };

    Subscription subscription{store, place, quick()};
    CHECK(subscription.catch_up(remember) == GlobalPosition{10});
    CHECK(place.load() == GlobalPosition{10});
    append_accounts(store, 2);
    Subscription resumed{store, place, quick()};
    resumed.catch_up(remember);
    REQUIRE(seen.size() == 12);
    for (std::size_t index = 0; index < seen.size(); ++index) CHECK(seen[index] == index + 1);
}

TEST_CASE("the checkpoint is saved after what was flushed, page by page")
{
    Store store;
    in_memory::Checkpoint place;
    append_accounts(store, 7);
    std::vector<std::uint64_t> flushed_at;
    Subscription subscription{store, place, quick()};
    subscription.catch_up([](const RecordedEvent&) {}, [&] { flushed_at.push_back(place.load().value()); });
    CHECK(flushed_at == std::vector<std::uint64_t>{0, 3, 6});
}

TEST_CASE("a page that fails is shown again")
{
    Store store;
    in_memory::Checkpoint place;
    append_accounts(store, 5);
    std::vector<std::uint64_t> seen;
    bool fail = true;
    const auto handle = [&](const RecordedEvent& event) {
        seen.push_back(event.position.value());
        if (event.position == GlobalPosition{5} && std::exchange(fail, false)) throw std::runtime_error{"not now"};
    };
    Subscription subscription{store, place, quick()};
    CHECK_THROWS_AS(subscription.catch_up(handle), std::runtime_error);
    CHECK(place.load() == GlobalPosition{3});
    subscription.catch_up(handle);
    CHECK(seen == std::vector<std::uint64_t>{1, 2, 3, 4, 5, 4, 5});
}

TEST_CASE("a running subscription follows the log, survives failures and stops when told")
{
    Store store;
    in_memory::Checkpoint place;
    std::atomic<int> seen{0};
    std::atomic<int> failures{0};
    auto options = quick();
    options.on_failure = [&](std::exception_ptr, Duration) { ++failures; };
    {
        escqrs::jthread runner{[&](escqrs::stop_token stop) {
            Subscription subscription{store, place, options};
            subscription.run(stop, [&](const RecordedEvent&) {
                if (failures < 2) throw std::runtime_error{"not yet"};
                ++seen;
            });
        }};
        append_accounts(store, 4);
        while (place.load() < GlobalPosition{4}) std::this_thread::yield();
        append_accounts(store, 4);
        while (place.load() < GlobalPosition{8}) std::this_thread::yield();
    }
    CHECK(failures == 2);
    CHECK(seen == 8);
}

TEST_CASE("a running subscription survives whatever is thrown, and reports it")
{
    Store store;
    in_memory::Checkpoint place;
    std::atomic<int> seen{0};
    std::atomic<int> caught_up{0};
    std::vector<std::string> failures;
    auto options = quick();
    options.on_failure = [&](const std::exception_ptr& failure, Duration) { failures.push_back(text_of(failure)); };
    options.on_caught_up = [&](GlobalPosition) {
        if (++caught_up == 1) throw "a text";
    };
    append_accounts(store, 4);
    {
        const escqrs::jthread runner{[&](escqrs::stop_token stop) {
            Subscription subscription{store, place, options};
            bool has_thrown = false;
            subscription.run(std::move(stop), [&](const RecordedEvent&) {
                if (!std::exchange(has_thrown, true)) throw 42; // NOLINT(hicpp-exception-baseclass)
                ++seen;
            });
        }};
        while (caught_up < 2) std::this_thread::yield();
    }
    CHECK(seen == 4);
    REQUIRE(failures.size() == 2);
    for (const std::string& failure : failures) CHECK_THAT(failure, Catch::Contains("not a std::exception"));
}

TEST_CASE("a subscription shows what its filter and its predicate let through, and its checkpoint passes the rest")
{
    Store store;
    append_accounts(store, 10);
    const auto shown = [&](SubscriptionOptions options) {
        std::vector<std::uint64_t> seen;
        in_memory::Checkpoint start;
        Subscription subscription{store, start, std::move(options)};
        CHECK(subscription.catch_up([&](const RecordedEvent& event) { seen.push_back(event.position.value()); }) ==
              GlobalPosition{10});
        CHECK(start.load() == GlobalPosition{10});
        return seen;
    };
    auto options = quick();
    options.predicate = [](const RecordedEvent& event) { return event.position.value() % 4 == 0; };
    CHECK(shown(options) == std::vector<std::uint64_t>{4, 8});
    options.filter.types = {"AccountOpened"};
    CHECK(shown(options) == std::vector<std::uint64_t>{4, 8});
    options.filter.types = {"MoneyDeposited"};
    CHECK(shown(options).empty());
    options.filter = {.categories = {"customer"}};
    CHECK(shown(options).empty());
}

TEST_CASE("a subscription that is stopped finishes its current event")
{
    Store store;
    in_memory::Checkpoint place;
    append_accounts(store, 10);
    escqrs::stop_source stop;
    Subscription subscription{store, place, {}};
    const auto handle = [&](const RecordedEvent& event) {
        if (event.position == GlobalPosition{4}) stop.request_stop();
    };
    CHECK(subscription.catch_up(
              handle, [] {}, stop.get_token()) == GlobalPosition{4});
    CHECK(place.load() == GlobalPosition{4});
}

TEST_CASE("a running subscription tells when it has caught up, once each time")
{
    Store store;
    in_memory::Checkpoint place;
    append_accounts(store, 7);
    std::vector<std::uint64_t> told;
    std::atomic<std::size_t> times{0};
    std::atomic<int> handled{0};
    auto options = quick();
    options.max_wait = std::chrono::milliseconds{1}; // looks many times while nothing comes
    options.filter.types = {"AccountOpened"};
    options.on_caught_up = [&](GlobalPosition position) {
        CHECK(handled == static_cast<int>(position.value()));
        told.push_back(position.value());
        ++times;
    };
    {
        escqrs::jthread runner{[&](escqrs::stop_token stop) {
            Subscription subscription{store, place, options};
            subscription.run(stop, [&](const RecordedEvent&) { ++handled; });
        }};
        while (times < 1) std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
        append_accounts(store, 1);
        while (times < 2) std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
    CHECK(told == std::vector<std::uint64_t>{7, 8});
}
