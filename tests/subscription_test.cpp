// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"

#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/repository.hpp>
#include <escqrs/subscription.hpp>
#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <stdexcept>
#include <thread>
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

TEST_CASE("the checkpoint is saved behind what was flushed, page by page")
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
        std::jthread runner{[&](std::stop_token stop) {
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
