// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/group_queue.hpp>
#include <escqrs/core/stop_token.hpp>

#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <latch>
#include <thread>
#include <vector>

namespace {

struct Caller : escqrs::detail::GroupQueue<Caller>::Entry {
    int times_done = 0;
};

/// Has many threads take part many times.
/// @return whether all was done once, in groups that were neither too large nor too many at once
bool does_all_once(std::size_t max_group_size, std::size_t max_groups, int threads)
{
    constexpr int rounds = 300;
    escqrs::detail::GroupQueue<Caller> queue{max_group_size, max_groups};
    std::atomic<std::size_t> groups{0};
    std::atomic<int> done{0};
    std::atomic<bool> is_right{true};
    const auto work = [&](Caller* caller) {
        if (++groups > max_groups) is_right = false;
        std::size_t size = 0;
        for (; caller != nullptr; caller = caller->next, ++size, ++done) ++caller->times_done;
        if (size > max_group_size) is_right = false;
        if (done % 5 == 0) std::this_thread::yield();
        --groups;
    };
    {
        std::vector<escqrs::jthread> running;
        for (int thread = 0; thread < threads; ++thread) {
            running.emplace_back([&] {
                for (int round = 0; round < rounds; ++round) {
                    Caller self;
                    queue.take_part(self, work);
                    if (self.times_done != 1) is_right = false;
                }
            });
        }
    }
    return is_right && done == threads * rounds;
}

} // namespace

TEST_CASE("whatever the size and number of groups, each caller's work is done exactly once")
{
    for (const std::size_t max_group_size : {1U, 2U, 3U, 256U}) {
        for (const std::size_t max_groups : {1U, 2U, 4U}) {
            for (const int threads : {1, 2, 9, 40}) {
                CAPTURE(max_group_size, max_groups, threads);
                CHECK(does_all_once(max_group_size, max_groups, threads));
            }
        }
    }
}

TEST_CASE("as many groups are worked on at once as may be, however small they are")
{
    // Each waits within its work for all: with fewer groups at once, none would come through.
    constexpr std::size_t at_once = 4;
    escqrs::detail::GroupQueue<Caller> queue{1, at_once};
    std::barrier all_work{static_cast<std::ptrdiff_t>(at_once)};
    std::atomic<int> done{0};
    {
        std::vector<escqrs::jthread> running;
        for (std::size_t thread = 0; thread < 3 * at_once; ++thread) {
            running.emplace_back([&] {
                Caller self;
                queue.take_part(self, [&](Caller*) {
                    all_work.arrive_and_wait();
                    ++done;
                });
            });
        }
    }
    CHECK(done == static_cast<int>(3 * at_once));
}

TEST_CASE("callers that come while a group is at work form the next group")
{
    escqrs::detail::GroupQueue<Caller> queue{256};
    std::latch first_works{1};
    std::latch go_on{1};
    std::vector<std::size_t> sizes;
    const auto work = [&](Caller* caller) {
        std::size_t size = 0;
        for (; caller != nullptr; caller = caller->next) ++size;
        sizes.push_back(size);
        if (sizes.size() > 1) return;
        first_works.count_down();
        go_on.wait();
    };
    const auto take_part = [&] {
        Caller self;
        queue.take_part(self, work);
    };
    {
        const escqrs::jthread first{take_part};
        first_works.wait();
        std::vector<escqrs::jthread> others;
        for (int thread = 0; thread < 9; ++thread) others.emplace_back(take_part);
        std::this_thread::sleep_for(std::chrono::milliseconds{200}); // by then they wait
        go_on.count_down();
    }
    CHECK(sizes == std::vector<std::size_t>{1, 9});
}

TEST_CASE("a size of groups or a number of them that is 0 counts as 1")
{
    escqrs::detail::GroupQueue<Caller> queue{0, 0};
    Caller self;
    queue.take_part(self, [](Caller* caller) { ++caller->times_done; });
    CHECK(self.times_done == 1);
}
